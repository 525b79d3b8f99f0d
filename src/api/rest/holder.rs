//! Claims of others, as documents: who holds a lock, who waits for it.

use model::{Identity, KeyRange, KeyValue, RangeRequest};
use recipes::ClaimRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Rest;
use super::names::{Lock, Namespace, SessionId, Sort};
use super::sessions::SessionRecord;

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Holder {
    /// Its session; whatever ends the claim's key, where the claim was not made by a session of this API.
    #[schema(examples("694d805f7877a227"))]
    pub(crate) session: String,
    /// The name of its session, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// What it said about itself when it made the claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Map<String, Value>>)]
    pub(crate) meta: Option<Value>,
    /// Its fencing token: the revision at which it made the claim.
    pub(crate) token: i64,
    /// How it holds a read-write lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<Mode>,
    /// How many permits of a semaphore it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permits: Option<u32>,
}

/// How a read-write lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Alone: a writer.
    Exclusive,
    /// With others: a reader, or a writer that lets readers in.
    Shared,
}

/// A claim that waits.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Waiter {
    /// Its session.
    #[schema(examples("694d805f7877a228"))]
    pub(crate) session: String,
    /// What it said about itself when it made the claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Map<String, Value>>)]
    pub(crate) meta: Option<Value>,
    /// What will be its fencing token.
    pub(crate) token: i64,
    /// How it wants to hold a read-write lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<Mode>,
    /// How many permits of a semaphore it wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permits: Option<u32>,
}

impl Holder {
    /// The holder whose claim is `kv`. Its session's name is looked up in the local store.
    pub(crate) async fn of(rest: &Rest, caller: &Identity, lock: &Lock, kv: &KeyValue) -> Self {
        let session = session_of(kv);
        let name = match SessionId::parse(&session) {
            Ok(id) => name_of_session(rest, caller, &lock.namespace, id).await,
            Err(_) => None,
        };
        let Waiter { session, meta, token, mode, permits } = Waiter::of(lock.sort, kv);
        Self { session, name, meta, token, mode, permits }
    }
}

impl Waiter {
    /// The claim on a lock of that sort whose key is `kv`.
    pub(crate) fn of(sort: Sort, kv: &KeyValue) -> Self {
        let ClaimRecord { meta, permits, .. } = ClaimRecord::read(&kv.value);
        let meta = meta.filter(Value::is_object);
        let permits = (sort == Sort::Semaphore).then(|| permits.unwrap_or(1));
        Self { session: session_of(kv), meta, token: kv.create_revision.get(), mode: mode_of(sort, kv), permits }
    }
}

/// How a claim on a read-write lock holds: the part of its key before the session says so.
fn mode_of(sort: Sort, kv: &KeyValue) -> Option<Mode> {
    let parent = kv.key.rsplit(|byte| *byte == b'/').nth(1);
    (sort == Sort::RwLock).then(|| if parent == Some(b"read") { Mode::Shared } else { Mode::Exclusive })
}

/// The last part of a claim's key.
pub(crate) fn session_of(kv: &KeyValue) -> String {
    let start = kv.key.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    String::from_utf8_lossy(&kv.key[start..]).into_owned()
}

/// A name is told where it is easily known: not knowing it is no reason to refuse an answer.
pub(crate) async fn name_of_session(
    rest: &Rest,
    caller: &Identity,
    namespace: &Namespace,
    session: SessionId,
) -> Option<String> {
    let key = recipes::contender_key(&namespace.session_records(), session.lease());
    let read = RangeRequest { serializable: true, ..RangeRequest::new(KeyRange::Single(key)) };
    let record = rest.handle.range(caller, read).await.ok()?.kvs.pop()?;
    SessionRecord::read(&record.value).name
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use model::Revision;

    use super::*;

    fn claim(key: &'static str, value: &'static [u8]) -> KeyValue {
        let create_revision = Revision::new(7);
        KeyValue { key: key.into(), value: Bytes::from_static(value), create_revision, ..KeyValue::default() }
    }

    #[test]
    fn any_clients_claim_can_be_shown() {
        let ours = Waiter::of(Sort::Lock, &claim("/default/locks/a/1f", br#"{"meta":{"pod":"a-7"}}"#));
        assert_eq!((ours.session.as_str(), ours.token), ("1f", 7));
        assert_eq!(ours.meta, Some(serde_json::json!({"pod": "a-7"})));
        for value in [&b""[..], b"text", b"7", b"\xff"] {
            assert_eq!(Waiter::of(Sort::Lock, &claim("/default/locks/a/1f", value)).meta, None);
        }
        assert_eq!(Waiter::of(Sort::Lock, &claim("no-slash", b"")).session, "no-slash");
        let mode = |key| Waiter::of(Sort::RwLock, &claim(key, b"")).mode;
        assert_eq!(mode("/default/rwlocks/a/read/1f"), Some(Mode::Shared));
        assert_eq!(mode("/default/rwlocks/a/write/1f"), Some(Mode::Exclusive));
        let permits = |value| Waiter::of(Sort::Semaphore, &claim("/default/semaphores/a/claims/1f", value)).permits;
        assert_eq!((permits(b""), permits(br#"{"permits":3}"#)), (Some(1), Some(3)));
    }
}
