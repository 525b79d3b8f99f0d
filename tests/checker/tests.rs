//! The checks pass on good histories, and each fails on a good one with one thing broken.

use crate::checker::history::{
    Answer, Consistency, Delivery, Done, Event, History, Hold, Instant, LeaseCall, LeaseOutcome, LeaseRecord, Op,
    Outcome, Record, Request, Revision, Test, WatchRecord,
};
use crate::checker::model::State;
use crate::checker::{check, linear};

/// How long a request takes, and how long after it the next one is called.
const TOOK: Instant = 10;
const SECOND: u64 = 1_000_000;

/// A store of one thread that writes a history which holds every promise.
struct Store {
    state: State,
    revision: Revision,
    now: Instant,
    history: History,
}

impl Store {
    fn new() -> Self {
        let all = WatchRecord { name: "all".into(), prefix: String::new(), start: 1, deliveries: Vec::new() };
        let some = WatchRecord { name: "some".into(), prefix: "a".into(), start: 3, deliveries: Vec::new() };
        let history = History { watches: vec![all, some], lease_slack: Some(5 * SECOND), ..History::default() };
        Self { state: State::default(), revision: 1, now: 1000, history }
    }

    /// Does a request; its record is the last one then.
    fn request(&mut self, request: Request) {
        let (answer, events) = self.apply(&request);
        self.deliver(events);
        self.record(request, Outcome::Answered(answer));
    }

    fn record(&mut self, request: Request, outcome: Outcome) {
        self.history.records.push(Record { called: self.now, returned: self.now + TOOK, request, outcome });
        self.now += 2 * TOOK;
    }

    fn apply(&mut self, request: &Request) -> (Answer, Vec<Event>) {
        let (mut answer, events) = self.state.answer(request, self.revision + 1);
        if events.is_empty() {
            answer.revision = self.revision;
        } else {
            self.revision += 1;
        }
        self.state.take(&events);
        (answer, events)
    }

    fn deliver(&mut self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let at = self.now + TOOK + 2;
        for watch in &mut self.history.watches {
            let mut events = events.clone();
            events.retain(|event| event.key.starts_with(&watch.prefix) && event.revision >= watch.start);
            if !events.is_empty() {
                watch.deliveries.push(Delivery { at, progress: None, events });
            }
        }
    }

    /// A request of unknown outcome that was done.
    fn lost_answer(&mut self, request: Request) {
        let (_, events) = self.apply(&request);
        self.deliver(events);
        self.record(request, Outcome::Unknown);
    }

    fn lease(&mut self, lease: i64, call: LeaseCall, outcome: LeaseOutcome) {
        let (called, returned) = (self.now, self.now + TOOK);
        self.history.leases.push(LeaseRecord { called, returned, lease, call, outcome });
        self.now += 2 * TOOK;
    }

    /// The end of a lease: all its keys in one revision.
    fn expire(&mut self, lease: i64) {
        self.revision += 1;
        let revision = self.revision;
        let keys: Vec<_> = self.state.of_lease(lease).cloned().collect();
        let events: Vec<Event> =
            keys.into_iter().map(|kv| Event { key: kv.key.clone(), revision, put: None, before: Some(kv) }).collect();
        self.state.take(&events);
        self.deliver(events);
        self.now += 2 * TOOK;
    }

    fn progress(&mut self) {
        let delivery = Delivery { at: self.now, progress: Some(self.revision), events: Vec::new() };
        self.history.watches.iter_mut().for_each(|watch| watch.deliveries.push(delivery.clone()));
        self.now += TOOK;
    }

    fn hold(&mut self, key: &str, last: Instant) {
        let token = self.state.get(key).expect("a claim").create_revision;
        let (from, revision) = (self.now, self.revision);
        let (prefix, key) = ("lock/".to_owned(), key.to_owned());
        self.history.holds.push(Hold { prefix, key, token, from, revision, until: from + last });
        self.now += last + TOOK;
    }
}

fn put(key: &str, value: &str) -> Request {
    leased(key, value, 0)
}

fn leased(key: &str, value: &str, lease: i64) -> Request {
    Request::one(Op::Put { key: key.into(), value: value.into(), lease })
}

fn get(key: &str) -> Request {
    Request::one(Op::Get(key.into()))
}

fn delete(key: &str) -> Request {
    Request::one(Op::Delete(key.into()))
}

fn swap(key: &str, old: &str, new: &str) -> Request {
    let then = vec![Op::Put { key: key.into(), value: new.into(), lease: 0 }];
    let tests = vec![Test::Value(key.into(), old.into())];
    Request { tests, then, otherwise: vec![Op::Get(key.into())], consistency: Consistency::Linearizable }
}

fn both(value: &str) -> Request {
    let put = |key: &str| Op::Put { key: key.into(), value: value.into(), lease: 0 };
    Request { then: vec![put("a"), put("ab"), Op::Delete("b".into())], ..get("a") }
}

/// A bit of everything.
fn good() -> Store {
    let mut store = Store::new();
    store.request(put("a", "1"));
    store.request(put("b", "2"));
    store.request(get("a"));
    store.request(swap("a", "1", "3"));
    store.request(swap("a", "1", "4"));
    store.request(delete("b"));
    store.request(delete("b"));
    store.request(put("b", "5"));
    store.request(both("6"));
    store.request(Request { consistency: Consistency::Serializable, ..get("ab") });
    store.request(Request::one(Op::List("a".into())));
    store.lost_answer(put("a", "7"));
    store.record(put("a", "8"), Outcome::Unknown);
    store.record(put("a", "9"), Outcome::Refused);
    store.lost_answer(delete("ab"));
    store.record(delete("ab"), Outcome::Unknown);
    store.request(get("a"));
    store.progress();
    store.lease(7, LeaseCall::Grant, LeaseOutcome::Alive(2 * SECOND));
    store.request(leased("leased/1", "10", 7));
    store.request(leased("leased/2", "11", 7));
    store.now += SECOND;
    store.lease(7, LeaseCall::KeepAlive, LeaseOutcome::Alive(2 * SECOND));
    store.lease(7, LeaseCall::KeepAlive, LeaseOutcome::Unknown);
    store.now += 2 * SECOND;
    store.expire(7);
    store.lease(7, LeaseCall::KeepAlive, LeaseOutcome::Gone);
    store.request(Request::one(Op::List("leased/".into())));
    store.history.unrecorded.push("lock/".into());
    for (claim, token) in [("lock/x", 21), ("lock/y", 22)] {
        let (_, events) = store.apply(&put(claim, &format!("claim {token}")));
        store.deliver(events);
        store.now += TOOK;
    }
    store.hold("lock/x", 100);
    let (_, events) = store.apply(&delete("lock/x"));
    store.deliver(events);
    store.hold("lock/y", 100);
    store.history.guarded.push("guarded".into());
    store.request(put("guarded", "21: a"));
    let held = Test::Created("lock/y".into(), store.state.get("lock/y").map_or(0, |kv| kv.create_revision));
    store.request(Request { tests: vec![held], ..put("guarded", "22: b") });
    store
}

/// Breaks a good history and expects what one check says about it.
fn broken(expected: &str, breaking: impl FnOnce(&mut History)) {
    let mut history = good().history;
    breaking(&mut history);
    let found = check(&history);
    assert!(found.iter().any(|v| v.to_string().contains(expected)), "{expected:?} is not in {found:#?}");
}

fn answer(record: &mut Record) -> &mut Answer {
    let Outcome::Answered(answer) = &mut record.outcome else { panic!("the record is not answered") };
    answer
}

#[test]
fn a_good_history_is_good() {
    assert_eq!(check(&good().history), []);
}

#[test]
fn a_lost_write_is_found() {
    broken("revisions 3 to 3 were seen by nobody", |history| drop(history.watches[0].deliveries.remove(1)));
    broken("which nobody saw", |history| drop(history.watches[0].deliveries.pop()));
    broken("is not what the log has", |history| {
        let Some(put) = &mut history.watches[0].deliveries[1].events[0].put else { panic!("a put") };
        put.value = "another".into();
    });
}

#[test]
fn members_that_disagree_are_found() {
    broken("log: other saw", |history| {
        let mut other = history.watches[0].clone();
        other.name = "other".into();
        other.deliveries[0].events[0].put = None;
        history.watches.push(other);
    });
}

#[test]
fn a_stale_read_is_found() {
    broken("though others had been told", |history| {
        let answer = answer(&mut history.records[2]);
        (answer.revision, answer.results) = (1, vec![Done::Got(None)]);
    });
}

#[test]
fn a_stale_serializable_read_is_allowed_and_a_wrong_one_is_found() {
    let mut history = good().history;
    let old = answer(&mut history.records[9]);
    (old.revision, old.results) = (3, vec![Done::Got(None)]);
    assert_eq!(check(&history), []);
    broken("but the log says", |history| answer(&mut history.records[9]).results = vec![Done::Got(None)]);
}

#[test]
fn a_read_from_the_future_is_found() {
    broken("though others had been told", |history| {
        let mut early = history.records[9].clone();
        (early.called, early.returned) = (900, 910);
        history.records.push(early);
    });
}

#[test]
fn a_wrong_answer_is_found() {
    broken("but the log says", |history| answer(&mut history.records[4]).passed = true);
    broken("but the log says", |history| answer(&mut history.records[3]).results = vec![Done::Put(None)]);
    broken("is not what the log has", |history| answer(&mut history.records[8]).results[2] = Done::Deleted(None));
}

#[test]
fn a_write_seen_before_it_was_asked_for_is_found() {
    broken("though others had been told", |history| history.watches[0].deliveries[1].at = 1001);
    broken("though others had been told", |history| {
        (history.records[5].called, history.records[5].returned) = (5 * SECOND, 5 * SECOND);
    });
}

#[test]
fn one_revision_acknowledged_twice_is_found() {
    broken("is not what the log has", |history| {
        let twice = history.records[0].clone();
        history.records.push(twice);
    });
}

#[test]
fn a_revision_of_nobody_is_found() {
    broken("nothing that was asked for explains revision 8", |history| history.records[11].outcome = Outcome::Refused);
    broken("nothing that was asked for explains revision 9", |history| {
        history.records.retain(|record| record.request != delete("ab"));
    });
    broken("nothing that was asked for explains revision 8", |history| history.records[11].called = 5 * SECOND);
}

#[test]
fn an_unknown_request_happens_at_most_once() {
    let mut store = good();
    store.lost_answer(delete("a"));
    let request = put("a", "again");
    store.request(request);
    let (_, events) = store.apply(&delete("a"));
    store.deliver(events);
    let found = check(&store.history);
    assert!(found.iter().any(|v| v.what.contains("nothing that was asked for")), "{found:?}");
}

#[test]
fn events_with_wrong_facts_are_found() {
    broken("should be", |history| {
        let Some(put) = &mut history.watches[0].deliveries[2].events[0].put else { panic!("a put") };
        put.version = 7;
    });
}

#[test]
fn what_no_order_explains_is_found_without_revisions() {
    let linear = |history: &History| {
        let mut found = Vec::new();
        linear::check(history, &mut found);
        found
    };
    let mut history = good().history;
    history.watches.clear();
    assert_eq!(linear(&history), []);
    let mut stale = history.clone();
    answer(&mut stale.records[2]).results = vec![Done::Got(None)];
    assert_eq!(linear(&stale).len(), 1, "{stale:?}");
    let mut lost = history.clone();
    lost.records.remove(3);
    assert_eq!(linear(&lost).len(), 1);
    let mut late = history.clone();
    (late.records[0].called, late.records[0].returned) = (5 * SECOND, 5 * SECOND + 1);
    assert_eq!(linear(&late).len(), 1);
    let mut refused = history;
    refused.records[11].outcome = Outcome::Refused;
    assert_eq!(linear(&refused).len(), 1);
}

#[test]
fn concurrent_requests_may_happen_in_any_order() {
    let mut store = Store::new();
    store.request(put("a", "1"));
    let (called, returned) = (store.now, store.now + 50 * TOOK);
    for value in ["2", "3", "4", "5", "6", "7", "8"] {
        store.request(put("a", value));
    }
    store.record(put("a", "9"), Outcome::Unknown);
    store.record(delete("a"), Outcome::Unknown);
    store.request(get("a"));
    for record in &mut store.history.records[1..] {
        (record.called, record.returned) = (called, returned);
    }
    store.history.records.reverse();
    let mut found = Vec::new();
    linear::check(&store.history, &mut found);
    assert_eq!(found, []);
}

#[test]
fn watches_that_skip_repeat_or_reorder_are_found() {
    broken("some: nothing of", |history| history.watches[1].deliveries.swap(0, 1));
    broken("some: nothing of", |history| drop(history.watches[1].deliveries.remove(0)));
    broken("some: an event of 4 after 4", |history| {
        let twice = history.watches[1].deliveries[0].clone();
        history.watches[1].deliveries.insert(1, twice);
    });
    broken("but the watch starts at 5", |history| history.watches[1].start = 5);
    broken("a notice that", |history| {
        let notice = Delivery { at: 5000, progress: Some(8), events: Vec::new() };
        history.watches[1].deliveries.insert(1, notice);
    });
}

#[test]
fn a_revision_in_two_messages_is_found() {
    broken("in one message at 7", |history| {
        let delivery = history.watches[1].deliveries.iter_mut().find(|delivery| delivery.events.len() == 2);
        let delivery = delivery.expect("a revision of two keys");
        delivery.events.pop();
    });
}

#[test]
fn a_wrong_previous_value_is_found_unless_it_was_compacted() {
    let forget = |history: &mut History| history.watches[1].deliveries[0].events[0].before = None;
    broken("but before it there was", forget);
    let mut history = good().history;
    forget(&mut history);
    history.compacted = 5;
    assert_eq!(check(&history), []);
}

#[test]
fn leases_that_end_early_or_rise_or_stay_are_found() {
    broken("lease 7 was gone at", |history| history.leases[1].called += SECOND);
    broken("but had been renewed until", |history| {
        history.leases[3].returned = history.leases[1].returned + SECOND;
    });
    broken("but was renewed by a call", |history| {
        history.leases.push(LeaseRecord { called: 9 * SECOND, returned: 9 * SECOND, ..history.leases[1].clone() });
    });
    broken("still has keys", |history| {
        for watch in &mut history.watches {
            for delivery in &mut watch.deliveries {
                delivery.events.retain(|event| event.put.is_some() || !event.key.starts_with("leased"));
            }
        }
        history.records.last_mut().expect("a record").returned = 60 * SECOND;
    });
}

#[test]
fn keys_of_a_dead_lease_are_found() {
    let mut store = good();
    store.request(leased("leased/3", "12", 7));
    store.request(get("leased/3"));
    let found = check(&store.history);
    assert!(found.iter().any(|v| v.what.contains("attaches a key to it")), "{found:?}");
    assert!(found.iter().any(|v| v.what.contains("still finds a key of it")), "{found:?}");
    broken("nothing that was asked for", |history| {
        let expiry = |delivery: &&mut Delivery| delivery.events.len() == 2 && delivery.events[0].key == "leased/1";
        let expiry = history.watches[0].deliveries.iter_mut().find(expiry);
        expiry.expect("an expiry").events.pop();
    });
}

#[test]
fn locks_held_twice_or_without_a_claim_are_found() {
    broken("out of order or overlap", |history| history.holds[0].until += 200);
    broken("out of order or overlap", |history| {
        let (first, second) = (history.holds[0].from, history.holds[1].from);
        (history.holds[0].from, history.holds[1].from) = (second, first);
    });
    broken("but the oldest claim is lock/x", |history| history.holds[1].revision = history.holds[0].revision);
    broken("but no claim exists", |history| history.holds[0].revision = 3);
    broken("but the oldest claim is", |history| history.holds[1].token += 1);
}

#[test]
fn guarded_writes_out_of_order_are_found() {
    let mut store = good();
    store.request(put("guarded", "21: late"));
    let found = check(&store.history);
    assert!(found.iter().any(|v| v.what.contains("after a write with token 22")), "{found:?}");
}
