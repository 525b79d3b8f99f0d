//! A member of a new cluster that begins with the state of another one, taken from a backup.
//!
//! What it is left with is what a member has that was sent a snapshot and has purged its whole log behind it: a state, a mark of it in
//! the log, and no entries. Entries go on after the last one of the state, with a later term, so that no log id comes back with another
//! meaning. Every first member is made so from the same backup; none of them has to be the first to start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use model::{LogId, MemberId};
use state::{Import, Machine, Place, RevisionBump};

use crate::format::encode_stored_membership;
use crate::snapshot::Durable;
use crate::types::{MemberInfo, Membership, StoredMembership, raft_log_id};
use crate::{Error, LogPlace, Owner};

/// A member that is being made. Dropped, it leaves an empty state behind, and no log.
#[derive(Debug)]
pub struct Restoration {
    identity: Owner,
    durable: Durable,
    machine: Machine,
    import: Import,
}

impl Restoration {
    /// Begins to make `identity` one of `members`, all of them voters, with a state in `place` whose last entry is `last`, its revision
    /// set forward if there is a `bump`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it is not among them; [`Error::State`].
    pub fn new(
        identity: Owner,
        members: &BTreeMap<MemberId, MemberInfo>,
        last: LogId,
        bump: Option<RevisionBump>,
        place: Arc<dyn Place>,
    ) -> Result<Self, Error> {
        if !members.contains_key(&identity.member) {
            return Err(crate::start::not_a_member());
        }
        let voters: BTreeSet<_> = members.keys().map(|member| member.get()).collect();
        let nodes: BTreeMap<_, _> = members.iter().map(|(member, info)| (member.get(), info.clone())).collect();
        let membership = Membership::new(vec![voters], nodes)
            .map_err(|error| Error::Config(format!("the members of the new cluster: {error}")))?;
        let last = raft_log_id(last);
        // As if that entry had brought the membership: it is later than any other that the state can have known.
        let membership = StoredMembership::new(Some(last), membership);
        let machine = Machine::open(Arc::clone(&place), state::Options::default())?;
        let import = Import::new(&place)?.with_membership(encode_stored_membership(&membership)).with_bump(bump);
        Ok(Self { identity, durable: Durable { last, membership }, machine, import })
    }

    /// Takes the next piece of the state. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::State`].
    pub fn write(&mut self, piece: Bytes) -> Result<(), Error> {
        Ok(self.import.write(piece)?)
    }

    /// Makes the log, and then the state the current one, after the last piece. Until it returns, neither may be started on; blocks on
    /// the disk.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when pieces are missing or the store cannot be written; [`Error::Log`], also when there is a log.
    pub fn finish(mut self, log: LogPlace) -> Result<(), Error> {
        let imported = self.import.finish()?;
        if imported.applied().map(raft_log_id) != Some(self.durable.last) {
            return Err(Error::Corrupt("a state that ends with another entry than was said"));
        }
        make_log(log, self.identity, &self.durable).map_err(|error| Error::Log(Arc::new(error)))?;
        Ok(self.machine.install(imported)?)
    }
}

fn make_log(log: LogPlace, identity: Owner, durable: &Durable) -> Result<(), wal::Error> {
    let LogPlace { fs, dir, options, execution: _ } = log;
    let (mut log, _) = wal::Log::create(fs, &dir, &identity.encode(), options)?;
    let mark = durable.mark();
    let last = mark.log_id;
    log.save_snapshot(mark)?;
    log.purge(last)?;
    log.save_state(wal::State {
        term: last.term,
        // For itself, so that it gives nobody else a vote in the state's term: elections begin in the next one.
        voted_for: Some(identity.member.get()),
        is_vote_committed: false,
        commit: Some(last),
    })?;
    log.flush()
}
