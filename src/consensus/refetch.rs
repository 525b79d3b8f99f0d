//! The state of a member whose own is lost, from another one: at its start, before it takes part in anything.
//!
//! It is lost when its store is damaged or gone, or ends before the log's first entry.
//!
//! That breaks no promise. What a member has promised to others are its votes and the entries that it said are on its disk: both are in
//! the log, which stays. The state is what the committed entries make of nothing, the same on every member, so that of another one
//! serves as well, if there is no gap between it and the log. Where it reaches further than the log, it stands for committed entries as
//! a leader's snapshot does, and the log is told first, as there. If it ends in a later term than this member has seen, the member
//! moves to that term with a vote for itself: it gives none to anybody there, and stands for election in the next.

use std::sync::Arc;

use futures::{StreamExt, future};
use proto::quoratepb::FetchRequest;
use state::{Fault, Imported, Machine, Options, Place};
use transport::{CallError, Dialer, Header, PROTOCOL_VERSION};

use crate::Error;
use crate::execution::Execution;
use crate::format::decode_stored_membership;
use crate::frames::{self, Malformed};
use crate::intake::Intake;
use crate::log_store::check_reach;
use crate::opened_log::OpenedLog;
use crate::owner::Owner;
use crate::snapshot::{Durable, IDLE};
use crate::types::{StoredMembership, raft_log_id};

/// Opens the state in `place` that belongs to `log`; if it is lost and the cluster has other members, fetches that of one of them and
/// puts it in its place.
///
/// # Errors
///
/// [`Error::State`] and [`Error::LogBehindState`] as the state was found, when there is nobody to ask or it may not be replaced;
/// [`Error::StateNotFetched`] when nobody could give theirs.
pub async fn open_state(
    log: OpenedLog,
    place: Arc<dyn Place>,
    dialer: &dyn Dialer,
    options: Options,
) -> Result<(OpenedLog, Machine), Error> {
    let (execution, first) = (log.execution(), log.first());
    let opening = Arc::clone(&place);
    let lost = match execution.blocking(move || Machine::open(opening, options)).await? {
        Ok(machine) => match check_reach(first, machine.applied().0.map(raft_log_id)) {
            Ok(()) => return Ok((log, machine)),
            Err(behind) => behind,
        },
        Err(fault) if is_lost(&fault) => Error::State(fault),
        Err(fault) => return Err(fault.into()),
    };
    let (Some(identity), Some((log, membership))) = (log.owner()?, newest_membership(log, &execution).await?) else {
        return Err(lost);
    };
    let others: Vec<_> = membership.nodes().filter(|(member, _)| **member != identity.member.get()).collect();
    if others.is_empty() {
        return Err(lost);
    }
    tracing::error!(%lost, "the state of this member is lost: asking the others for theirs");
    let asking = Asking { identity, membership: &membership, intake: Intake::new(place, execution.clone()), first };
    let mut tried = Vec::new();
    for (member, info) in others {
        match asking.fetch(dialer, *member, &info.peer_urls).await {
            Ok((durable, imported)) => {
                tracing::warn!(from = format_args!("{member:x}"), last = %durable.last, "fetched the state of a member");
                let job = move || install(log, &durable, imported, options);
                return execution.blocking(job).await?;
            }
            Err(error) => tried.push(format!("member {member:x}: {error}")),
        }
    }
    Err(Error::StateNotFetched { lost: Box::new(lost), tried: tried.join("; ") })
}

/// Whether another store may take the place of one that fails so. Not of one that is in use, or is somebody else's.
const fn is_lost(fault: &Fault) -> bool {
    match fault {
        Fault::Storage(_) | Fault::MissingStore(_) | Fault::Damaged(_) => true,
        Fault::Locked(_)
        | Fault::ForeignDirectory { .. }
        | Fault::ForeignData
        | Fault::UnknownFormat { .. }
        | Fault::MalformedPiece(_)
        | Fault::Superseded
        | Fault::MalformedEntry { .. }
        | Fault::OutOfOrder { .. }
        | Fault::Recipe(_) => false,
    }
}

/// The newest membership of which the log knows, committed or not: it only says whom to ask.
async fn newest_membership(
    log: OpenedLog,
    execution: &Execution,
) -> Result<Option<(OpenedLog, StoredMembership)>, Error> {
    let read = execution.blocking(move || log.newest_membership().map(|found| (log, found))).await?;
    read.map(|(log, found)| found.map(|membership| (log, membership)))
}

/// What does not differ between those who are asked.
struct Asking<'a> {
    identity: Owner,
    membership: &'a StoredMembership,
    intake: Intake,
    /// Index of the first entry of the log.
    first: u64,
}

impl Asking<'_> {
    async fn fetch(&self, dialer: &dyn Dialer, member: u64, urls: &[String]) -> Result<(Durable, Imported), CallError> {
        let header = Header {
            cluster_id: self.identity.cluster.get(),
            from: self.identity.member.get(),
            to: member,
            version: PROTOCOL_VERSION,
            membership_log_id: self.membership.log_id().map(frames::log_id),
        };
        let chunks = dialer.dial(urls).fetch(FetchRequest { header: Some(header) }, IDLE).await?;
        // What ends early lacks its tail, which is noticed.
        let chunks = chunks.scan((), |(), chunk| future::ready(chunk.ok())).boxed();
        let (_, pieces) = transport::read_snapshot(chunks).await?;
        let imported = self.intake.take(pieces).await?;
        let last = imported.applied().map(raft_log_id);
        check_reach(self.first, last).map_err(|behind| CallError::Malformed(behind.to_string()))?;
        let last = frames::due(last, "a state of nothing")?;
        let membership = decode_stored_membership(imported.membership()).map_err(|_| Malformed("a membership"))?;
        Ok((Durable { last, membership }, imported))
    }
}

fn install(
    mut log: OpenedLog,
    durable: &Durable,
    imported: Imported,
    options: Options,
) -> Result<(OpenedLog, Machine), Error> {
    log.note_installing(durable)?;
    let machine = Machine::open_imported(imported, options)?;
    Ok((log, machine))
}
