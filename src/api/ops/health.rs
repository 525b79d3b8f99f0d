//! `/health`: one answer for the whole, in JSON, as load balancers and etcd's own tools read it.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::metrics::HealthOutcome;
use crate::ops::method::GetOnly;
use crate::ops::{Consistency, Member, Ops};

/// What may be asked. `exclude` names alarms to overlook; there are none yet.
#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    serializable: Option<String>,
}

#[derive(Debug, Serialize)]
struct Health {
    /// A word, not a truth value: etcd's tools compare it so.
    health: &'static str,
    reason: String,
}

/// Answers whether the member is healthy, and why not.
pub(crate) async fn health<M: Member>(
    _: GetOnly,
    State(ops): State<Ops<M>>,
    Query(question): Query<Question>,
) -> Response {
    let consistency = match question.serializable.as_deref() {
        Some("true") => Consistency::Serializable,
        Some(_) | None => Consistency::Linearizable,
    };
    let trouble = trouble(&ops.member, consistency).await;
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

async fn trouble(member: &impl Member, consistency: Consistency) -> Option<String> {
    if consistency == Consistency::Linearizable && !member.has_leader() {
        return Some("RAFT NO LEADER".to_owned());
    }
    member.try_read(consistency).await.err().map(|error| format!("RANGE ERROR:{error}"))
}
