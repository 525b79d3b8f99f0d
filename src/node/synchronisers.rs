//! Barriers, latches, counters and groups: their commands, and waiting until something is true of their keys.
//!
//! Who waits is told what the keys of one revision say, from the revision of its own command on, so it cannot miss what it waits for
//! (T26), and the end of a stream is never taken for it (T8). A request that made a party's key and is dropped before it was answered
//! deletes that key again.

use std::time::Duration;

use bytes::Bytes;
use model::{Identity, KeyRange, KeyValue, RangeRequest, Revision};
use recipes::sync::{
    Arrive, ArriveOutcome, Enter, EnterOutcome, Join, JoinOutcome, Leave, Round, SyncCommand, SyncOutcome,
};

use crate::claim_guard::Guard;
use crate::error::Error;
use crate::handle::Handle;
use crate::key_follower::Keys;

/// What came of waiting with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met<T> {
    /// As the recipe decided, or as it has become since.
    Decided(T),
    /// The party's key went away while it waited: its session ended, or it was deleted from elsewhere.
    Lost,
}

/// How a round of a double barrier was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftRound {
    /// The round.
    pub generation: u64,
    /// How many have not left yet; nobody waits for those of a round that never became ready.
    pub remaining: usize,
    /// Revision of the store when this was seen.
    pub revision: Revision,
}

impl Handle {
    /// Has a synchroniser's command carried out: the revision of the store after it, and what came of it.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn synchronise(
        &self,
        identity: Identity,
        command: SyncCommand,
    ) -> Result<(Revision, SyncOutcome), Error> {
        match self.recipe(identity, recipes::Command::Sync(command)).await? {
            (revision, recipes::Outcome::Sync(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("a synchroniser was answered by {other:?}"),
        }
    }

    /// Enters a double barrier and waits until its round is ready, or for so long. Returns the revision at which that was seen.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Asking again for the same session is safe.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes back a party that it made.
    pub async fn enter(
        &self,
        identity: Identity,
        enter: Enter,
        wait: Duration,
    ) -> Result<(Revision, Met<EnterOutcome>), Error> {
        let (prefix, record) = (enter.prefix.clone(), enter.record.clone());
        let (revision, outcome) = self.synchronise(identity.clone(), SyncCommand::Enter(enter)).await?;
        let outcome = match outcome {
            SyncOutcome::Enter(outcome) => outcome,
            other => unreachable!("entering was answered by {other:?}"),
        };
        let EnterOutcome::Entering { party, is_new, generation, mut present } = outcome else {
            return Ok((revision, Met::Decided(outcome)));
        };
        let place = Guard::of_party(self, &party, is_new);
        let (waiters, ready) = ([&prefix[..], b"waiters/"].concat(), [&prefix[..], b"ready"].concat());
        let decided = self.wait_since(&identity, KeyRange::prefix(prefix), revision, wait, |keys| {
            present = keys.iter().filter(|kv| kv.key.starts_with(&waiters)).count();
            if !is_there(keys, &party) {
                return Some(None);
            }
            keys.get(&ready).map(|_| Some(keys.revision()))
        });
        let (revision, met) = match decided.await? {
            Some(Some(revision)) => (revision, Met::Decided(EnterOutcome::Ready { party, is_new, generation })),
            Some(None) => (self.revision(), self.lost_in(&identity, record, party, is_new, generation).await?),
            None => {
                let outcome = EnterOutcome::Entering { party, is_new, generation, present };
                (self.revision(), Met::Decided(outcome))
            }
        };
        Ok((revision, place.keep(met)))
    }

    /// What became of a round whose party is gone: it may have become ready before.
    async fn lost_in(
        &self,
        identity: &Identity,
        record: Bytes,
        party: KeyValue,
        is_new: bool,
        generation: u64,
    ) -> Result<Met<EnterOutcome>, Error> {
        if self.round(identity, record).await?.ready == generation {
            return Ok(Met::Decided(EnterOutcome::Ready { party, is_new, generation }));
        }
        Ok(Met::Lost)
    }

    /// What is remembered of a double barrier's rounds.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn round(&self, caller: &Identity, record: Bytes) -> Result<Round, Error> {
        let read = self.range(caller, RangeRequest::new(KeyRange::Single(record))).await?;
        Ok(read.kvs.first().map_or_else(Round::default, |kv| Round::read(&kv.value)))
    }

    /// Leaves a double barrier and waits until all have left, or for so long.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Leaving twice is safe.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not undo the leaving.
    pub async fn leave(&self, identity: Identity, leave: Leave, wait: Duration) -> Result<LeftRound, Error> {
        let (prefix, record) = (leave.prefix.clone(), leave.record.clone());
        let (revision, outcome) = self.synchronise(identity.clone(), SyncCommand::Leave(leave)).await?;
        let SyncOutcome::Left { generation, mut remaining, was_ready } = outcome else {
            unreachable!("leaving was answered by {outcome:?}")
        };
        if remaining == 0 || !was_ready {
            return Ok(LeftRound { generation, remaining: 0, revision });
        }
        let waiters = [&prefix[..], b"waiters/"].concat();
        let decided = self.wait_since(&identity, KeyRange::prefix(prefix), revision, wait, |keys| {
            remaining = keys.iter().filter(|kv| kv.key.starts_with(&waiters)).count();
            (remaining == 0).then_some(keys.revision())
        });
        let revision = match decided.await? {
            Some(revision) => revision,
            // If history was compacted meanwhile, the next round may have begun unseen.
            None if self.round(&identity, record).await?.generation > generation => {
                remaining = 0;
                self.revision()
            }
            None => self.revision(),
        };
        Ok(LeftRound { generation, remaining, revision })
    }

    /// Arrives at a cyclic barrier and waits until it trips, or for so long. Returns the revision at which that was seen.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Asking again for the same session and generation is safe.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes back a party that it made.
    pub async fn arrive(
        &self,
        identity: Identity,
        arrive: Arrive,
        wait: Duration,
    ) -> Result<(Revision, Met<ArriveOutcome>), Error> {
        let prefix = arrive.prefix.clone();
        let (revision, outcome) = self.synchronise(identity.clone(), SyncCommand::Arrive(arrive)).await?;
        let outcome = match outcome {
            SyncOutcome::Arrive(outcome) => outcome,
            other => unreachable!("arriving was answered by {other:?}"),
        };
        let ArriveOutcome::Waiting { party, is_new, generation, mut arrived } = outcome else {
            return Ok((revision, Met::Decided(outcome)));
        };
        let place = Guard::of_party(self, &party, is_new);
        let (parties, record) = ([&prefix[..], b"parties/"].concat(), [&prefix[..], b"generation"].concat());
        let decided = self.wait_since(&identity, KeyRange::prefix(prefix), revision, wait, |keys| {
            arrived = keys.iter().filter(|kv| kv.key.starts_with(&parties)).count();
            let now = keys.get(&record).and_then(|kv| recipes::sync::generation(&kv.value));
            if now.is_some_and(|now| now > generation) {
                return Some(Some(keys.revision()));
            }
            (!is_there(keys, &party)).then_some(None)
        });
        let (revision, met) = match decided.await? {
            Some(Some(revision)) => (revision, Met::Decided(ArriveOutcome::Tripped { generation })),
            Some(None) => (self.revision(), Met::Lost),
            None => {
                let outcome = ArriveOutcome::Waiting { party, is_new, generation, arrived };
                (self.revision(), Met::Decided(outcome))
            }
        };
        Ok((revision, place.keep(met)))
    }

    /// Joins a group, or changes the member's value.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Joining twice is safe.
    pub async fn join(&self, identity: Identity, join: Join) -> Result<(Revision, JoinOutcome), Error> {
        match self.synchronise(identity, SyncCommand::Join(join)).await? {
            (revision, SyncOutcome::Join(outcome)) => Ok((revision, outcome)),
            (_, other) => unreachable!("joining was answered by {other:?}"),
        }
    }
}

/// Whether a party's key is the one that it was.
fn is_there(keys: &Keys, party: &KeyValue) -> bool {
    keys.get(&party.key).is_some_and(|kv| kv.create_revision == party.create_revision)
}
