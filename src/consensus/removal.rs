//! A member that is removed stops for good, and tells why. Usually it learns of it from its own log, otherwise from the first peer that
//! it asks for a vote (`peers`).

use std::time::Duration;

use model::MemberId;
use tokio::sync::watch;

use crate::Error;
use crate::fault::FaultReport;
use crate::tasks::Phase;
use crate::types::StoredMembership;

/// Time between learning it and stopping: a leader that removed itself hands over meanwhile, and its followers learn of the removal.
const LINGER: Duration = Duration::from_secs(1);

/// Watches for the removal of this member.
pub(crate) struct RemovalTask {
    pub(crate) member: MemberId,
    /// The newest committed membership.
    pub(crate) newest: watch::Receiver<StoredMembership>,
    pub(crate) fault: FaultReport,
    pub(crate) phase: watch::Receiver<Phase>,
}

impl RemovalTask {
    /// Runs until told to stop.
    pub(crate) async fn run(mut self) {
        let mut phase = self.phase.clone();
        tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase == Phase::Stopping) => {}
            () = self.watch() => {}
        }
    }

    async fn watch(&mut self) {
        let member = self.member.get();
        let is_in = move |membership: &StoredMembership| membership.get_node(&member).is_some();
        // Who joins is not in the first memberships that it learns of.
        let known = self.newest.wait_for(move |membership| is_in(membership)).await.is_ok();
        if known && self.newest.wait_for(move |membership| !is_in(membership)).await.is_ok() {
            tokio::time::sleep(LINGER).await;
            self.fault.report(Error::Removed);
        }
        std::future::pending().await
    }
}
