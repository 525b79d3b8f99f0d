//! Problems: every answer of "no" as `application/problem+json` (RFC 9457), of a kind with a name that never changes.
//!
//! A handler returns a [`Problem`]; the envelope around all routes writes it out, because only there the request's id is
//! known. What a problem says beyond its kind is in [`Facts`], so that the document's shape is one type with one schema.
//! The table from what a member answers to kinds is `problem_of_error.rs`.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use model::Revision;
use serde::Serialize;
use utoipa::ToSchema;

use super::config::Violation;
use super::holder::Holder;
pub(crate) use super::problem_kind::Kind;

/// The media type of problems.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

/// An answer of "no".
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Content>);

#[derive(Clone, Debug)]
struct Content {
    kind: Kind,
    detail: String,
    retry_after: Option<Duration>,
    revision: Option<Revision>,
    facts: Facts,
}

/// What some kinds of problems say beyond their kind.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Facts {
    /// `unknown`: a write may have happened, or may still happen. Repeating the same PUT or DELETE is safe and tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<&'static str>,
    /// Who holds the lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) holder: Option<Holder>,
    /// The fencing token of the claim that there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current_token: Option<i64>,
    /// The `mod_revision` of the key as it is; 0 when there is no such key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current_revision: Option<i64>,
    /// The release that is in the place of the one meant; 0 when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current_version: Option<u64>,
    /// In which ways items do not satisfy their schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) errors: Option<Vec<Violation>>,
    /// Line of the request's body where it stops making sense, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// Column of that line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<usize>,
}

/// A problem as it is sent (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// Names the kind; a relative reference that can be followed: it explains the kind.
    #[schema(examples("/problems/lock-held"))]
    pub(crate) r#type: String,
    /// The kind in words; the same for every problem of the kind.
    #[schema(examples("Another session holds the lock"))]
    pub(crate) title: &'static str,
    /// The HTTP status.
    #[schema(examples(409))]
    pub(crate) status: u16,
    /// What happened this time.
    pub(crate) detail: String,
    /// The kind, for programs: the last part of `type`.
    #[schema(examples("lock-held"))]
    pub(crate) code: &'static str,
    /// The `Request-Id` of the answer.
    pub(crate) request_id: String,
    /// Revision of the store when the answer was made.
    pub(crate) revision: i64,
    /// Whether the same request may succeed later without anything being changed in it.
    pub(crate) retryable: bool,
    /// When to try again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_ms: Option<u64>,
    /// What this kind says beyond that.
    #[serde(flatten)]
    pub(crate) facts: Facts,
}

impl Problem {
    /// A problem of `kind`; `detail` says what happened this time.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let facts = Facts::default();
        Self(Box::new(Content { kind, detail: detail.into(), retry_after: None, revision: None, facts }))
    }

    /// A request that makes no sense.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Kind::InvalidRequest, detail)
    }

    /// The same, to be tried again after a while.
    pub(crate) fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// The same, as seen at `revision`.
    pub(crate) fn seen_at(mut self, revision: Revision) -> Self {
        self.0.revision = Some(revision);
        self
    }

    /// The same, with facts.
    pub(crate) fn with(mut self, facts: Facts) -> Self {
        self.0.facts = facts;
        self
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What happened.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The revision it was seen at, if that matters.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.0.revision
    }

    /// How long to wait before the next try, if that is known.
    pub(crate) fn delay(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Its document, in the answer to request `request_id`, at `revision` unless it was seen at another.
    pub(crate) fn into_document(self, request_id: String, revision: Revision) -> ProblemDocument {
        let Content { kind, detail, retry_after, revision: seen_at, facts } = *self.0;
        ProblemDocument {
            r#type: kind.type_uri(),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail,
            code: kind.slug(),
            request_id,
            revision: seen_at.unwrap_or(revision).get(),
            retryable: kind.is_retryable(),
            retry_after_ms: retry_after.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
            facts,
        }
    }
}

impl IntoResponse for Problem {
    /// A response whose body the envelope writes.
    fn into_response(self) -> Response {
        let mut response = self.kind().status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
