//! `/livez` and `/readyz`: named checks for an orchestrator, together or one at a time.
//!
//! Alive is who can read its own state: restarting it would help. Ready is who can also agree with the cluster.

use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

use model::AlarmKind;

use crate::ops::method::GetOnly;
use crate::ops::{Consistency, Member, Ops};

/// One thing that can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// No member's data are known to differ from the others'.
    DataCorruption,
    /// The member can read.
    SerializableRead,
    /// The cluster can agree.
    LinearizableRead,
    /// The member has a vote.
    NonLearner,
}

const LIVE: [Check; 1] = [Check::SerializableRead];
const READY: [Check; 4] = [Check::DataCorruption, Check::SerializableRead, Check::LinearizableRead, Check::NonLearner];

impl Check {
    const fn name(self) -> &'static str {
        match self {
            Self::DataCorruption => "data_corruption",
            Self::SerializableRead => "serializable_read",
            Self::LinearizableRead => "linearizable_read",
            Self::NonLearner => "non_learner",
        }
    }

    async fn run(self, member: &impl Member) -> Result<(), String> {
        let consistency = match self {
            Self::DataCorruption => return no_corruption(member),
            Self::NonLearner if member.is_learner() => return Err("the member is a learner".to_owned()),
            Self::NonLearner => return Ok(()),
            Self::SerializableRead => Consistency::Serializable,
            Self::LinearizableRead => Consistency::Linearizable,
        };
        member.try_read(consistency).await.map_err(|error| format!("RANGE ERROR: {error}"))
    }
}

fn no_corruption(member: &impl Member) -> Result<(), String> {
    let alarms = member.alarms().map_err(|error| format!("ALARM ERROR: {error}"))?;
    let is_corrupt = alarms.iter().any(|alarm| alarm.kind == AlarmKind::Corrupt);
    if is_corrupt { Err("alarm activated: CORRUPT".to_owned()) } else { Ok(()) }
}

pub(crate) async fn livez<M: Member>(_: GetOnly, State(ops): State<Ops<M>>, RawQuery(query): RawQuery) -> Response {
    answer(&ops.member, &LIVE, &Wishes::parse(query)).await
}

pub(crate) async fn readyz<M: Member>(_: GetOnly, State(ops): State<Ops<M>>, RawQuery(query): RawQuery) -> Response {
    answer(&ops.member, &READY, &Wishes::parse(query)).await
}

pub(crate) async fn livez_check<M: Member>(
    _: GetOnly,
    State(ops): State<Ops<M>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    one_of(&ops.member, &LIVE, &name, query).await
}

pub(crate) async fn readyz_check<M: Member>(
    _: GetOnly,
    State(ops): State<Ops<M>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    one_of(&ops.member, &READY, &name, query).await
}

async fn one_of(member: &impl Member, checks: &[Check], name: &str, query: Option<String>) -> Response {
    match checks.iter().find(|check| check.name() == name) {
        Some(check) => answer(member, &[*check], &Wishes::parse(query)).await,
        None => (StatusCode::NOT_FOUND, PLAIN, "404 page not found\n").into_response(),
    }
}

const PLAIN: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; charset=utf-8")];

/// Runs `checks` in order. Which of them failed is always told, which of them succeeded only to who asks.
async fn answer(member: &impl Member, checks: &[Check], wishes: &Wishes) -> Response {
    let mut report = String::new();
    let mut failed = false;
    for check in checks.iter().filter(|check| !wishes.excluded.iter().any(|name| name == check.name())) {
        match check.run(member).await {
            Ok(()) => report.push_str(&format!("[+]{} ok\n", check.name())),
            Err(error) => {
                failed = true;
                report.push_str(&format!("[-]{} failed: {error}\n", check.name()));
            }
        }
    }
    if failed {
        tracing::warn!(report, "a probe failed");
        return (StatusCode::SERVICE_UNAVAILABLE, PLAIN, report).into_response();
    }
    if !wishes.is_verbose {
        report.clear();
    }
    report.push_str("ok\n");
    (PLAIN, report).into_response()
}

/// What the query asks for. Excluding a check that does not exist changes nothing, so that one probe fits many versions.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wishes {
    is_verbose: bool,
    excluded: Vec<String>,
}

impl Wishes {
    fn parse(query: Option<String>) -> Self {
        let query = query.unwrap_or_default();
        let mut wishes = Self::default();
        for pair in query.split('&') {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("verbose", _) => wishes.is_verbose = true,
                ("exclude", name) if !name.is_empty() => wishes.excluded.push(name.to_owned()),
                _ => {}
            }
        }
        wishes
    }
}
