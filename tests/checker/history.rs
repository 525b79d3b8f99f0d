//! What clients record: the vocabulary of all checks.

/// Microseconds since the history began, by one clock for all clients.
pub(crate) type Instant = u64;

/// The store's counter.
pub(crate) type Revision = i64;

/// Everything that the clients of one run have recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) records: Vec<Record>,
    pub(crate) watches: Vec<WatchRecord>,
    pub(crate) leases: Vec<LeaseRecord>,
    pub(crate) holds: Vec<Hold>,
    /// Keys that only holders of a lock write, with values that begin with their token and a colon.
    pub(crate) guarded: Vec<String>,
    /// Keys under these prefixes are written by others than the recorded requests: such revisions need no explanation.
    pub(crate) unrecorded: Vec<String>,
    /// How long after twice its time a lease that nobody renews may still have keys, in microseconds; none does not look.
    pub(crate) lease_slack: Option<Instant>,
    /// The highest revision that a compaction was asked for; below it, watches need not know what was before an event.
    pub(crate) compacted: Revision,
}

/// A key as the store shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) create_revision: Revision,
    pub(crate) mod_revision: Revision,
    pub(crate) version: i64,
    pub(crate) lease: i64,
}

/// A condition of a request on the state before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    /// The key has this value.
    Value(String, String),
    /// The key was created at this revision; 0 is a key that does not exist.
    Created(String, Revision),
}

/// One operation of a request. A request has at most one on each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Writes a value, which no other put of the history writes, with a lease or 0.
    Put { key: String, value: String, lease: i64 },
    /// Removes a key.
    Delete(String),
    /// Reads a key.
    Get(String),
    /// Reads all keys under a prefix.
    List(String),
}

/// What one operation answered: a write with what was there before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Put(Option<KeyValue>),
    Deleted(Option<KeyValue>),
    Got(Option<KeyValue>),
    Listed(Vec<KeyValue>),
}

/// Whether a read is of the newest state or of whatever the member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consistency {
    Linearizable,
    Serializable,
}

/// A transaction; a single operation is one without tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) tests: Vec<Test>,
    /// What is done if all tests pass.
    pub(crate) then: Vec<Op>,
    /// What is done otherwise.
    pub(crate) otherwise: Vec<Op>,
    pub(crate) consistency: Consistency,
}

impl Request {
    /// One operation, unconditional and linearizable.
    pub(crate) fn one(op: Op) -> Self {
        Self { tests: Vec::new(), then: vec![op], otherwise: Vec::new(), consistency: Consistency::Linearizable }
    }
}

/// What a request was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Of the store when the request was done.
    pub(crate) revision: Revision,
    /// Whether the tests passed.
    pub(crate) passed: bool,
    /// One for each operation of the branch taken.
    pub(crate) results: Vec<Done>,
}

/// How a request ended for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Answered(Answer),
    /// It was not done and will never be.
    Refused,
    /// Nobody knows: it may have been done, or may be done later.
    Unknown,
}

/// One request of one client.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) called: Instant,
    /// When the answer was there, or the client gave up.
    pub(crate) returned: Instant,
    pub(crate) request: Request,
    pub(crate) outcome: Outcome,
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) key: String,
    pub(crate) revision: Revision,
    /// What was put; none is a deletion.
    pub(crate) put: Option<KeyValue>,
    /// What was there before, as far as the watch was told.
    pub(crate) before: Option<KeyValue>,
}

/// One watcher's life, over all its reconnections: a reconnected watcher asks for what follows the last event it has.
#[derive(Clone, Debug)]
pub(crate) struct WatchRecord {
    /// Who watched, for messages.
    pub(crate) name: String,
    /// What was watched; empty is the whole store.
    pub(crate) prefix: String,
    /// The first revision asked for.
    pub(crate) start: Revision,
    pub(crate) deliveries: Vec<Delivery>,
}

/// One message of a watch.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) at: Instant,
    /// The revision up to which the message says that the watcher has seen everything: a message without events.
    pub(crate) progress: Option<Revision>,
    pub(crate) events: Vec<Event>,
}

/// What a client asked of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseCall {
    Grant,
    KeepAlive,
    Revoke,
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseOutcome {
    /// The lease lives for so long, in microseconds.
    Alive(u64),
    /// There is no such lease any more.
    Gone,
    /// Nobody knows.
    Unknown,
}

/// One request about a lease.
#[derive(Clone, Debug)]
pub(crate) struct LeaseRecord {
    pub(crate) called: Instant,
    pub(crate) returned: Instant,
    pub(crate) lease: i64,
    pub(crate) call: LeaseCall,
    pub(crate) outcome: LeaseOutcome,
}

/// A time for which a client believed that it held a lock.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    /// The prefix under which the claims on the lock are keys.
    pub(crate) prefix: String,
    /// The holder's claim.
    pub(crate) key: String,
    /// The fencing token: the claim's create revision.
    pub(crate) token: Revision,
    /// When the client was told.
    pub(crate) from: Instant,
    /// The revision at which it was told so.
    pub(crate) revision: Revision,
    /// When the client gave the lock up, or had to take it for lost.
    pub(crate) until: Instant,
}
