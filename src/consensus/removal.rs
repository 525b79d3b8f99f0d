//! A member that is removed stops for good, and tells why. Usually it learns of it from its own log, otherwise from the first peer that
//! it asks for a vote (`peers`); one that starts again after it was removed asks, because nobody would tell it.

use std::time::Duration;

use model::MemberId;
use proto::quoratepb::ReadIndexRequest;
use tokio::sync::watch;

use crate::Error;
use crate::fault::FaultReport;
use crate::peers::Peers;
use crate::types::StoredMembership;

/// Time between learning it and stopping: a leader that removed itself hands over meanwhile, and its followers learn of the removal.
const LINGER: Duration = Duration::from_secs(1);

/// How often a member that is in no membership it knows asks whether it was removed.
const ASK_EVERY: Duration = Duration::from_secs(3);

/// How long an answer may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// Watches for the removal of this member.
pub(crate) struct RemovalTask {
    pub(crate) peers: Peers,
    pub(crate) member: MemberId,
    /// The newest committed membership.
    pub(crate) newest: watch::Receiver<StoredMembership>,
    pub(crate) fault: FaultReport,
}

impl RemovalTask {
    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let member = self.member.get();
        let is_in = move |membership: &StoredMembership| membership.get_node(&member).is_some();
        // Who joins is not in the first memberships that it learns of.
        while !is_in(&self.newest.borrow_and_update()) {
            tokio::select! {
                biased;
                changed = self.newest.changed() => if changed.is_err() { return std::future::pending().await },
                () = tokio::time::sleep(ASK_EVERY) => self.ask().await,
            }
        }
        if self.newest.wait_for(move |membership| !is_in(membership)).await.is_ok() {
            tokio::time::sleep(LINGER).await;
            self.fault.report(Error::Removed);
        }
        std::future::pending().await
    }

    /// Asks each member that this one knows anything: one that knows of the removal refuses to answer, which is heeded.
    async fn ask(&self) {
        let others: Vec<u64> = self.newest.borrow().nodes().map(|(id, _)| *id).collect();
        for other in others {
            let Some(peer) = self.peers.to(other) else { continue };
            let request = ReadIndexRequest { header: Some(self.peers.header(other)) };
            let _ = self.peers.heed(peer.read_index(request, ASK_TIMEOUT).await);
        }
    }
}
