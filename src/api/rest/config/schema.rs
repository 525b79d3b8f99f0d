//! The schema of a set: JSON Schema 2020-12, edited with the draft, kept with each release, and what a release must satisfy.
//!
//! What is checked is one object with a member for each item: JSON as what it is, text as a string. Only what is in the schema
//! counts: it refers to nothing outside, and its patterns are matched in linear time.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jsonschema::{Draft as Dialect, PatternOptions, Validator};
use model::{KeyRange, RangeRequest};
use recipes::config::{EditDraft, Write};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::items::{conflict_of, expectations};
use super::release_read::release_at;
use super::set::{ConfigSet, OfSet, parse_version};
use crate::rest::Rest;
use crate::rest::body;
use crate::rest::caller::Caller;
use crate::rest::conditions::etag;
use crate::rest::envelope::REVISION;
use crate::rest::problem::{Facts, Kind, Problem, ProblemDocument};
use crate::rest::query::Query;

/// Largest schema in bytes.
const SCHEMA_BYTES_MAX: usize = 256 * 1024;

/// Most violations that are told.
const VIOLATIONS_MAX: usize = 50;

/// The media type of schemas.
const SCHEMA_JSON: &str = "application/schema+json";

/// A way in which items do not satisfy their schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Violation {
    /// Where, as a JSON Pointer into the object of items; the first part is the item's key.
    #[schema(examples("/pool.size"))]
    pub(crate) pointer: String,
    /// What is wrong there. Values are not repeated.
    #[schema(examples("value is greater than the maximum of 100"))]
    pub(crate) detail: String,
}

/// The schema in a text, ready to be used.
fn compile(schema: &Value) -> Result<Validator, Problem> {
    let options = jsonschema::options().with_draft(Dialect::Draft202012).with_pattern_options(PatternOptions::regex());
    options.build(schema).map_err(|error| {
        let pointer = error.instance_path().to_string();
        let errors = Some(vec![Violation { pointer, detail: error.masked().to_string() }]);
        let facts = Facts { errors, ..Facts::default() };
        Problem::new(Kind::SchemaViolation, "this is no schema of JSON Schema 2020-12").with(facts)
    })
}

/// Checks `instance`, an object of items, against `schema`.
pub(crate) fn validate(schema: &Value, instance: &Value) -> Result<(), Problem> {
    let validator = compile(schema)?;
    let violations: Vec<Violation> = validator
        .iter_errors(instance)
        .take(VIOLATIONS_MAX)
        .map(|error| Violation { pointer: error.instance_path().to_string(), detail: error.masked().to_string() })
        .collect();
    if violations.is_empty() {
        return Ok(());
    }
    let facts = Facts { errors: Some(violations), ..Facts::default() };
    Err(Problem::new(Kind::SchemaViolation, "the items do not satisfy the schema of their set").with(facts))
}

/// The schema that bytes are.
pub(crate) fn parse(bytes: &Bytes) -> Result<Value, Problem> {
    let schema: Value = serde_json::from_slice(bytes).map_err(|error| {
        let facts = Facts { line: Some(error.line()), column: Some(error.column()), ..Facts::default() };
        Problem::invalid(format!("the schema is not JSON: {error}")).with(facts)
    })?;
    compile(&schema)?;
    Ok(schema)
}

/// The schema of a draft, or of a release.
#[utoipa::path(
    get,
    path = "/configs/{app}/{env}/schema",
    operation_id = "getConfigSchema",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("version" = Option<i64>, Query, description = "That of this release, instead of the draft's", example = 1),
    ),
    responses(
        (status = 200, description = "The schema", body = serde_json::Value, content_type = "application/schema+json",
            example = json!({"type": "object", "properties": {"pool.size": {"type": "integer", "maximum": 100}}})),
        (status = 404, description = "`config-not-found`: there is none", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    mut query: Query,
) -> Result<Response, Problem> {
    let version = query.text("version")?.map(|text| parse_version(&text)).transpose()?;
    query.finish()?;
    let missing = || Problem::new(Kind::ConfigNotFound, "there is no schema");
    if let Some(version) = version {
        let release = release_at(&rest, &caller, &set, version).await?;
        let schema = release.about.schema.as_ref().ok_or_else(missing)?.to_string();
        return Ok(([(CONTENT_TYPE, SCHEMA_JSON)], schema).into_response());
    }
    let read = RangeRequest::new(KeyRange::Single(set.key("schema")));
    let read = rest.handle.range(&caller, read).await.map_err(Problem::of_read)?;
    let kv = read.kvs.into_iter().next().ok_or_else(missing)?;
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(SCHEMA_JSON)), (ETAG, etag(kv.mod_revision))];
    let mut response = (headers, Body::from(kv.value)).into_response();
    response.headers_mut().insert(REVISION, read.revision.get().into());
    Ok(response)
}

/// Puts the schema of a draft: JSON Schema 2020-12. The next release is checked against it, and keeps it.
#[utoipa::path(
    put,
    path = "/configs/{app}/{env}/schema",
    operation_id = "putConfigSchema",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("If-Match" = Option<String>, Header, description = "The schema's ETag, or `*`"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is none"),
    ),
    request_body(content = serde_json::Value, content_type = "application/schema+json", description = "The schema",
        example = json!({"type": "object", "properties": {"pool.size": {"type": "integer", "maximum": 100}}})),
    responses(
        (status = 204, description = "It is kept"),
        (status = 412, description = "`version-conflict`", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 422, description = "`schema-violation`: it is no schema", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn put(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    query.finish()?;
    let schema = body::read(body, SCHEMA_BYTES_MAX, Kind::ValueTooLarge).await?;
    parse(&schema)?;
    write(&rest, &caller, &set, &headers, Some(schema)).await
}

/// Takes the schema of a draft away. Doing it twice is safe.
#[utoipa::path(
    delete,
    path = "/configs/{app}/{env}/schema",
    operation_id = "deleteConfigSchema",
    tag = "configuration",
    params(
        ("app" = String, Path, description = "The application", example = "shop"),
        ("env" = String, Path, description = "The environment", example = "prod"),
        ("If-Match" = Option<String>, Header, description = "The schema's ETag, or `*`"),
    ),
    responses(
        (status = 204, description = "There is none any more"),
        (status = 412, description = "`version-conflict`", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    State(rest): State<Rest>,
    caller: Caller,
    OfSet(set): OfSet,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.finish()?;
    write(&rest, &caller, &set, &headers, None).await
}

async fn write(
    rest: &Rest,
    caller: &Caller,
    set: &ConfigSet,
    headers: &HeaderMap,
    value: Option<Bytes>,
) -> Result<Response, Problem> {
    let conditions = expectations(headers, "schema", &[IF_MATCH, IF_NONE_MATCH])?;
    let writes = vec![Write { key: "schema".into(), value }];
    let edit = EditDraft { set: set.prefix(), writes, conditions, guards: Vec::new() };
    let (revision, outcome) = rest.handle.edit_draft(caller.identity(), edit).await.map_err(Problem::of_write)?;
    conflict_of(outcome, revision)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(REVISION, revision.get().into());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn violations(schema: Value, instance: Value) -> Vec<String> {
        let problem = validate(&schema, &instance).unwrap_err();
        assert_eq!(problem.kind(), Kind::SchemaViolation);
        let errors = problem.into_document(String::new(), model::Revision::FIRST).facts.errors.unwrap();
        errors.into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn violations_are_told_by_pointers_and_without_values() {
        let schema = json!({"properties": {"a": {"maximum": 5}, "b/c": {"type": "string"}}, "required": ["d"]});
        let instance = json!({"a": 7777, "b/c": 1});
        let mut found = violations(schema.clone(), instance.clone());
        found.sort();
        assert_eq!(found, ["", "/a", "/b~1c"]);
        let problem = validate(&schema, &instance).unwrap_err();
        let text = serde_json::to_string(&problem.into_document(String::new(), model::Revision::FIRST)).unwrap();
        assert!(!text.contains("7777"), "{text}");
        assert!(validate(&schema, &json!({"a": 5, "d": null})).is_ok());
    }

    #[test]
    fn a_schema_refers_to_nothing_outside() {
        for reference in ["http://127.0.0.1:1/schema.json", "file:///etc/passwd", "https://json-schema.org/nothing"] {
            let schema = json!({"$ref": reference});
            assert!(validate(&schema, &json!({})).is_err(), "{reference}");
        }
        assert!(validate(&json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}}), &json!({})).is_ok());
    }

    #[test]
    fn a_pattern_takes_no_longer_than_its_text() {
        let schema = json!({"properties": {"a": {"pattern": "^(a+)+$"}}});
        let text = "a".repeat(5000) + "!";
        assert_eq!(violations(schema, json!({"a": text})), ["/a"]);
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for schema in [json!(7), json!({"type": "number?"}), json!({"properties": {"a": {"pattern": "("}}})] {
            assert!(compile(&schema).is_err(), "{schema}");
        }
        assert!(parse(&Bytes::from_static(b"{")).is_err());
    }
}
