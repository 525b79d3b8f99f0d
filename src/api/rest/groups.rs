//! Groups: who is there. A member is there as long as its session; each event tells all members.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use model::{KeyRange, KeyValue};
use node::Keys;
use recipes::sync::{Join, JoinOutcome};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Rest;
use super::body::Json;
use super::caller::Caller;
use super::envelope::RequestId;
use super::frames::{Frame, Framing, respond};
use super::holder::session_of;
use super::path::{OfMember, OfName};
use super::problem::{Problem, ProblemDocument};
use super::query::Query;
use super::reply::reply;
use super::resource::Folder;
use super::resume::Since;
use super::telling::{Teller, Telling};
use super::value::{Encoding, GivenAs, Wanted};
use super::waiting;

/// A member that joins. All fields are optional.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"value": "10.0.0.7:8080"}))]
pub(crate) struct MemberRequest {
    /// What others shall know of the member. Of one that is there already it is replaced. Default empty.
    pub(crate) value: Option<String>,
    /// How `value` is given. Default `utf8`.
    pub(crate) encoding: Option<GivenAs>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct GroupMember {
    /// Its session.
    #[schema(examples("694d805f7877a227"))]
    pub(crate) session: String,
    /// What it says about itself.
    #[schema(value_type = String, examples("10.0.0.7:8080"))]
    pub(crate) value: Value,
    /// How the value is shown.
    pub(crate) encoding: Encoding,
    /// The revision at which it joined.
    pub(crate) since: i64,
}

/// A group as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupState {
    /// Its name.
    #[schema(examples("workers"))]
    pub(crate) group: String,
    /// All members, in the order in which they joined.
    pub(crate) members: Vec<GroupMember>,
    /// What this shows.
    pub(crate) revision: i64,
}

impl From<&KeyValue> for GroupMember {
    fn from(kv: &KeyValue) -> Self {
        let shown = Wanted::Auto.show(&kv.value);
        let (value, encoding) = (shown.value, shown.encoding);
        Self { session: session_of(kv), value, encoding, since: kv.create_revision.get() }
    }
}

impl GroupState {
    fn of(name: &str, keys: &Keys) -> Self {
        let mut members: Vec<&KeyValue> = keys.iter().collect();
        members.sort_by_key(|kv| kv.create_revision);
        let members = members.into_iter().map(GroupMember::from).collect();
        Self { group: name.to_owned(), members, revision: keys.revision().get() }
    }
}

/// Joins a group, or changes the member's value. Doing it twice is safe.
#[utoipa::path(
    put,
    path = "/groups/{name}/members/{session}",
    operation_id = "joinGroup",
    tag = "groups",
    params(
        ("name" = String, Path, description = "The group; a slash in a name is written %2F", example = "workers"),
        ("session" = String, Path, description = "A session that is open"),
    ),
    request_body = MemberRequest,
    responses(
        (status = 201, description = "Joined", body = GroupMember),
        (status = 200, description = "It was a member", body = GroupMember),
        (status = 404, description = "`session-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn join(
    State(rest): State<Rest>,
    caller: Caller,
    OfMember { of, session }: OfMember,
    query: Query,
    Json(request): Json<MemberRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let group = Folder::Groups.named(of)?;
    let value = request.encoding.unwrap_or_default().read(request.value.unwrap_or_default())?;
    let member = recipes::Session::Existing(session.lease());
    let join = Join { prefix: group.prefix(), session: member, value };
    let (revision, outcome) = rest.handle.join(caller.0, join).await.map_err(Problem::of_write)?;
    match outcome {
        JoinOutcome::Joined { member, is_new } => {
            let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
            Ok(reply(status, revision, [], &GroupMember::from(&member)))
        }
        JoinOutcome::Absent(why) => Err(waiting::absent(session, why)),
    }
}

/// Leaves a group. Doing it twice is safe.
#[utoipa::path(
    delete,
    path = "/groups/{name}/members/{session}",
    operation_id = "leaveGroup",
    tag = "groups",
    params(
        ("name" = String, Path, description = "The group", example = "workers"),
        ("session" = String, Path, description = "The session"),
    ),
    responses((status = 204, description = "The session is no member any more"))
)]
pub(crate) async fn leave(
    State(rest): State<Rest>,
    caller: Caller,
    OfMember { of, session }: OfMember,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let key = recipes::contender_key(&Folder::Groups.named(of)?.prefix(), session.lease());
    rest.handle.release(caller.0, key, None).await.map_err(Problem::of_write)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A group as it stands: all its members. One that nobody joined is empty.
#[utoipa::path(
    get,
    path = "/groups/{name}",
    operation_id = "getGroup",
    tag = "groups",
    params(("name" = String, Path, description = "The group", example = "workers")),
    responses((status = 200, description = "Its members", body = GroupState))
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    let group = Folder::Groups.named(of)?;
    let keys = rest.handle.keys(&caller, KeyRange::prefix(group.prefix())).await.map_err(Problem::of_read)?;
    Ok(reply(StatusCode::OK, keys.revision(), [], &GroupState::of(&group.name, &keys)))
}

/// Follows a group. Each event has all members as of one revision.
///
/// Events: `members`, `progress` (nothing happened up to here), `reset` (the cursor cannot be used; all is told again), `goaway` (the
/// server stops; connect again). The id is a cursor: give the last one in `Last-Event-ID` or `cursor`, and nothing is missed or told
/// twice.
#[utoipa::path(
    get,
    path = "/groups/{name}/events",
    operation_id = "followGroup",
    tag = "groups",
    params(
        ("name" = String, Path, description = "The group", example = "workers"),
        ("cursor" = Option<String>, Query, description = "The id of the last event that was heard"),
        ("Last-Event-ID" = Option<String>, Header, description = "As `cursor`, before which it goes"),
    ),
    responses(
        (status = 200, description = "Events without end: server-sent events, or lines of JSON (`{event, id, data}`) with \
            `Accept: application/x-ndjson`", content(
            (String = "text/event-stream"),
            (String = "application/x-ndjson"),
        )),
    )
)]
pub(crate) async fn follow(
    State(rest): State<Rest>,
    caller: Caller,
    Extension(request_id): Extension<RequestId>,
    of: OfName,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let since = Since::asked(&headers, &mut query)?;
    query.finish()?;
    let group = Folder::Groups.named(of)?;
    let framing = Framing::accepted(&headers).unwrap_or(Framing::EventStream);
    let range = KeyRange::prefix(group.prefix());
    let telling =
        Telling::open(rest.clone(), &caller, range, since, GroupTeller { name: group.name }, request_id.to_string());
    Ok(respond(framing, rest.unless_stopping(telling).await??))
}

struct GroupTeller {
    name: String,
}

impl Teller for GroupTeller {
    async fn all(&mut self, _: &Rest, keys: &Keys) -> Vec<Frame> {
        vec![Frame::event("members", &GroupState::of(&self.name, keys))]
    }

    /// Every revision that touches the keys is one of joining, leaving or another value.
    async fn changes(&mut self, rest: &Rest, keys: &Keys) -> Vec<Frame> {
        self.all(rest, keys).await
    }

    fn know(&mut self, _: &Keys) {}
}
