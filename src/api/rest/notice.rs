//! Notices: what a session is told about its claims. A notice is a key on the session's lease, one for each session and namespace: the
//! session's streams follow it, and it goes with the session.

use model::{Identity, KeyRange, RangeRequest};
use node::Claim;
use serde::{Deserialize, Serialize};

use super::Rest;
use super::names::{Namespace, SessionId};

/// What a session is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// What happened.
    pub(crate) kind: NoticeKind,
    /// Key of the record of the claim that it is about.
    pub(crate) claim: String,
    /// That claim's token.
    pub(crate) token: i64,
    /// Where the claim is.
    pub(crate) resource: String,
    /// What whoever did it said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Who that was; nothing where nobody has to say who they are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) by: String,
}

/// What a session can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NoticeKind {
    /// The claim was broken.
    Broken,
    /// The claim should be released.
    RevokeRequested,
}

impl Notice {
    /// The notice as it is stored for `session`.
    pub(crate) fn stored(&self, namespace: &Namespace, session: SessionId) -> recipes::Notice {
        let value = serde_json::to_vec(self).expect("texts are always JSON").into();
        recipes::Notice { key: namespace.notice_key(session), value }
    }

    /// The notice in a value; others may write there what they like.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }

    /// What the session was told last, as far as it is known here.
    pub(crate) async fn find(
        rest: &Rest,
        caller: &Identity,
        namespace: &Namespace,
        session: SessionId,
    ) -> Option<Self> {
        let key = KeyRange::Single(namespace.notice_key(session));
        let read = RangeRequest { serializable: true, ..RangeRequest::new(key) };
        let kv = rest.handle.range(caller, read).await.ok()?.kvs.pop()?;
        Self::read(&kv.value)
    }

    /// Whether it says that this claim was broken.
    pub(crate) fn is_breaking(&self, claim: &Claim) -> bool {
        self.kind == NoticeKind::Broken && self.token == claim.token.get() && self.claim.as_bytes() == claim.record
    }
}
