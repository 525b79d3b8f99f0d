//! What happens to the keys of a session, for those who follow it: every key that is put on its lease or goes from it, and its end.
//!
//! A feed is bounded. One whose reader does not keep up, and every one when changes were missed, ends; its reader looks at the
//! state and follows anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{AppliedBatch, Change, EventKind, LeaseChange, LeaseId};
use tokio::sync::mpsc;

/// Facts of one feed that may wait for its reader.
const FACTS_MAX: usize = 256;

/// What happened to a session.
#[derive(Clone, Debug)]
pub enum SessionFact {
    /// A revision in which keys were put on its lease or went from it, beside whatever else it changed.
    Changed(Arc<Change>),
    /// It ends sooner than it would have, unless it is renewed.
    Shortened,
    /// It ended, and all its keys are gone. Nothing follows.
    Ended,
}

/// What happens to the keys of one session, in order.
#[derive(Debug)]
pub struct SessionFeed {
    facts: mpsc::Receiver<SessionFact>,
}

impl SessionFeed {
    /// What happens next; `None` when the feed has ended: after [`SessionFact::Ended`], or because facts were missed.
    ///
    /// # Cancel safety
    ///
    /// No fact is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<SessionFact> {
        self.facts.recv().await
    }
}

/// All feeds of this member.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    by_lease: BTreeMap<LeaseId, Vec<mpsc::Sender<SessionFact>>>,
}

impl Feeds {
    /// A feed of what is followed from now on.
    pub(crate) fn open(&mut self, lease: LeaseId) -> SessionFeed {
        let (sender, facts) = mpsc::channel(FACTS_MAX);
        self.by_lease.entry(lease).or_default().push(sender);
        SessionFeed { facts }
    }

    pub(crate) fn follow(&mut self, batch: &AppliedBatch) {
        if self.by_lease.is_empty() {
            return;
        }
        for change in &batch.changes {
            self.follow_change(change);
        }
        for change in &batch.leases {
            match *change {
                LeaseChange::Revoked { id } => {
                    self.tell(id, &SessionFact::Ended);
                    self.by_lease.remove(&id);
                }
                LeaseChange::Checkpointed { id, remaining: 1.. } => self.tell(id, &SessionFact::Shortened),
                LeaseChange::Checkpointed { .. } | LeaseChange::Granted { .. } => {}
            }
        }
    }

    fn follow_change(&mut self, change: &Change) {
        let mut leases: Vec<LeaseId> = Vec::new();
        for event in change.events.iter() {
            let before = event.previous.as_ref().map(|previous| previous.lease);
            let now = (event.kind == EventKind::Put).then_some(event.kv.lease);
            let concerned = before.into_iter().chain(now).filter(|lease| self.by_lease.contains_key(lease));
            leases.extend(concerned);
        }
        leases.sort_unstable();
        leases.dedup();
        if leases.is_empty() {
            return;
        }
        let fact = SessionFact::Changed(Arc::new(change.clone()));
        for lease in leases {
            self.tell(lease, &fact);
        }
    }

    /// Tells all feeds of a lease. One that is full, or that nobody reads, ends.
    fn tell(&mut self, lease: LeaseId, fact: &SessionFact) {
        if let Some(feeds) = self.by_lease.get_mut(&lease) {
            feeds.retain(|feed| feed.try_send(fact.clone()).is_ok());
        }
    }

    /// Changes were missed: every feed ends.
    pub(crate) fn miss(&mut self) {
        self.by_lease.clear();
    }

    /// Forgets the feeds that nobody reads.
    pub(crate) fn sweep(&mut self) {
        self.by_lease.retain(|_, feeds| {
            feeds.retain(|feed| !feed.is_closed());
            !feeds.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use model::{Event, KeyValue, LogId, Revision};

    use super::*;

    fn batch(events: Vec<Event>, leases: Vec<LeaseChange>) -> AppliedBatch {
        let revision = Revision::new(2);
        let changes = if events.is_empty() { vec![] } else { vec![Change { revision, events: events.into() }] };
        AppliedBatch {
            applied: LogId::default(),
            revision,
            compact_revision: Revision::ZERO,
            changes,
            leases,
            auth: Vec::new(),
        }
    }

    fn put(lease: i64) -> Event {
        let kv = KeyValue { key: "k".into(), lease: LeaseId::new(lease), ..KeyValue::default() };
        Event { kind: EventKind::Put, kv, previous: None }
    }

    #[tokio::test]
    async fn a_feed_tells_of_its_own_lease_and_ends_with_it() {
        let mut feeds = Feeds::default();
        let mut feed = feeds.open(LeaseId::new(7));
        feeds.follow(&batch(vec![put(8)], vec![]));
        feeds.follow(&batch(vec![put(8), put(7)], vec![]));
        let id = LeaseId::new(7);
        feeds.follow(&batch(vec![], vec![LeaseChange::Checkpointed { id, remaining: 0 }]));
        feeds.follow(&batch(vec![], vec![LeaseChange::Checkpointed { id, remaining: 2 }]));
        feeds.follow(&batch(vec![], vec![LeaseChange::Revoked { id }]));
        let Some(SessionFact::Changed(change)) = feed.next().await else { panic!("a change") };
        assert_eq!(change.events.len(), 2, "the revision as a whole");
        assert!(matches!(feed.next().await, Some(SessionFact::Shortened)));
        assert!(matches!(feed.next().await, Some(SessionFact::Ended)));
        assert!(feed.next().await.is_none());
        assert!(feeds.by_lease.is_empty());
    }

    #[tokio::test]
    async fn a_feed_that_nobody_reads_in_time_ends_instead_of_growing() {
        let mut feeds = Feeds::default();
        let mut feed = feeds.open(LeaseId::new(7));
        for _ in 0..=FACTS_MAX {
            feeds.follow(&batch(vec![put(7)], vec![]));
        }
        for _ in 0..FACTS_MAX {
            assert!(feed.next().await.is_some());
        }
        assert!(feed.next().await.is_none());
    }
}
