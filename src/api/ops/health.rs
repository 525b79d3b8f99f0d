//! `/health`: one answer for the whole, in JSON, as load balancers and etcd's own tools read it.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::Alarm;
use serde::Serialize;

use crate::metrics::HealthOutcome;
use crate::ops::method::GetOnly;
use crate::ops::{Consistency, Member, Ops};

/// What is asked.
#[derive(Debug)]
struct Question {
    consistency: Consistency,
    /// Names of alarms to overlook.
    excluded: Vec<String>,
}

impl Question {
    fn parse(query: Option<String>) -> Self {
        let mut question = Self { consistency: Consistency::Linearizable, excluded: Vec::new() };
        for pair in query.unwrap_or_default().split('&') {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("serializable", "true") => question.consistency = Consistency::Serializable,
                ("exclude", alarm) => question.excluded.push(alarm.to_owned()),
                _ => {}
            }
        }
        question
    }
}

#[derive(Debug, Serialize)]
struct Health {
    /// A word, not a truth value: etcd's tools compare it so.
    health: &'static str,
    reason: String,
}

/// Answers whether the member is healthy, and why not.
pub(crate) async fn health<M: Member>(_: GetOnly, State(ops): State<Ops<M>>, RawQuery(query): RawQuery) -> Response {
    let trouble = trouble(&ops.member, &Question::parse(query)).await;
    match trouble {
        None => {
            ops.metrics.health_checked(HealthOutcome::Healthy);
            body(&Health { health: "true", reason: String::new() }).into_response()
        }
        Some(reason) => {
            ops.metrics.health_checked(HealthOutcome::Unhealthy);
            tracing::warn!(reason, "the member is not healthy");
            let body = body(&Health { health: "false", reason });
            (StatusCode::SERVICE_UNAVAILABLE, format!("{body}\n")).into_response()
        }
    }
}

fn body(health: &Health) -> String {
    serde_json::to_string(health).expect("two strings are always JSON")
}

async fn trouble(member: &impl Member, question: &Question) -> Option<String> {
    let alarms = match member.alarms() {
        Ok(alarms) => alarms,
        Err(error) => return Some(format!("ALARM ERROR:{error}")),
    };
    let is_told = |alarm: &&Alarm| question.excluded.iter().all(|name| *name != alarm.kind.to_string());
    if let Some(alarm) = alarms.iter().find(is_told) {
        return Some(format!("ALARM {}", alarm.kind));
    }
    if question.consistency == Consistency::Linearizable && !member.has_leader() {
        return Some("RAFT NO LEADER".to_owned());
    }
    member.try_read(question.consistency).await.err().map(|error| format!("RANGE ERROR:{error}"))
}
