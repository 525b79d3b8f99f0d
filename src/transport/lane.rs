//! The way to a member for one kind of traffic: a connection of its own, opened when first used and again when it is lost.
//!
//! Guarantees that a dead member costs its callers nothing: after an attempt that failed, calls fail at once until the next one
//! is due, and one attempt serves all who wait. A member that comes back is reached by the first call after [`PAUSE`].

use std::time::Duration;

use futures::FutureExt;
use futures::future::{self, BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use crate::CallError;
use crate::connection::Connection;
use crate::open::Way;

/// How long after a failure no attempt is made. Does not grow: a refused attempt is cheap, and members are few.
const PAUSE: Duration = Duration::from_millis(100);

/// A lane to one member.
pub(crate) struct Lane {
    way: Way,
    /// The latest attempt, under way or with its result. Held for moments, never across a wait.
    latest: Mutex<Option<Attempt>>,
}

type Attempt = Shared<BoxFuture<'static, Result<Connection, Failed>>>;

#[derive(Clone, Debug)]
struct Failed {
    reason: String,
    retry_at: Instant,
}

impl Lane {
    pub(crate) fn new(way: Way) -> Self {
        Self { way, latest: Mutex::new(None) }
    }

    /// A connection, at `wait` at the latest.
    ///
    /// # Errors
    ///
    /// [`CallError::Unreachable`].
    ///
    /// # Cancel safety
    ///
    /// An attempt goes on without those who wait for it.
    pub(crate) async fn connection(&self, wait: Duration) -> Result<Connection, CallError> {
        match timeout(wait, self.attempt()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(failed)) => Err(CallError::Unreachable(failed.reason)),
            Err(_) => Err(CallError::Unreachable("no connection in time".to_owned())),
        }
    }

    fn attempt(&self) -> Attempt {
        let mut latest = self.latest.lock();
        if let Some(attempt) = latest.as_ref()
            && still_holds(attempt)
        {
            return attempt.clone();
        }
        let attempt = match latest.as_ref().and_then(lost_at_once) {
            Some(failed) => future::ready(Err(failed)).boxed().shared(),
            None => self.begin(),
        };
        latest.insert(attempt).clone()
    }

    fn begin(&self) -> Attempt {
        let way = self.way.clone();
        let task = tokio::spawn(async move { way.open().await });
        async move {
            let opened = task.await.unwrap_or_else(|error| Err(error.to_string()));
            opened.map_err(|reason| Failed { reason, retry_at: Instant::now() + PAUSE })
        }
        .boxed()
        .shared()
    }
}

/// Whether the attempt is under way, or its result is still what a caller should get.
fn still_holds(attempt: &Attempt) -> bool {
    match attempt.peek() {
        None => true,
        Some(Ok(connection)) => !connection.is_over(),
        Some(Err(failed)) => Instant::now() < failed.retry_at,
    }
}

/// A connection that ended as soon as it was opened is a failure too: something listens there, but serves nobody.
fn lost_at_once(attempt: &Attempt) -> Option<Failed> {
    let retry_at = attempt.peek()?.as_ref().ok()?.opened_at() + PAUSE;
    (Instant::now() < retry_at).then(|| Failed { reason: "the connection was closed at once".to_owned(), retry_at })
}
