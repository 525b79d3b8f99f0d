//! What happens to a configuration, revision by revision: the changes of all its layers in one order.
//!
//! Each layer is a watcher of its own, and while one of them is behind, what another says may be newer than what it will say. So
//! changes are held back until all watchers have come as far as the store was when they began; after that they come in order. If a
//! watcher falls behind later, because nobody listened, what it then says of the past is already contained in what was told.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Event, Revision};
use node::{WatchMessage, WatchRequest, WatchStream};
use tokio::time::timeout;

use super::layers::{Asked, Pointers};
use crate::rest::Rest;

/// Messages of the hub that wait for who follows.
const QUEUED_MESSAGES: usize = 16;

/// Most revisions that are held back; when there are more, they are told before their turn is certain.
const HELD_BACK_MAX: usize = 1000;

/// How long until the hub is asked again whether all watchers have caught up.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// The changes of a configuration after a revision.
pub(crate) struct Changes {
    stream: WatchStream,
    asked: Asked,
    pointers: Pointers,
    /// Everything up to here is in `pointers`.
    seen: Revision,
    /// Changes that were heard and not told yet.
    held: BTreeMap<Revision, Vec<Event>>,
    /// Until all watchers have come so far, changes are held back.
    aligned_at: Option<Revision>,
    is_compacted: bool,
}

/// What became of a configuration.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It may lead elsewhere, from this revision on.
    Changed(Revision),
    /// Nothing that was not told happened up to here.
    Progress(Revision),
    /// What happened is no longer kept.
    Compacted,
}

impl Changes {
    /// Everything after `seen`, as of which `pointers` are.
    pub(crate) async fn after(rest: &Rest, asked: &Asked, seen: Revision, pointers: Pointers) -> Self {
        let stream = rest.handle.watch(QUEUED_MESSAGES);
        for range in asked.ranges() {
            stream.create(WatchRequest::new(range).starting_at(seen.next())).await;
        }
        let now = rest.handle.revision();
        let aligned_at = (now > seen && asked.layers.len() > 1).then_some(now);
        if aligned_at.is_some() {
            stream.request_progress().await;
        }
        Self { stream, asked: asked.clone(), pointers, seen, held: BTreeMap::new(), aligned_at, is_compacted: false }
    }

    /// Asks to be told how far nothing happened.
    pub(crate) async fn request_progress(&self) {
        self.stream.request_progress().await;
    }

    /// What leads where, as of all that was told.
    pub(crate) fn pointers(&self) -> &Pointers {
        &self.pointers
    }

    /// How far, and what leads where.
    pub(crate) fn seen(&self) -> (Revision, &Pointers) {
        (self.seen, &self.pointers)
    }

    /// Takes all that was heard already into account: the last revision that changed something, if one did.
    pub(crate) fn catch_up(&mut self) -> Option<Revision> {
        let (last, _) = self.held.last_key_value()?;
        self.seen = self.seen.max(*last);
        for event in std::mem::take(&mut self.held).into_values().flatten() {
            self.pointers.follow(&self.asked, &event);
        }
        Some(self.seen)
    }

    /// How many changes were heard of already and not told: many, if nobody listened for a while.
    pub(crate) fn piled_up(&mut self) -> usize {
        while self.held.len() < HELD_BACK_MAX
            && let Some(message) = self.stream.try_recv()
        {
            // That nothing happened is no news to who is behind.
            let _ = self.take(message);
        }
        if self.aligned_at.is_none() { self.held.len() } else { 0 }
    }

    /// What leads where after the next change; `None` when it can no longer be told.
    ///
    /// # Cancel safety
    ///
    /// A change is not lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Option<(Revision, Pointers)> {
        loop {
            match self.hear().await? {
                Heard::Changed(revision) => return Some((revision, self.pointers.clone())),
                Heard::Progress(_) => {}
                Heard::Compacted => return None,
            }
        }
    }

    /// What happens next; `None` when the member stops.
    ///
    /// # Cancel safety
    ///
    /// A change is not lost when the future is dropped.
    pub(crate) async fn hear(&mut self) -> Option<Heard> {
        loop {
            if self.aligned_at.is_none()
                && let Some((revision, events)) = self.held.pop_first()
            {
                self.seen = self.seen.max(revision);
                events.iter().for_each(|event| self.pointers.follow(&self.asked, event));
                return Some(Heard::Changed(self.seen));
            }
            if self.is_compacted {
                return Some(Heard::Compacted);
            }
            let message = if self.aligned_at.is_none() {
                self.stream.recv().await?
            } else if let Ok(message) = timeout(ASK_AGAIN_AFTER, self.stream.recv()).await {
                message?
            } else {
                // A question that comes while a watcher is behind has no answer.
                self.stream.request_progress().await;
                continue;
            };
            if let Some(revision) = self.take(message) {
                return Some(Heard::Progress(revision));
            }
        }
    }

    /// Notes what the hub says: how far nothing happened, if it says that.
    fn take(&mut self, message: WatchMessage) -> Option<Revision> {
        match message {
            WatchMessage::Events(events) => {
                for event in events.iter().filter(|event| self.asked.concerns(&event.kv.key)) {
                    self.held.entry(event.kv.mod_revision).or_default().push(event.clone());
                }
                if self.held.len() >= HELD_BACK_MAX {
                    self.aligned_at = None;
                }
                None
            }
            WatchMessage::Progress { id: None, revision } => {
                self.aligned_at = self.aligned_at.filter(|aligned| revision < *aligned);
                let told_all = self.held.is_empty() && self.aligned_at.is_none() && revision > self.seen;
                if told_all {
                    self.seen = revision;
                }
                told_all.then_some(revision)
            }
            WatchMessage::Progress { id: Some(_), .. } | WatchMessage::Created { .. } => None,
            // The ranges are not empty and nobody cancels: whatever it is, who follows has to begin anew.
            WatchMessage::Compacted { .. } | WatchMessage::CreateRefused { .. } | WatchMessage::Canceled { .. } => {
                self.is_compacted = true;
                None
            }
        }
    }
}
