//! One request until it is answered: which member, which token, whether again, and until when.

use std::future::Future;
use std::time::Duration;

use proto::etcdserverpb::AuthenticateRequest;
use proto::etcdserverpb::auth_client::AuthClient;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::balance::{Balance, Chosen};
use crate::error::Failure;
use crate::token::{METADATA, TokenCell, is_stale};
use crate::{Config, Error};

/// What is waited after all members failed once; doubles up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(25);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Tokens that are got for one request before the server's word is believed.
const RENEWALS_MAX: usize = 3;

/// Whether a request may happen twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replay {
    /// It changes nothing, or the same again.
    Safe,
    /// Only when nobody can have seen it.
    Unsafe,
}

/// How long a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as the settings say.
    Request,
    /// As long as it takes: it waits by its nature.
    Endless,
}

/// What all requests of a client share.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) config: Config,
    balance: Balance,
    token: TokenCell,
}

/// The wait before the next attempt.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self(BACKOFF_MIN)
    }

    pub(crate) async fn wait(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(BACKOFF_MAX);
    }
}

impl Caller {
    pub(crate) fn new(config: Config) -> Result<Self, Error> {
        Ok(Self { balance: Balance::new(&config)?, token: TokenCell::new(), config })
    }

    pub(crate) fn choose(&self) -> Chosen {
        self.balance.choose()
    }

    pub(crate) fn avoid(&self, chosen: &Chosen) {
        self.balance.avoid(chosen);
    }

    /// Sends a request until it is answered, as far as `replay` allows.
    pub(crate) async fn call<Q, A, F>(
        &self,
        replay: Replay,
        patience: Patience,
        request: Q,
        send: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let started = Instant::now();
        let deadline = (patience == Patience::Request).then(|| started + self.config.request_timeout);
        let mut attempt = Attempt { reason: None, is_sent: false };
        let work = self.attempts(replay, &request, &send, &mut attempt);
        match deadline {
            None => work.await,
            Some(deadline) => match timeout_at(deadline, work).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::TimedOut {
                    waited: self.config.request_timeout,
                    reason: attempt.reason,
                    is_sent: attempt.is_sent && replay == Replay::Unsafe,
                }),
            },
        }
    }

    async fn attempts<Q, A, F>(
        &self,
        replay: Replay,
        request: &Q,
        send: &impl Fn(Channel, Request<Q>) -> F,
        attempt: &mut Attempt,
    ) -> Result<A, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut backoff = Backoff::new();
        let mut renewals = 0;
        let mut number = 0;
        loop {
            number += 1;
            let (request, generation) = self.signed(request.clone()).await?;
            let chosen = self.choose();
            attempt.is_sent = true;
            let failure = match send(chosen.channel.clone(), request).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => Failure::of(status),
            };
            attempt.is_sent = false;
            attempt.reason = Some(failure.reason());
            match &failure {
                Failure::Answer(status)
                    if is_stale(status) && self.config.user.is_some() && renewals < RENEWALS_MAX =>
                {
                    renewals += 1;
                    self.renew(generation).await?;
                    continue;
                }
                Failure::NeverSent(_) => {}
                Failure::Lost(_) | Failure::Answer(_) if replay == Replay::Safe && failure.is_passing() => {}
                Failure::Lost(_) | Failure::Answer(_) => return Err(failure.into_error()),
            }
            self.avoid(&chosen);
            if number % self.balance.len() == 0 {
                backoff.wait().await;
            }
        }
    }

    /// The request with the token of now, and that token's generation.
    pub(crate) async fn signed<Q>(&self, message: Q) -> Result<(Request<Q>, u64), Error> {
        let mut held = self.token.held();
        if held.generation == 0 && self.config.user.is_some() {
            self.renew(0).await?;
            held = self.token.held();
        }
        let mut request = Request::new(message);
        if let Some(value) = held.value {
            request.metadata_mut().insert(METADATA, value);
        }
        Ok((request, held.generation))
    }

    /// Gets a token in the place of the one of `generation`, unless another request has done so meanwhile.
    pub(crate) async fn renew(&self, generation: u64) -> Result<(), Error> {
        let Some(user) = &self.config.user else { return Ok(()) };
        let _one_at_a_time = self.token.renewal.acquire().await;
        if self.token.held().generation != generation {
            return Ok(());
        }
        let ask = AuthenticateRequest { name: user.name.clone(), password: user.password.clone() };
        let mut backoff = Backoff::new();
        let mut number = 0;
        loop {
            number += 1;
            let chosen = self.choose();
            let failure = match AuthClient::new(chosen.channel.clone()).authenticate(ask.clone()).await {
                Ok(answer) => {
                    let value = MetadataValue::try_from(answer.into_inner().token)
                        .map_err(|_| Error::Config("the server gave a token that cannot be sent".to_owned()))?;
                    self.token.put(Some(value));
                    return Ok(());
                }
                Err(status) if is_switched_off(&status) => {
                    self.token.put(None);
                    return Ok(());
                }
                Err(status) => Failure::of(status),
            };
            if !failure.is_passing() {
                return Err(failure.into_error());
            }
            self.avoid(&chosen);
            if number % self.balance.len() == 0 {
                backoff.wait().await;
            }
        }
    }
}

/// How far a request has come, for who gives up on it.
struct Attempt {
    reason: Option<String>,
    is_sent: bool,
}

fn is_switched_off(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && status.message() == "etcdserver: authentication is not enabled"
}
