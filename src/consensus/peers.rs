//! The way to the other members: a connection to each, opened when first used, and the header of every call.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use proto::quoratepb::Refusal;
use proto::quoratepb::refusal::Reason;
use transport::{CallError, Dialer, Header, PROTOCOL_VERSION, Peer};

use crate::Error;
use crate::fault::FaultReport;
use crate::frames;
use crate::metered::Metered;
use crate::meters::Meters;
use crate::owner::Owner;
use crate::roster::Roster;

/// Connections by member. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Peers {
    shared: Arc<Shared>,
}

struct Shared {
    identity: Owner,
    roster: Roster,
    dialer: Arc<dyn Dialer>,
    /// Held for moments, never across a wait.
    connections: Mutex<BTreeMap<u64, Connection>>,
    fault: FaultReport,
    meters: Meters,
}

struct Connection {
    urls: Vec<String>,
    peer: Arc<dyn Peer>,
}

impl Peers {
    pub(crate) fn new(
        identity: Owner,
        roster: Roster,
        dialer: Arc<dyn Dialer>,
        meters: Meters,
        fault: FaultReport,
    ) -> Self {
        let shared = Shared { identity, roster, dialer, connections: Mutex::default(), fault, meters };
        Self { shared: Arc::new(shared) }
    }

    /// The connection to a member at these URLs. An older one to other URLs is given up.
    pub(crate) fn at(&self, member: u64, urls: &[String]) -> Arc<dyn Peer> {
        let mut connections = self.shared.connections.lock();
        if let Some(connection) = connections.get(&member).filter(|connection| connection.urls == urls) {
            return connection.peer.clone();
        }
        let peer = Metered::calling(self.shared.dialer.dial(urls), self.shared.meters.peer(member));
        let peer: Arc<dyn Peer> = Arc::new(peer);
        connections.insert(member, Connection { urls: urls.to_vec(), peer: peer.clone() });
        peer
    }

    /// The connection to a member, if it is one.
    pub(crate) fn to(&self, member: u64) -> Option<Arc<dyn Peer>> {
        let urls = self.shared.roster.peer_urls(member)?;
        Some(self.at(member, &urls))
    }

    /// The header of a call to a member.
    pub(crate) fn header(&self, to: u64) -> Header {
        Header {
            cluster_id: self.shared.identity.cluster.get(),
            from: self.shared.identity.member.get(),
            to,
            version: PROTOCOL_VERSION,
            membership_log_id: self.shared.roster.log_id().map(frames::log_id),
        }
    }

    /// Looks at the outcome of a call: a member that hears that it was removed has to stop for good.
    pub(crate) fn heed<T>(&self, outcome: Result<T, CallError>) -> Result<T, CallError> {
        if let Err(CallError::Refused(refusal)) = &outcome {
            match refusal.reason() {
                Reason::Removed => self.shared.fault.report(Error::Removed),
                reason @ (Reason::Unspecified
                | Reason::HeaderMissing
                | Reason::OtherCluster
                | Reason::OtherMember
                | Reason::VersionUnsupported) => self.warn(reason, refusal),
            }
        }
        outcome
    }

    fn warn(&self, reason: Reason, refusal: &Refusal) {
        let receiver = refusal.receiver.as_ref();
        tracing::warn!(
            ?reason,
            member = format_args!("{:x}", receiver.map_or(0, |receiver| receiver.from)),
            cluster = format_args!("{:x}", receiver.map_or(0, |receiver| receiver.cluster_id)),
            "a peer refused this member: check its peer URLs and --initial-cluster-token"
        );
    }
}
