//! The client itself: what it is made of, and how its requests are sent.

use std::future::Future;
use std::sync::Arc;

use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::call::{Caller, Patience, Replay};
use crate::namespace::Namespace;
use crate::{Config, Error};

/// A client of a cluster. Cheap to clone; clones share connections and token.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) caller: Arc<Caller>,
    pub(crate) namespace: Namespace,
}

impl Client {
    /// Makes a client within a tokio runtime. Connects when there is something to send.
    ///
    /// # Errors
    ///
    /// [`Error::Config`]: an endpoint or a file of TLS cannot be used.
    pub fn new(config: Config) -> Result<Self, Error> {
        let namespace = Namespace::new(config.namespace.clone());
        Ok(Self { caller: Arc::new(Caller::new(config)?), namespace })
    }

    /// A client of one endpoint alone, alike in all else: for what is asked of one member, like its status.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn only(&self, endpoint: &str) -> Result<Self, Error> {
        Self::new(Config { endpoints: vec![endpoint.to_owned()], ..self.caller.config.clone() })
    }

    /// The endpoints that requests go to.
    #[must_use]
    pub fn endpoints(&self) -> &[String] {
        &self.caller.config.endpoints
    }

    /// A request that may happen twice.
    pub(crate) async fn read<Q, A, F>(&self, request: Q, send: impl Fn(Channel, Request<Q>) -> F) -> Result<A, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.caller.call(Replay::Safe, Patience::Request, request, send).await
    }

    /// A request that must not happen twice.
    pub(crate) async fn write<Q, A, F>(&self, request: Q, send: impl Fn(Channel, Request<Q>) -> F) -> Result<A, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.caller.call(Replay::Unsafe, Patience::Request, request, send).await
    }

    /// A request that must not happen twice and may take as long as it likes.
    pub(crate) async fn wait<Q, A, F>(&self, request: Q, send: impl Fn(Channel, Request<Q>) -> F) -> Result<A, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.caller.call(Replay::Unsafe, Patience::Endless, request, send).await
    }
}
