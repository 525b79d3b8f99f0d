//! Work queues: messages in order, each on loan to one consumer until it says what became of it; at least once (T36).
//!
//! A loan's id in paths is `<message>.<token>`: the token makes sure that a consumer that lost its loan settles nothing of the next.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use model::{KeyRange, PutRequest, Revision};
use recipes::sync::{Send, Settle, SettleOutcome, Take, TakeOutcome, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Rest;
use super::body::{self, Json};
use super::caller::Caller;
use super::duration::Span;
use super::names::SessionId;
use super::path::{OfLoan, OfName};
use super::problem::{Kind, Problem, ProblemDocument};
use super::query::Query;
use super::reply::reply;
use super::resource::{Folder, Resource};
use super::value::{Encoding, Wanted};
use super::waiting;

/// How long a loan without a session lasts unless the consumer says.
const VISIBILITY_DEFAULT: Duration = Duration::from_secs(30);

/// Longest loan or delay.
const LEASE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// How a queue is set up. All fields are optional.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"max_attempts": 5}))]
pub(crate) struct QueueRequest {
    /// How often a message is taken at most before it is a dead letter, in the queue of that name with `.dead` behind it. Default: as
    /// often as it takes.
    pub(crate) max_attempts: Option<u32>,
}

/// A queue as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueState {
    /// Its name.
    #[schema(examples("jobs"))]
    pub(crate) queue: String,
    /// Messages that are there, those on loan or delayed included.
    pub(crate) messages: usize,
    /// Of these, how many are on loan.
    pub(crate) on_loan: usize,
    /// Of these, how many are delayed.
    pub(crate) delayed: usize,
    /// How often a message is taken at most; absent if as often as it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_attempts: Option<u64>,
    /// The queue that dead letters go to.
    #[schema(examples("jobs.dead"))]
    pub(crate) dead_letters: String,
    /// What this shows.
    pub(crate) revision: i64,
}

/// A message that was put in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SentMessage {
    /// Its id.
    #[schema(examples("0000000000001842"))]
    pub(crate) message: String,
    /// What this shows.
    pub(crate) revision: i64,
}

/// A consumer that wants a message. All fields are optional.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"wait": "30s", "visibility": "1m"}))]
pub(crate) struct TakeRequest {
    /// The session that the loan lasts as long as; instead of `visibility`.
    pub(crate) session: Option<String>,
    /// How long the loan lasts: `1s` to `168h`, raised to whole seconds and to the least that outlives an election. Default `30s`.
    #[schema(value_type = Option<String>, examples("1m"))]
    pub(crate) visibility: Option<Span>,
    /// How long to wait for a message: up to `10m`. Default `0s`.
    #[schema(value_type = Option<String>, examples("30s"))]
    pub(crate) wait: Option<Span>,
}

/// A message on loan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Loan {
    /// The loan, to be settled under `…/claims/{claim}`.
    #[schema(examples("0000000000001842.1845"))]
    pub(crate) claim: String,
    /// The message's id.
    #[schema(examples("0000000000001842"))]
    pub(crate) message: String,
    /// The message.
    #[schema(value_type = String)]
    pub(crate) value: Value,
    /// How the message is shown.
    pub(crate) encoding: Encoding,
    /// How often it was taken, this time included.
    #[schema(examples(1))]
    pub(crate) attempt: u64,
    /// The loan's token: it rises with every loan of the message. Give it to whatever the work changes, as a fencing token.
    #[schema(examples(1845))]
    pub(crate) token: i64,
    /// The session that the loan lasts as long as; keeping it alive extends the loan.
    #[schema(examples("694d805f7877a227"))]
    pub(crate) session: String,
    /// What this shows.
    pub(crate) revision: i64,
}

/// A message that is given back. All fields are optional.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"delay": "10s"}))]
pub(crate) struct NackRequest {
    /// After how long it can be taken again: `1s` to `168h`, raised to whole seconds and to the least that outlives an election. Default:
    /// at once.
    #[schema(value_type = Option<String>, examples("10s"))]
    pub(crate) delay: Option<Span>,
}

/// Where the parts of a queue are.
struct Parts {
    messages: Bytes,
    holds: Bytes,
    dead: Bytes,
    attempts_max: Bytes,
}

impl Parts {
    fn of(queue: &Resource) -> Self {
        let meta = queue.meta();
        Self {
            messages: queue.prefix(),
            holds: [&meta[..], b"holds/"].concat().into(),
            dead: (queue.etcd_name() + ".dead/").into(),
            attempts_max: [&meta[..], b"max_attempts"].concat().into(),
        }
    }

    fn message(&self, id: &str) -> Bytes {
        [&self.messages[..], id.as_bytes()].concat().into()
    }

    fn hold(&self, id: &str) -> Bytes {
        [&self.holds[..], id.as_bytes()].concat().into()
    }
}

/// Whole seconds of a lease for `span`, which is called `field`.
fn seconds(field: &str, span: Span) -> Result<i64, Problem> {
    let span = span.within(field, Duration::from_secs(1), LEASE_MAX)?;
    let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    Ok(i64::try_from(seconds).expect("the longest is a week"))
}

/// Sets a queue up. A queue needs no setting up to be used.
#[utoipa::path(
    put,
    path = "/queues/{name}",
    operation_id = "setQueue",
    tag = "queues",
    params(("name" = String, Path, description = "The queue; a slash in a name is written %2F", example = "jobs")),
    request_body = QueueRequest,
    responses((status = 200, description = "Set up so", body = QueueState))
)]
pub(crate) async fn set(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
    Json(request): Json<QueueRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let queue = Folder::Queues.named(of)?;
    let key = Parts::of(&queue).attempts_max;
    match request.max_attempts {
        Some(0) => return Err(Problem::invalid("max_attempts must be at least 1")),
        Some(attempts) => {
            let put = PutRequest { key, value: attempts.to_string().into(), ..PutRequest::default() };
            rest.handle.put(caller.identity(), put).await.map_err(Problem::of_write)?;
        }
        None => {
            rest.handle.release(caller.identity(), key, None).await.map_err(Problem::of_write)?;
        }
    }
    state(&rest, &caller, &queue).await
}

/// A queue as it stands.
#[utoipa::path(
    get,
    path = "/queues/{name}",
    operation_id = "getQueue",
    tag = "queues",
    params(("name" = String, Path, description = "The queue", example = "jobs")),
    responses((status = 200, description = "How many messages there are", body = QueueState))
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    state(&rest, &caller, &Folder::Queues.named(of)?).await
}

async fn state(rest: &Rest, caller: &Caller, queue: &Resource) -> Result<Response, Problem> {
    let parts = Parts::of(queue);
    let read = |range| async { rest.handle.keys(caller, range).await.map_err(Problem::of_read) };
    let meta = read(KeyRange::prefix(queue.meta())).await?;
    let messages = rest.handle.count(caller, KeyRange::prefix(parts.messages.clone())).await;
    let (messages, revision) = messages.map_err(Problem::of_read)?;
    let holds = meta.iter().filter(|kv| kv.key.starts_with(&parts.holds));
    let (delayed, on_loan): (Vec<_>, Vec<_>) = holds.partition(|kv| recipes::sync::is_delay(&kv.value));
    let setting = meta.get(&parts.attempts_max).and_then(|kv| std::str::from_utf8(&kv.value).ok()?.parse().ok());
    let state = QueueState {
        queue: queue.name.clone(),
        messages,
        on_loan: on_loan.len(),
        delayed: delayed.len(),
        max_attempts: setting,
        dead_letters: queue.name.clone() + ".dead",
        revision: revision.get(),
    };
    Ok(reply(StatusCode::OK, revision, [], &state))
}

/// Puts a message in: the body, byte by byte. Sending again sends twice.
#[utoipa::path(
    post,
    path = "/queues/{name}/messages",
    operation_id = "sendMessage",
    tag = "queues",
    params(
        ("name" = String, Path, description = "The queue; a slash in a name is written %2F", example = "jobs"),
        ("delay" = Option<String>, Query, description = "After how long it can be taken: `1s` to `168h`, raised to whole seconds and \
            to the least that outlives an election", example = "10s"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The message"),
    responses(
        (status = 201, description = "It is in", body = SentMessage),
        (status = 413, description = "`value-too-large`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn send(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    mut query: Query,
    body: Body,
) -> Result<Response, Problem> {
    let delay = query.text("delay")?.map(|text| Span::parse(&text)).transpose();
    let delay = delay.map_err(|malformed| Problem::invalid(format!("delay: {malformed}")))?;
    query.finish()?;
    let queue = Folder::Queues.named(of)?;
    let delay = delay_lease(&rest, delay)?;
    let value = body::read(body, rest.handle.config().request_bytes_max, Kind::ValueTooLarge).await?;
    let Parts { messages, holds, .. } = Parts::of(&queue);
    let id_at = messages.len();
    let send = Send { messages, holds, value, delay };
    let (revision, message) = rest.handle.send(caller.0, send).await.map_err(Problem::of_write)?;
    let message = String::from_utf8_lossy(&message.key[id_at..]).into_owned();
    Ok(reply(StatusCode::CREATED, revision, [], &SentMessage { message, revision: revision.get() }))
}

fn delay_lease(rest: &Rest, delay: Option<Span>) -> Result<Option<recipes::OpenSession>, Problem> {
    let Some(delay) = delay else { return Ok(None) };
    let lease = rest.handle.plain_lease(seconds("delay", delay)?);
    lease.map(Some).map_err(Problem::of_write)
}

/// Takes the oldest message that can be taken, on loan. A consumer that hangs up gives back what it was about to be given.
#[utoipa::path(
    post,
    path = "/queues/{name}/claims",
    operation_id = "takeMessage",
    tag = "queues",
    params(("name" = String, Path, description = "The queue", example = "jobs")),
    request_body = TakeRequest,
    responses(
        (status = 201, description = "A message on loan", body = Loan, headers(("Location" = String, description = "The loan"))),
        (status = 204, description = "There was none until the wait ended"),
        (status = 404, description = "`session-not-found`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn take(
    State(rest): State<Rest>,
    caller: Caller,
    of: OfName,
    query: Query,
    Json(request): Json<TakeRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let queue = Folder::Queues.named(of)?;
    let wait = waiting::in_body(request.wait)?;
    let session = borrower(&rest, request.session, request.visibility)?;
    let id = SessionId::of(session.lease());
    let Parts { messages, holds, dead, attempts_max } = Parts::of(&queue);
    let id_at = messages.len();
    let take = Take { messages, holds, dead, attempts_max, session };
    let taken = rest.unless_stopping(rest.handle.take(caller.0, take, wait)).await?;
    let (revision, outcome) = taken.map_err(Problem::of_write)?;
    match outcome {
        TakeOutcome::Taken { message, hold, attempt } => {
            let shown = Wanted::Auto.show(&message.value);
            let name = String::from_utf8_lossy(&message.key[id_at..]).into_owned();
            let loan = Loan {
                claim: format!("{name}.{}", hold.create_revision),
                message: name,
                value: shown.value,
                encoding: shown.encoding,
                attempt,
                token: hold.create_revision.get(),
                session: id.to_string(),
                revision: revision.get(),
            };
            let location = format!("{}/claims/{}", queue.url(), super::names::escape_in_path(&loan.claim));
            Ok(reply(StatusCode::CREATED, revision, [(LOCATION, location)], &loan))
        }
        TakeOutcome::Empty { .. } => Ok(StatusCode::NO_CONTENT.into_response()),
        TakeOutcome::Absent(why) => Err(waiting::absent(id, why)),
    }
}

/// The session that the loan lasts as long as, or a lease of its own.
fn borrower(rest: &Rest, session: Option<String>, visibility: Option<Span>) -> Result<recipes::Session, Problem> {
    match (session, visibility) {
        (Some(_), Some(_)) => {
            Err(Problem::invalid("a loan lasts as long as a session or for a time of its own: session or visibility"))
        }
        (Some(id), None) => Ok(recipes::Session::Existing(SessionId::parse(&id)?.lease())),
        (None, visibility) => {
            let ttl = match visibility {
                Some(span) => seconds("visibility", span)?,
                None => i64::try_from(VISIBILITY_DEFAULT.as_secs()).expect("half a minute"),
            };
            rest.handle.plain_lease(ttl).map(recipes::Session::New).map_err(Problem::of_write)
        }
    }
}

/// Says that a message is done with: it leaves the queue.
#[utoipa::path(
    delete,
    path = "/queues/{name}/claims/{claim}",
    operation_id = "ackMessage",
    tag = "queues",
    params(
        ("name" = String, Path, description = "The queue", example = "jobs"),
        ("claim" = String, Path, description = "The loan", example = "0000000000001842.1845"),
    ),
    responses(
        (status = 204, description = "The message is gone"),
        (status = 404, description = "`claim-not-found`: the loan is over; the message was settled, or comes again", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn ack(
    State(rest): State<Rest>,
    caller: Caller,
    loan: OfLoan,
    query: Query,
) -> Result<Response, Problem> {
    query.finish()?;
    settle(&rest, caller, loan, Verdict::Done).await
}

/// Gives a message back: it can be taken again, at once or after a delay.
#[utoipa::path(
    post,
    path = "/queues/{name}/claims/{claim}/nack",
    operation_id = "nackMessage",
    tag = "queues",
    params(
        ("name" = String, Path, description = "The queue", example = "jobs"),
        ("claim" = String, Path, description = "The loan", example = "0000000000001842.1845"),
    ),
    request_body = NackRequest,
    responses(
        (status = 204, description = "It can be taken again"),
        (status = 404, description = "`claim-not-found`: the loan is over; the message was settled, or comes again", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn nack(
    State(rest): State<Rest>,
    caller: Caller,
    loan: OfLoan,
    query: Query,
    Json(request): Json<NackRequest>,
) -> Result<Response, Problem> {
    query.finish()?;
    let delay = delay_lease(&rest, request.delay)?;
    settle(&rest, caller, loan, Verdict::Return { delay }).await
}

async fn settle(rest: &Rest, caller: Caller, loan: OfLoan, verdict: Verdict) -> Result<Response, Problem> {
    let OfLoan { of, message, token } = loan;
    let queue = Folder::Queues.named(of)?;
    let parts = Parts::of(&queue);
    let settle = Settle { message: parts.message(&message), hold: parts.hold(&message), token, verdict };
    let (_, outcome): (Revision, _) = rest.handle.settle(caller.0, settle).await.map_err(Problem::of_write)?;
    match outcome {
        SettleOutcome::Settled => Ok(StatusCode::NO_CONTENT.into_response()),
        SettleOutcome::Lost => {
            Err(Problem::new(Kind::ClaimNotFound, format!("{}: there is no such loan of {message}", queue.name)))
        }
    }
}
