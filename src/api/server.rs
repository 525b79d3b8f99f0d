//! The client port: both faces of one member, on as many listeners as wanted.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use node::Handle;
use tls::Acceptor;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch as latest};

use crate::access::{self, Access};
use crate::admission::Admission;
use crate::connection::Connections;
use crate::draining::Draining;
use crate::face::Face;
use crate::gateway;
use crate::grpc::{Edge, Services};
use crate::listener;
use crate::metrics::Metrics;
use crate::offer::Offer;
use crate::ops;
use crate::options::Options;
use crate::process;
use crate::rest;

/// Open files that the store, the log and their maintenance need beside the clients' connections (etcd's figure).
const RESERVED_FILES: usize = 150;

/// Where clients connect.
#[derive(Debug)]
pub struct Port {
    /// The bound socket.
    pub listener: TcpListener,
    /// How TLS is spoken on it, if it is.
    pub tls: Option<Acceptor>,
    /// What is served on it.
    pub offer: Offer,
}

/// Serves clients of one member. Cheap to clone; all clones share the bounds.
#[derive(Clone, Debug)]
pub struct Server {
    connections: Connections,
    admission: Admission,
    drain: latest::Sender<bool>,
    options: Options,
}

impl Server {
    /// Builds everything and starts nothing.
    #[must_use]
    pub fn new(handle: Handle, options: Options) -> Self {
        let (drain, draining) = latest::channel(false);
        let draining = Draining::new(draining);
        let metrics = Arc::new(Metrics::new(handle.clone()));
        let edge = Edge::new(handle.clone(), metrics.calls.clone(), draining.clone(), options.message_bytes_max);
        let services = Arc::new(Services::new(edge));
        let traffic = metrics.traffic.clone();
        let observation = ops::router(handle.clone(), metrics);
        let mut http = observation.clone().merge(rest::router(handle, draining.clone(), &options));
        if options.serves_gateway {
            http = http.merge(gateway::router(Arc::clone(&services), traffic.clone(), options.message_bytes_max));
        }
        let face = Face::new(services, guarded(http, &options), observation, traffic, options.message_bytes_max);
        Self {
            connections: Connections::new(face, &options, draining),
            admission: Admission::new(
                connections_max(&options),
                options.connections_per_address_max,
                options.requests_per_second,
            ),
            drain,
            options,
        }
    }

    /// Serves `listener` until `stop` holds true or its sender is gone; then takes no more connections, ends streams, lets
    /// requests end, and returns after the drain deadline at the latest. The first word to stop is for all clones.
    pub async fn run(self, listener: TcpListener, stop: latest::Receiver<bool>) {
        self.run_at(Port { listener, tls: None, offer: Offer::Everything }, stop).await;
    }

    /// As [`Self::run`], at a port of any kind.
    pub async fn run_at(self, port: Port, stop: latest::Receiver<bool>) {
        let draining = Draining::new(self.drain.subscribe());
        let connections = self.connections.at(port.tls, port.offer);
        let serving =
            listener::serve(port.listener, connections, self.admission, draining, self.options.drain_deadline);
        let told = async {
            Draining::new(stop).begun().await;
            self.drain.send_replace(true);
        };
        tokio::join!(serving, told);
    }
}

/// The routes, and who may ask them.
fn guarded(routes: Router, options: &Options) -> Router {
    let access = Access { hosts: options.hosts.clone(), origins: options.origins.clone() };
    routes.layer(from_fn_with_state(Arc::new(access), access::check))
}

/// Without a bound clients could use up the process's open files, and the log could not open its next segment.
fn connections_max(options: &Options) -> usize {
    let for_clients = process::open_files_max().map_or(usize::MAX, |files| files.saturating_sub(RESERVED_FILES).max(1));
    options.connections_max.min(for_clients).min(Semaphore::MAX_PERMITS)
}
