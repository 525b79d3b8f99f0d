//! What may be said in a claim, and what it comes to: checks, defaults, contradictions.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use node::{OnTimeout, QueuePolicy, SessionRequest as NodeSession};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::duration::Span;
use super::names::{Lock, SessionId};
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
        let wait = match self.wait {
            Some(span) => span.within("wait", Duration::ZERO, WAIT_MAX)?,
            None => Duration::ZERO,
        };
        let value = meta_value(self.meta)?;
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
        let opened = SessionRequest { ttl: self.ttl, name: self.name, labels: self.labels };
        let (session, opens) = match session {
            Some(id) => (NodeSession::Existing(id.lease()), None),
            None => {
                let (ttl, record) = opened.check()?;
                let new =
                    NodeSession::New { ttl, record_prefix: lock.namespace.session_records(), record: record.write() };
                (new, Some((ttl, record)))
            }
        };
        let request = node::ClaimRequest { prefix: lock.prefix(), session, value, queue, wait, on_timeout };
        Ok(CheckedClaim { request, opens })
    }

    /// What is said and could not be meant is refused: silence would be taken for consent.
    fn check_contradictions(&self, session: Option<SessionId>, answering: Answering) -> Result<(), Problem> {
        let says_of_session = self.ttl.is_some() || self.name.is_some() || self.labels.is_some();
        if session.is_some() && says_of_session {
            return Err(Problem::invalid(
                "ttl, name and labels are of a session that is opened with the claim: .../claims/new",
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

fn meta_value(meta: Option<Map<String, Value>>) -> Result<Bytes, Problem> {
    let Some(meta) = meta else { return Ok(Bytes::new()) };
    let value = serde_json::to_vec(&meta).expect("an object that was JSON is JSON");
    if value.len() > META_BYTES_MAX {
        return Err(Problem::invalid(format!("meta may have at most {META_BYTES_MAX} bytes")));
    }
    Ok(value.into())
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
        assert_eq!(request.prefix, "/default/locks/orders/");
        assert_eq!(request.queue, QueuePolicy::Enqueue { waiting_max: None });
        assert_eq!((request.wait, request.on_timeout), (Duration::ZERO, OnTimeout::Keep));
        assert_eq!(request.value, "");
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
        ] {
            assert!(check(json, session, answering).is_err(), "{json}");
        }
        assert!(once(r#"{"enqueue":false}"#, Some("1f")).is_ok());
    }

    #[test]
    fn meta_is_an_object_and_bounded() {
        assert_eq!(once(r#"{"meta":{"a":1}}"#, None).unwrap().request.value, r#"{"a":1}"#);
        let long = "x".repeat(META_BYTES_MAX);
        assert!(once(&format!(r#"{{"meta":{{"a":"{long}"}}}}"#), None).is_err());
        assert!(serde_json::from_str::<ClaimRequest>(r#"{"meta":[]}"#).is_err());
        assert!(serde_json::from_str::<ClaimRequest>(r#"{"mode":"shared"}"#).is_err(), "unknown fields are refused");
    }
}
