//! What the store promises to do with a request: a map of keys, and nothing clever.

use std::collections::BTreeMap;

use super::history::{Answer, Done, Event, KeyValue, Op, Request, Revision, Test};

/// All keys at one revision.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    keys: BTreeMap<String, KeyValue>,
}

impl State {
    /// A key, if it exists.
    pub(crate) fn get(&self, key: &str) -> Option<&KeyValue> {
        self.keys.get(key)
    }

    /// All keys under a prefix, in order.
    pub(crate) fn list<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a KeyValue> {
        self.keys.range(prefix.to_owned()..).map(|(_, kv)| kv).take_while(move |kv| kv.key.starts_with(prefix))
    }

    /// The keys that hang on a lease.
    pub(crate) fn of_lease(&self, lease: i64) -> impl Iterator<Item = &KeyValue> {
        self.keys.values().filter(move |kv| kv.lease == lease)
    }

    /// What a request answers and changes in this state, if it is done at `revision`. The state stays as it is.
    pub(crate) fn answer(&self, request: &Request, revision: Revision) -> (Answer, Vec<Event>) {
        let passed = request.tests.iter().all(|test| self.passes(test));
        let branch = if passed { &request.then } else { &request.otherwise };
        let mut events = Vec::new();
        let results = branch.iter().map(|op| self.perform(op, revision, &mut events)).collect();
        (Answer { revision, passed, results }, events)
    }

    /// Takes the changes of a revision over.
    pub(crate) fn take(&mut self, events: &[Event]) {
        for event in events {
            match &event.put {
                Some(kv) => self.keys.insert(event.key.clone(), kv.clone()),
                None => self.keys.remove(&event.key),
            };
        }
    }

    fn passes(&self, test: &Test) -> bool {
        match test {
            Test::Value(key, value) => self.get(key).is_some_and(|kv| kv.value == *value),
            Test::Created(key, revision) => self.get(key).map_or(0, |kv| kv.create_revision) == *revision,
        }
    }

    fn perform(&self, op: &Op, revision: Revision, events: &mut Vec<Event>) -> Done {
        match op {
            Op::Get(key) => Done::Got(self.get(key).cloned()),
            Op::List(prefix) => Done::Listed(self.list(prefix).cloned().collect()),
            Op::Delete(key) => {
                let before = self.get(key).cloned();
                if before.is_some() {
                    events.push(Event { key: key.clone(), revision, put: None, before: before.clone() });
                }
                Done::Deleted(before)
            }
            Op::Put { key, value, lease } => {
                let before = self.get(key).cloned();
                let (create_revision, version) =
                    before.as_ref().map_or((revision, 1), |kv| (kv.create_revision, kv.version + 1));
                let (key, value, lease) = (key.clone(), value.clone(), *lease);
                let put = KeyValue { key: key.clone(), value, create_revision, mod_revision: revision, version, lease };
                events.push(Event { key, revision, put: Some(put), before: before.clone() });
                Done::Put(before)
            }
        }
    }
}
