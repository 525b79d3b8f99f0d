//! Claims of others, as documents: who holds a lock, who waits for it.

use model::{Identity, KeyRange, KeyValue, RangeRequest};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Rest;
use super::names::{Lock, Namespace, SessionId};
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
}

impl Holder {
    /// The holder whose claim is `kv`. Its session's name is looked up in the local store.
    pub(crate) async fn of(rest: &Rest, caller: &Identity, lock: &Lock, kv: &KeyValue) -> Self {
        let session = session_of(kv);
        let name = match SessionId::parse(&session) {
            Ok(id) => name_of_session(rest, caller, &lock.namespace, id).await,
            Err(_) => None,
        };
        Self { session, name, meta: meta_of(&kv.value), token: kv.create_revision.get() }
    }
}

impl From<&KeyValue> for Waiter {
    fn from(kv: &KeyValue) -> Self {
        Self { session: session_of(kv), meta: meta_of(&kv.value), token: kv.create_revision.get() }
    }
}

/// The last part of a claim's key.
pub(crate) fn session_of(kv: &KeyValue) -> String {
    let start = kv.key.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    String::from_utf8_lossy(&kv.key[start..]).into_owned()
}

/// A claim's value, if it says anything. Other clients may write there what they like.
pub(crate) fn meta_of(value: &[u8]) -> Option<Value> {
    serde_json::from_slice(value).ok().filter(Value::is_object)
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
        let ours = Waiter::from(&claim("/default/locks/a/1f", br#"{"pod":"a-7"}"#));
        assert_eq!((ours.session.as_str(), ours.token), ("1f", 7));
        assert_eq!(ours.meta, Some(serde_json::json!({"pod": "a-7"})));
        for value in [&b""[..], b"text", b"7", b"\xff"] {
            assert_eq!(Waiter::from(&claim("/default/locks/a/1f", value)).meta, None);
        }
        assert_eq!(Waiter::from(&claim("no-slash", b"")).session, "no-slash");
    }
}
