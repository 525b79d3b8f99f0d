//! What problems mean, for people who follow a problem's `type`.

use axum::Json;
use axum::extract::RawPathParams;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Kind, Problem, ProblemDocument};

/// A kind of problem.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemKind {
    /// Its identity, and where it is explained.
    #[schema(examples("/problems/lock-held"))]
    pub(crate) r#type: String,
    /// Its name.
    #[schema(examples("lock-held"))]
    pub(crate) code: &'static str,
    /// The HTTP status that it comes with.
    #[schema(examples(409))]
    pub(crate) status: u16,
    /// It in words.
    pub(crate) title: &'static str,
    /// What it means, and what to do.
    pub(crate) text: &'static str,
    /// Whether the same request may succeed later.
    pub(crate) retryable: bool,
}

impl From<Kind> for ProblemKind {
    fn from(kind: Kind) -> Self {
        Self {
            r#type: kind.type_uri(),
            code: kind.slug(),
            status: kind.status().as_u16(),
            title: kind.title(),
            text: kind.text(),
            retryable: kind.is_retryable(),
        }
    }
}

/// All kinds of problems that this API answers with.
#[utoipa::path(
    get,
    path = "/problems",
    operation_id = "listProblems",
    tag = "problems",
    responses((status = 200, description = "All of them", body = [ProblemKind]))
)]
pub(crate) async fn list() -> Json<Vec<ProblemKind>> {
    Json(Kind::ALL.into_iter().map(ProblemKind::from).collect())
}

/// A kind of problem, explained.
#[utoipa::path(
    get,
    path = "/problems/{code}",
    operation_id = "getProblem",
    tag = "problems",
    params(("code" = String, Path, description = "Its name", example = "lock-held")),
    responses(
        (status = 200, description = "What it means", body = ProblemKind),
        (status = 404, description = "`not-found`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(path: RawPathParams) -> Result<Json<ProblemKind>, Problem> {
    let kind = path.iter().next().and_then(|(_, code)| Kind::of_slug(code));
    let kind =
        kind.ok_or_else(|| Problem::new(Kind::NotFound, "there is no problem of that name; /problems lists them"))?;
    Ok(Json(kind.into()))
}
