//! A session that lives as long as a connection: this member renews it while the connection is there, and has it end soon afterwards.
//!
//! What ends it soon goes through the log, so whoever opens another connection for the session in the meantime, here or at another
//! member, hears of it and renews at once.

use std::sync::Arc;
use std::time::Duration;

use model::LeaseId;
use tokio::sync::{Notify, watch as latest};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::error::{Error, Unavailable};
use crate::handle::Handle;

/// Renewals in the life of a session: two may be lost.
const RENEWALS_PER_TTL: u32 = 3;

/// Time after which a renewal that failed is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// How a bound session fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionHealth {
    /// It is renewed.
    Alive,
    /// Renewing it fails: it ends at this moment if that goes on.
    Expiring {
        /// When.
        at: Instant,
    },
    /// It is gone.
    Gone,
}

/// A session that is renewed while this is held, and shortened when it is dropped.
#[derive(Debug)]
pub struct BoundSession {
    handle: Handle,
    lease: LeaseId,
    grace: Duration,
    health: latest::Receiver<SessionHealth>,
    hurry: Arc<Notify>,
    renewing: AbortHandle,
    is_over: bool,
}

impl Handle {
    /// Renews a session from here on; `None` when there is no such session. Once dropped it lives for `grace`, in whole seconds and at
    /// least one, unless it is renewed.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when no leader answers in time.
    pub async fn bind_session(&self, lease: LeaseId, grace: Duration) -> Result<Option<BoundSession>, Unavailable> {
        let asked = Instant::now();
        let Some(ttl) = self.lease_keep_alive(lease).await? else { return Ok(None) };
        let life = Duration::from_secs(u64::try_from(ttl).unwrap_or(1).max(1));
        let (sender, health) = latest::channel(SessionHealth::Alive);
        let hurry = Arc::new(Notify::new());
        let renewer = Renewer { handle: self.clone(), lease, life, ends: asked + life, hurry: Arc::clone(&hurry) };
        let renewing = tokio::spawn(renewer.run(sender)).abort_handle();
        Ok(Some(BoundSession { handle: self.clone(), lease, grace, health, hurry, renewing, is_over: false }))
    }
}

impl BoundSession {
    /// Waits until the session fares otherwise than was said last; `None` when there is nothing more to say.
    ///
    /// # Cancel safety
    ///
    /// A change is not lost when the future is dropped.
    pub async fn changed(&mut self) -> Option<SessionHealth> {
        self.health.changed().await.ok()?;
        Some(*self.health.borrow_and_update())
    }

    /// Has it renewed at once: somebody shortened it.
    pub fn renew_now(&self) {
        self.hurry.notify_one();
    }

    /// Lets go of it without shortening it: its client was told to go to another member, or it is gone.
    pub fn let_go(mut self) {
        self.is_over = true;
    }
}

impl Drop for BoundSession {
    fn drop(&mut self) {
        self.renewing.abort();
        if self.is_over || *self.health.borrow() == SessionHealth::Gone {
            return;
        }
        let (handle, lease) = (self.handle.clone(), self.lease);
        let seconds = self.grace.as_secs() + u64::from(self.grace.subsec_nanos() > 0);
        tokio::spawn(async move {
            // If this fails the session ends with its TTL.
            let shortened = handle.lease_shorten(lease, i64::try_from(seconds).unwrap_or(i64::MAX)).await;
            if let Err(error) = shortened {
                tracing::debug!(%error, lease = lease.get(), "could not shorten a session whose connection closed");
            }
        });
    }
}

struct Renewer {
    handle: Handle,
    lease: LeaseId,
    life: Duration,
    /// When the session ends if it is renewed no more.
    ends: Instant,
    hurry: Arc<Notify>,
}

impl Renewer {
    async fn run(mut self, health: latest::Sender<SessionHealth>) {
        let mut pause = self.life / RENEWALS_PER_TTL;
        loop {
            // Either is a reason to renew.
            let _ = timeout(pause, self.hurry.notified()).await;
            let asked = Instant::now();
            let now = match self.renew().await {
                Ok(true) => {
                    self.ends = asked + self.life;
                    SessionHealth::Alive
                }
                Ok(false) => {
                    health.send_replace(SessionHealth::Gone);
                    return;
                }
                Err(_unavailable) => SessionHealth::Expiring { at: self.ends },
            };
            pause = if now == SessionHealth::Alive { self.life / RENEWALS_PER_TTL } else { RETRY_INTERVAL };
            health.send_if_modified(|known| std::mem::replace(known, now) != now);
        }
    }

    async fn renew(&self) -> Result<bool, Error> {
        Ok(self.handle.lease_keep_alive(self.lease).await?.is_some())
    }
}
