//! What may be said in a claim, and what it comes to: checks, defaults, contradictions.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use node::{OnTimeout, QueuePolicy, SessionRequest as NodeSession};
use recipes::Place;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::duration::Span;
use super::holder::Mode;
use super::names::{Lock, SessionId, Sort};
use super::problem::Problem;
use super::sessions::{SessionRecord, SessionRequest};

/// Longest time that a request may wait. Proxies rarely allow more than a minute; who is behind one asks again.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(600);

/// Largest `meta` in bytes of JSON.
const META_BYTES_MAX: usize = 4096;

/// A claim to be made. All fields are optional.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ttl": "10s", "wait": "30s", "meta": {"pod": "billing-7"}}))]
pub(crate) struct ClaimRequest {
    /// How long to wait for the lock: up to `10m`. Default `0s`.
    #[schema(value_type = Option<String>, examples("30s"))]
    pub(crate) wait: Option<Span>,
    /// Whether to stand in line when another holds. Default true; with false the answer comes at once.
    pub(crate) enqueue: Option<bool>,
    /// Stand in line only if no more than this many wait then, this claim included.
    pub(crate) max_queue: Option<u32>,
    /// What becomes of the place when the wait ends. Default `keep` for a session that is open, `leave` for a new one.
    pub(crate) on_timeout: Option<WhenTimedOut>,
    /// How to hold a read-write lock: `exclusive`, which is the default, or `shared`.
    pub(crate) mode: Option<Mode>,
    /// How many permits of a semaphore. Default 1.
    pub(crate) permits: Option<u32>,
    /// The locks of a set, which are taken all or none: at most 64.
    pub(crate) locks: Option<Vec<LockOfSet>>,
    /// A name for this hold. A session that holds already holds once more under a new name; the claim is released with the last. At
    /// most 128 bytes.
    #[schema(examples("request-17"))]
    pub(crate) hold: Option<String>,
    /// Whatever holder and waiters shall say about themselves to others: an object of at most 4096 bytes. Of a claim that
    /// there is already it stays as it was.
    #[schema(value_type = Option<serde_json::Map<String, Value>>)]
    pub(crate) meta: Option<Map<String, Value>>,
    /// Only with a new session: its TTL. Default `10s`.
    #[schema(value_type = Option<String>, examples("10s"))]
    pub(crate) ttl: Option<Span>,
    /// Only with a new session: its name.
    pub(crate) name: Option<String>,
    /// Only with a new session: its labels.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// Only with a new session: how long it lives after its stream was closed.
    #[schema(value_type = Option<String>, examples("2s"))]
    pub(crate) disconnect_grace: Option<Span>,
}

/// A lock of a set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockOfSet {
    /// Its name.
    #[schema(examples("account-7"))]
    pub(crate) name: String,
    /// `exclusive`, which is all that there is.
    pub(crate) mode: Option<Mode>,
}

/// What becomes of a place in line when the wait ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WhenTimedOut {
    /// It stays: come back for it with the same request.
    Keep,
    /// It is given back.
    Leave,
}

/// A claim that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckedClaim {
    pub(crate) request: node::ClaimRequest,
    /// What is to be opened with it: TTL in seconds, record.
    pub(crate) opens: Option<(i64, SessionRecord)>,
}

/// How the claim is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answering {
    /// Once.
    Once,
    /// As a stream, which lasts as long as the client wants.
    Streaming,
}

impl ClaimRequest {
    /// The claim on `lock` for `session`, a new one if that is `None`.
    pub(crate) fn check(
        self,
        lock: &Lock,
        session: Option<SessionId>,
        answering: Answering,
    ) -> Result<CheckedClaim, Problem> {
        self.check_contradictions(session, answering)?;
        let places = self.places(lock)?;
        let wait = match self.wait {
            Some(span) => span.within("wait", Duration::ZERO, WAIT_MAX)?,
            None => Duration::ZERO,
        };
        let meta = meta_value(self.meta)?;
        let hold = hold_name(self.hold)?;
        let on_timeout = match (self.on_timeout, session) {
            (Some(WhenTimedOut::Keep), _) | (None, Some(_)) => OnTimeout::Keep,
            (Some(WhenTimedOut::Leave), _) | (None, None) => OnTimeout::Leave,
        };
        // Who neither waits nor keeps the place only wants to try: nothing is written if that fails.
        let tries = answering == Answering::Once && wait.is_zero() && on_timeout == OnTimeout::Leave;
        let queue = match self.enqueue {
            Some(false) => QueuePolicy::TryOnly,
            _ if tries => QueuePolicy::TryOnly,
            Some(true) | None => QueuePolicy::Enqueue { waiting_max: self.max_queue },
        };
        let opened = SessionRequest {
            ttl: self.ttl,
            name: self.name,
            labels: self.labels,
            disconnect_grace: self.disconnect_grace,
        };
        let (session, opens) = match session {
            Some(id) => (NodeSession::Existing(id.lease()), None),
            None => {
                let (ttl, record) = opened.check()?;
                let new =
                    NodeSession::New { ttl, record_prefix: lock.namespace.session_records(), record: record.write() };
                (new, Some((ttl, record)))
            }
        };
        let records = lock.records_apart();
        let request = node::ClaimRequest { places, records, session, hold, meta, queue, wait, on_timeout };
        Ok(CheckedClaim { request, opens })
    }

    /// The places that are claimed.
    fn places(&self, lock: &Lock) -> Result<Vec<Place>, Problem> {
        let prefix = lock.prefix();
        let belongs = |said: bool, sort: Sort| !said || lock.sort == sort;
        let is_plain = lock.sort == Sort::Lock && self.mode == Some(Mode::Exclusive);
        if !(is_plain || belongs(self.mode.is_some(), Sort::RwLock)) {
            return Err(Problem::invalid("mode is of a read-write lock: /rw-locks/{name}. A lock is always exclusive"));
        }
        if !belongs(self.permits.is_some(), Sort::Semaphore) || self.permits == Some(0) {
            return Err(Problem::invalid("permits are of a semaphore: /semaphores/{name}; at least 1"));
        }
        if self.locks.is_some() != (lock.sort == Sort::LockSet) {
            return Err(Problem::invalid("locks are of a set, which needs them: /lock-sets/{id}"));
        }
        Ok(match lock.sort {
            Sort::Lock => vec![Place::Mutex { prefix }],
            Sort::RwLock => vec![match self.mode.unwrap_or(Mode::Exclusive) {
                Mode::Exclusive => Place::Writer { prefix },
                Mode::Shared => Place::Reader { prefix },
            }],
            Sort::Semaphore => {
                vec![Place::Permits { prefix, limit: lock.limit_key(), permits: self.permits.unwrap_or(1) }]
            }
            Sort::LockSet => self.locks.iter().flatten().map(|one| one.place(lock)).collect::<Result<_, _>>()?,
        })
    }

    /// What is said and could not be meant is refused: silence would be taken for consent.
    fn check_contradictions(&self, session: Option<SessionId>, answering: Answering) -> Result<(), Problem> {
        let says_of_session =
            self.ttl.is_some() || self.name.is_some() || self.labels.is_some() || self.disconnect_grace.is_some();
        if session.is_some() && says_of_session {
            return Err(Problem::invalid(
                "ttl, name, labels and disconnect_grace are of a session that is opened with the claim: .../claims/new",
            ));
        }
        let says_of_waiting = self.wait.is_some() || self.on_timeout.is_some();
        if answering == Answering::Streaming && says_of_waiting {
            return Err(Problem::invalid(
                "a stream lasts as long as its connection: wait and on_timeout have no place in it",
            ));
        }
        if self.enqueue == Some(false) && (says_of_waiting || self.max_queue.is_some()) {
            return Err(Problem::invalid(
                "with enqueue=false there is no line: wait, max_queue and on_timeout have no place in it",
            ));
        }
        Ok(())
    }
}

pub(crate) fn meta_value(meta: Option<Map<String, Value>>) -> Result<Bytes, Problem> {
    let Some(meta) = meta else { return Ok(Bytes::new()) };
    let value = serde_json::to_vec(&meta).expect("an object that was JSON is JSON");
    if value.len() > META_BYTES_MAX {
        return Err(Problem::invalid(format!("meta may have at most {META_BYTES_MAX} bytes")));
    }
    Ok(value.into())
}

fn hold_name(hold: Option<String>) -> Result<Bytes, Problem> {
    let hold = hold.unwrap_or_default();
    if hold.len() > recipes::HOLD_BYTES_MAX || hold.chars().any(char::is_control) {
        return Err(Problem::invalid(format!(
            "the name of a hold has at most {} bytes without control characters",
            recipes::HOLD_BYTES_MAX
        )));
    }
    Ok(hold.into())
}

impl LockOfSet {
    fn place(&self, set: &Lock) -> Result<Place, Problem> {
        if self.mode == Some(Mode::Shared) {
            return Err(Problem::invalid("the locks of a set are exclusive"));
        }
        let lock = Lock::of(Sort::Lock, set.namespace.clone(), &self.name)?;
        Ok(Place::Mutex { prefix: lock.prefix() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::Namespace;
    use super::*;

    fn check(json: &str, session: Option<&str>, answering: Answering) -> Result<CheckedClaim, Problem> {
        let lock = Lock::parse(Namespace::default(), "orders").unwrap();
        let session = session.map(|id| SessionId::parse(id).unwrap());
        serde_json::from_str::<ClaimRequest>(json).unwrap().check(&lock, session, answering)
    }

    fn once(json: &str, session: Option<&str>) -> Result<CheckedClaim, Problem> {
        check(json, session, Answering::Once)
    }

    #[test]
    fn an_open_session_stands_in_line_by_default() {
        let request = once("{}", Some("1f")).unwrap().request;
        assert_eq!(request.places, [Place::Mutex { prefix: "/default/locks/orders/".into() }]);
        assert_eq!(request.queue, QueuePolicy::Enqueue { waiting_max: None });
        assert_eq!((request.wait, request.on_timeout), (Duration::ZERO, OnTimeout::Keep));
        assert_eq!(request.meta, "");
    }

    #[test]
    fn a_new_session_leaves_by_default_and_so_only_tries_without_a_wait() {
        let tries = once(r#"{"ttl":"3s"}"#, None).unwrap();
        assert_eq!((tries.request.queue, tries.request.on_timeout), (QueuePolicy::TryOnly, OnTimeout::Leave));
        assert_eq!(tries.opens, Some((3, SessionRecord::default())));
        let waits = once(r#"{"wait":"30s","max_queue":7}"#, None).unwrap().request;
        assert_eq!(waits.queue, QueuePolicy::Enqueue { waiting_max: Some(7) });
        assert_eq!((waits.wait, waits.on_timeout), (Duration::from_secs(30), OnTimeout::Leave));
        let keeps = once(r#"{"on_timeout":"keep"}"#, None).unwrap().request;
        assert_eq!(keeps.queue, QueuePolicy::Enqueue { waiting_max: None });
        let streams = check("{}", None, Answering::Streaming).unwrap().request;
        assert_eq!(streams.queue, QueuePolicy::Enqueue { waiting_max: None });
    }

    #[test]
    fn contradictions_are_refused() {
        for (json, session, answering) in [
            (r#"{"ttl":"10s"}"#, Some("1f"), Answering::Once),
            (r#"{"name":"a"}"#, Some("1f"), Answering::Once),
            (r#"{"labels":{}}"#, Some("1f"), Answering::Once),
            (r#"{"enqueue":false,"wait":"1s"}"#, None, Answering::Once),
            (r#"{"enqueue":false,"max_queue":1}"#, None, Answering::Once),
            (r#"{"enqueue":false,"on_timeout":"keep"}"#, None, Answering::Once),
            (r#"{"wait":"1s"}"#, None, Answering::Streaming),
            (r#"{"on_timeout":"keep"}"#, None, Answering::Streaming),
            (r#"{"wait":"601s"}"#, None, Answering::Once),
            (r#"{"ttl":"0s"}"#, None, Answering::Once),
            (r#"{"mode":"shared"}"#, None, Answering::Once),
            (r#"{"permits":2}"#, None, Answering::Once),
            (r#"{"locks":[{"name":"a"}]}"#, None, Answering::Once),
            (r#"{"hold":"a\u0000"}"#, None, Answering::Once),
        ] {
            assert!(check(json, session, answering).is_err(), "{json}");
        }
        assert!(once(r#"{"enqueue":false}"#, Some("1f")).is_ok());
    }

    #[test]
    fn each_sort_of_lock_has_places_of_its_own() {
        let places = |sort, json| {
            let lock = Lock::of(sort, Namespace::default(), "a").unwrap();
            let checked = serde_json::from_str::<ClaimRequest>(json).unwrap().check(&lock, None, Answering::Once);
            checked.map(|checked| (checked.request.places, checked.request.records))
        };
        let rw = Bytes::from("/default/rwlocks/a/");
        let records = Some(Bytes::from("/default/_meta/rwlocks/a/"));
        let writer = places(Sort::RwLock, "{}").unwrap();
        assert_eq!(writer, (vec![Place::Writer { prefix: rw.clone() }], records.clone()));
        let reader = places(Sort::RwLock, r#"{"mode":"shared"}"#).unwrap();
        assert_eq!(reader, (vec![Place::Reader { prefix: rw }], records));
        let limit = Bytes::from("/default/_meta/semaphores/a");
        let permits = Place::Permits { prefix: "/default/semaphores/a/claims/".into(), limit, permits: 3 };
        assert_eq!(places(Sort::Semaphore, r#"{"permits":3}"#).unwrap(), (vec![permits], None));
        let set = places(Sort::LockSet, r#"{"locks":[{"name":"x"},{"name":"y","mode":"exclusive"}]}"#).unwrap();
        assert_eq!(set.0.len(), 2);
        assert_eq!(set.1.as_deref(), Some(&b"/default/_meta/locksets/a/"[..]));
        for (sort, json) in [
            (Sort::Semaphore, r#"{"permits":0}"#),
            (Sort::Semaphore, r#"{"mode":"shared"}"#),
            (Sort::LockSet, "{}"),
            (Sort::LockSet, r#"{"locks":[{"name":"x","mode":"shared"}]}"#),
            (Sort::LockSet, r#"{"locks":[{"name":""}]}"#),
        ] {
            assert!(places(sort, json).is_err(), "{json}");
        }
    }

    #[test]
    fn meta_is_an_object_and_bounded() {
        assert_eq!(once(r#"{"meta":{"a":1}}"#, None).unwrap().request.meta, r#"{"a":1}"#);
        let long = "x".repeat(META_BYTES_MAX);
        assert!(once(&format!(r#"{{"meta":{{"a":"{long}"}}}}"#), None).is_err());
        assert!(serde_json::from_str::<ClaimRequest>(r#"{"meta":[]}"#).is_err());
        assert!(serde_json::from_str::<ClaimRequest>(r#"{"moed":"shared"}"#).is_err(), "unknown fields are refused");
    }
}
