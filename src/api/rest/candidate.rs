//! Candidates and leaders as documents.

use model::{Identity, KeyValue, Revision};
use node::Claim;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Rest;
use super::holder::{name_of_session, session_of};
use super::names::SessionId;
use super::resource::Resource;
use super::sessions::Session;
use super::value::{Encoding, Wanted};

/// Who leads, and what it proclaims.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Leader {
    /// Its session; whatever ends the candidacy's key, where it was not made by a session of this API.
    #[schema(examples("694d805f7877a227"))]
    pub(crate) session: String,
    /// The name of its session, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// What it proclaims.
    #[schema(value_type = String, examples("10.0.0.7:8080"))]
    pub(crate) value: Value,
    /// How the value is shown.
    pub(crate) encoding: Encoding,
    /// The media type of the value, if the leader said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("text/plain"))]
    pub(crate) content_type: Option<String>,
    /// The term: it rises with every change of the leader. Give it to whatever the leader does, as a fencing token.
    #[schema(examples(1842))]
    pub(crate) term: i64,
    /// The revision at which the value was proclaimed.
    pub(crate) proclaimed_at: i64,
}

/// A candidate that does not lead.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Candidate {
    /// Its session.
    #[schema(examples("694d805f7877a228"))]
    pub(crate) session: String,
    /// What it would proclaim.
    #[schema(value_type = String)]
    pub(crate) value: Value,
    /// How the value is shown.
    pub(crate) encoding: Encoding,
    /// What will be its term, if it comes to lead.
    pub(crate) term: i64,
}

/// A session's candidacy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Candidacy {
    /// The election.
    #[schema(examples("shards"))]
    pub(crate) election: String,
    /// Whether the candidate leads.
    pub(crate) state: Standing,
    /// The term, valid while `state` is `leader`: it rises with every change of the leader.
    #[schema(examples(1842))]
    pub(crate) term: i64,
    /// Place among those who wait: 1 is the next. 0 when it leads.
    #[schema(examples(0))]
    pub(crate) position: usize,
    /// The session.
    #[schema(examples("694d805f7877a227"))]
    pub(crate) session: String,
    /// Who leads, when this candidate waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) leader: Option<Leader>,
    /// The session in full, when it was opened together with the candidacy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) opened_session: Option<Session>,
    /// The candidacy's key.
    #[schema(examples("/default/elections/shards/694d805f7877a227"))]
    pub(crate) etcd_key: String,
    /// The name under which etcd's clients take part: `etcdctl elect <this>`.
    #[schema(examples("/default/elections/shards"))]
    pub(crate) etcd_prefix: String,
    /// What this shows.
    pub(crate) revision: i64,
}

/// Where a candidate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CandidateStanding)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// It leads.
    Leader,
    /// It waits.
    Candidate,
}

impl Leader {
    /// The leader whose key was `kv` at `revision`. What is told beside is looked up in the local store: not knowing it is no reason to
    /// refuse an answer.
    pub(crate) async fn of(
        rest: &Rest,
        caller: &Identity,
        election: &Resource,
        kv: &KeyValue,
        revision: Revision,
    ) -> Self {
        let about = rest.handle.about(caller, &election.meta(), kv, revision).await.ok().flatten();
        let session = session_of(kv);
        let name = match SessionId::parse(&session) {
            Ok(id) => name_of_session(rest, caller, &election.namespace, id).await,
            Err(_) => None,
        };
        let shown = Wanted::Auto.show(&kv.value);
        Self {
            session,
            name,
            value: shown.value,
            encoding: shown.encoding,
            content_type: about.map(|media_type| String::from_utf8_lossy(&media_type).into_owned()),
            term: kv.create_revision.get(),
            proclaimed_at: kv.mod_revision.get(),
        }
    }
}

impl From<&KeyValue> for Candidate {
    fn from(kv: &KeyValue) -> Self {
        let shown = Wanted::Auto.show(&kv.value);
        let (value, encoding) = (shown.value, shown.encoding);
        Self { session: session_of(kv), value, encoding, term: kv.create_revision.get() }
    }
}

impl Candidacy {
    /// The document of `claim` in `election`.
    pub(crate) async fn of(
        rest: &Rest,
        caller: &Identity,
        election: &Resource,
        claim: &Claim,
        opened_session: Option<Session>,
    ) -> Self {
        let leader = match &claim.holder {
            Some(kv) if !claim.is_held() => Some(Leader::of(rest, caller, election, kv, claim.revision).await),
            _ => None,
        };
        Self {
            election: election.name.clone(),
            state: if claim.is_held() { Standing::Leader } else { Standing::Candidate },
            term: claim.token.get(),
            position: claim.ahead(),
            session: SessionId::of(claim.lease).to_string(),
            leader,
            opened_session,
            etcd_key: String::from_utf8_lossy(&claim.key).into_owned(),
            etcd_prefix: election.etcd_name(),
            revision: claim.revision.get(),
        }
    }
}
