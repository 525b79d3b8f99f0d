//! Leases: granting, revoking, looking at them, and a task that keeps one alive.

use std::time::Duration;

use proto::etcdserverpb::lease_client::LeaseClient;
use proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesRequest,
    LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::call::Backoff;
use crate::error::Failure;
use crate::token::is_stale;
use crate::{Client, Error};

/// Renewals that wait to be sent on one stream.
const RENEWALS_QUEUED_MAX: usize = 1;

/// Renewals within the time of a lease: two may be lost.
const RENEWALS_PER_TTL: u32 = 3;

/// The shortest time between renewals.
const PERIOD_MIN: Duration = Duration::from_millis(500);

/// A lease that is renewed by a task, for as long as this lives. Dropped, it renews no more; the lease runs out by itself.
#[derive(Debug)]
pub struct KeepAlive {
    state: watch::Receiver<State>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug)]
enum State {
    Renewed(LeaseKeepAliveResponse),
    Ended(Error),
}

impl Client {
    /// Grants a lease of at least so many seconds. An id of 0 has the server choose one.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn lease_grant(&self, ttl_secs: i64, id: i64) -> Result<LeaseGrantResponse, Error> {
        let request = LeaseGrantRequest { ttl: ttl_secs, id };
        self.write(request, |channel, request| async move { LeaseClient::new(channel).lease_grant(request).await })
            .await
    }

    /// Ends a lease and deletes its keys.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn lease_revoke(&self, id: i64) -> Result<LeaseRevokeResponse, Error> {
        let request = LeaseRevokeRequest { id };
        self.write(request, |channel, request| async move { LeaseClient::new(channel).lease_revoke(request).await })
            .await
    }

    /// How long a lease will live. Of one that does not exist the server says -1 seconds.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub async fn lease_time_to_live(&self, request: LeaseTimeToLiveRequest) -> Result<LeaseTimeToLiveResponse, Error> {
        let send = |channel, request| async move { LeaseClient::new(channel).lease_time_to_live(request).await };
        let mut response = self.read(request, send).await?;
        response.keys.iter_mut().for_each(|key| self.namespace.strip(key));
        Ok(response)
    }

    /// All leases.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub async fn leases(&self) -> Result<LeaseLeasesResponse, Error> {
        let send = |channel, request| async move { LeaseClient::new(channel).lease_leases(request).await };
        self.read(LeaseLeasesRequest {}, send).await
    }

    /// Renews a lease once.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseExpired`]; as [`Self::range`].
    pub async fn keep_alive_once(&self, id: i64) -> Result<LeaseKeepAliveResponse, Error> {
        let send = |channel, request: tonic::Request<LeaseKeepAliveRequest>| async move {
            let (metadata, extensions, message) = request.into_parts();
            let stream = tokio_stream::once(message);
            let request = tonic::Request::from_parts(metadata, extensions, stream);
            let mut answers = LeaseClient::new(channel).lease_keep_alive(request).await?.into_inner();
            let answer = answers.message().await?.ok_or_else(|| Status::unavailable("the stream ended"))?;
            Ok(tonic::Response::new(answer))
        };
        let answer = self.read(LeaseKeepAliveRequest { id }, send).await?;
        if answer.ttl <= 0 { Err(Error::LeaseExpired) } else { Ok(answer) }
    }

    /// Renews a lease three times within its time to live, with whatever member there is, until the returned handle is dropped.
    ///
    /// # Errors
    ///
    /// As [`Self::keep_alive_once`], for the first renewal.
    pub async fn keep_alive(&self, id: i64) -> Result<KeepAlive, Error> {
        let sent = Instant::now();
        let first = self.keep_alive_once(id).await?;
        let expires = sent + seconds(first.ttl);
        let period = (seconds(first.ttl) / RENEWALS_PER_TTL).max(PERIOD_MIN);
        let (report, mut state) = watch::channel(State::Renewed(first));
        state.mark_changed();
        let mut renewal = Renewal { client: self.clone(), id, period, expires, report };
        let task = tokio::spawn(async move { renewal.run().await });
        Ok(KeepAlive { state, task })
    }
}

impl KeepAlive {
    /// The newest renewal, as soon as there is one that this did not return before.
    ///
    /// # Errors
    ///
    /// Why there will be none: [`Error::LeaseExpired`], also when nobody answered for as long as the lease lives; [`Error::Answer`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<LeaseKeepAliveResponse, Error> {
        let is_new = self.state.changed().await.is_ok();
        match &*self.state.borrow_and_update() {
            State::Renewed(response) if is_new => Ok(*response),
            State::Renewed(_) => Err(Error::LeaseExpired),
            State::Ended(error) => Err(error.clone()),
        }
    }

    /// Waits until the lease is no longer kept alive; why.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn lost(&mut self) -> Error {
        loop {
            if let Err(error) = self.next().await {
                return error;
            }
        }
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the task works with.
struct Renewal {
    client: Client,
    id: i64,
    period: Duration,
    /// When the lease is gone, for all that this client can know: counted from when its last renewal was sent.
    expires: Instant,
    report: watch::Sender<State>,
}

impl Renewal {
    async fn run(&mut self) {
        let mut backoff = Backoff::new();
        loop {
            let before = self.expires;
            let renewed = self.renew_on_one_stream().await;
            if self.expires > before {
                backoff = Backoff::new();
            }
            let waited = timeout_at(self.expires, backoff.wait()).await;
            if let Err(error) = renewed.and(waited.map_err(|_| Error::LeaseExpired)) {
                self.report.send_replace(State::Ended(error));
                return;
            }
        }
    }

    /// Renews until the stream fails, which is no error, or the lease is gone.
    async fn renew_on_one_stream(&mut self) -> Result<(), Error> {
        let caller = &self.client.caller;
        let (requests, queue) = mpsc::channel(RENEWALS_QUEUED_MAX);
        let (request, generation) = caller.signed(ReceiverStream::new(queue)).await?;
        let chosen = caller.choose();
        let mut client = LeaseClient::new(chosen.channel.clone());
        let _ = requests.try_send(LeaseKeepAliveRequest { id: self.id });
        let sent = Instant::now();
        let failed = match timeout_at(self.expires, client.lease_keep_alive(request)).await {
            Ok(Ok(answers)) => self.exchange(&requests, sent, answers.into_inner()).await,
            Ok(Err(status)) => Failed::Status(status),
            Err(_) => Failed::Expired,
        };
        let status = match failed {
            Failed::Expired => return Err(Error::LeaseExpired),
            Failed::Status(status) => status,
        };
        let caller = &self.client.caller;
        if is_stale(&status) && caller.config.user.is_some() {
            return caller.renew(generation).await;
        }
        caller.avoid(&chosen);
        match Failure::of(status) {
            Failure::Answer(status) if is_final(status.code()) => Err(Error::answer(&status)),
            Failure::NeverSent(_) | Failure::Lost(_) | Failure::Answer(_) => Ok(()),
        }
    }

    async fn exchange(
        &mut self,
        requests: &mpsc::Sender<LeaseKeepAliveRequest>,
        mut sent: Instant,
        mut answers: Streaming<LeaseKeepAliveResponse>,
    ) -> Failed {
        let mut ticks = interval_at(sent + self.period, self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = sleep_until(self.expires) => return Failed::Expired,
                answer = answers.message() => match answer {
                    Ok(Some(answer)) if answer.ttl <= 0 => return Failed::Expired,
                    Ok(Some(answer)) => {
                        self.expires = sent + seconds(answer.ttl);
                        self.report.send_replace(State::Renewed(answer));
                    }
                    Ok(None) => return Failed::Status(Status::unavailable("the stream ended")),
                    Err(status) => return Failed::Status(status),
                },
                _ = ticks.tick() => {
                    // Full: the one before is not out yet, and its answer will do.
                    if requests.try_send(LeaseKeepAliveRequest { id: self.id }).is_ok() {
                        sent = Instant::now();
                    }
                }
            }
        }
    }
}

enum Failed {
    Expired,
    Status(Status),
}

/// Whether asking again, elsewhere or later, would not help.
const fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::PermissionDenied | Code::InvalidArgument | Code::Unauthenticated | Code::Unimplemented | Code::NotFound
    )
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl).unwrap_or(0))
}
