//! Streams that must not outlive the leader: a client that sent `hasleader` would rather go to another member than hang on to
//! one that was cut off.

use node::Handle;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Election timeouts without a leader before a stream is ended (etcd's figure): fewer would end streams in every election.
const TIMEOUTS_WITHOUT_LEADER: u32 = 3;

/// A stream's leader, looked after.
#[derive(Debug)]
pub(crate) enum RequiredLeader {
    /// The client did not ask.
    NotRequired,
    /// Looked at every election timeout.
    Required {
        handle: Handle,
        looks: Interval,
        /// Looks in a row that found no leader.
        missing: u32,
    },
}

impl RequiredLeader {
    pub(crate) fn required(handle: Handle) -> Self {
        let mut looks = interval(handle.config().election_timeout);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self::Required { handle, looks, missing: 0 }
    }

    /// Returns when the leader has been missing for too long; never, if none is required.
    ///
    /// # Cancel safety
    ///
    /// A dropped call can be made again and goes on counting.
    pub(crate) async fn lost(&mut self) {
        match self {
            Self::NotRequired => std::future::pending().await,
            Self::Required { handle, looks, missing } => loop {
                looks.tick().await;
                *missing = if handle.status().leader.is_some() { 0 } else { *missing + 1 };
                if *missing > TIMEOUTS_WITHOUT_LEADER {
                    return;
                }
            },
        }
    }
}
