//! What operators and their tools ask over plain HTTP: health, version, metrics. Paths, bodies and status codes are etcd's.

mod health;
mod method;
mod probes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::any;
use model::{Alarm, Identity, KeyRange, RangeRequest};
use node::{Error, Handle};

use crate::metrics::Metrics;
use crate::ops::method::GetOnly;
use crate::version;

/// What is asked of a member to learn how it is. The real one is [`Handle`].
pub(crate) trait Member: Clone + Send + Sync + 'static {
    /// Whether a leader is known.
    fn has_leader(&self) -> bool;

    /// Whether it has no vote.
    fn is_learner(&self) -> bool;

    /// All alarms.
    fn alarms(&self) -> Result<Vec<Alarm>, Error>;

    /// Reads a key, and says what went wrong.
    fn try_read(&self, consistency: Consistency) -> impl Future<Output = Result<(), Error>> + Send;
}

/// How much a read is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// That this member works.
    Serializable,
    /// That the cluster does.
    Linearizable,
}

impl Member for Handle {
    fn has_leader(&self) -> bool {
        self.status().leader.is_some()
    }

    fn is_learner(&self) -> bool {
        Self::is_learner(self)
    }

    fn alarms(&self) -> Result<Vec<Alarm>, Error> {
        Self::alarms(self)
    }

    async fn try_read(&self, consistency: Consistency) -> Result<(), Error> {
        let key = KeyRange::Single(bytes::Bytes::from_static(b"health"));
        let read = RangeRequest { serializable: consistency == Consistency::Serializable, ..RangeRequest::new(key) };
        self.range(&Identity::cluster(), read).await.map(drop)
    }
}

/// What the routes share.
#[derive(Clone)]
pub(crate) struct Ops<M> {
    member: M,
    metrics: Arc<Metrics>,
}

/// The routes.
pub(crate) fn router<M: Member>(member: M, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/health", any(health::health::<M>))
        .route("/livez", any(probes::livez::<M>))
        .route("/livez/{check}", any(probes::livez_check::<M>))
        .route("/readyz", any(probes::readyz::<M>))
        .route("/readyz/{check}", any(probes::readyz_check::<M>))
        .route("/version", any(versions))
        .route("/metrics", any(metrics_page::<M>))
        .with_state(Ops { member, metrics })
}

async fn versions(_: GetOnly) -> impl IntoResponse {
    let body = format!(
        r#"{{"etcdserver":"{}","etcdcluster":"{}","storage":"{}"}}"#,
        version::SERVER,
        version::CLUSTER,
        version::STORAGE
    );
    ([(CONTENT_TYPE, "application/json")], body)
}

async fn metrics_page<M: Member>(_: GetOnly, State(ops): State<Ops<M>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], ops.metrics.page())
}
