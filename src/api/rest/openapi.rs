//! The API's description, OpenAPI 3.1: made from the handlers, completed here, served at `/openapi.json`, and kept in
//! `openapi/openapi.json`, where a change of the API shows in review. A test compares the two.

use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::{
    Content, InfoBuilder, KnownFormat, Object, ObjectBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder,
    SchemaFormat, Type,
};
use utoipa_axum::router::OpenApiRouter;

use super::changes::{Changes, KeyChange};
use super::claim::LostClaim;
use super::config::{ConfigChange, ConfigReset, ItemChange};
use super::election_events::{Candidates, NoLeader};
use super::follower::{Reset, Snapshot};
use super::frames::Goaway;
use super::problem;
use super::resume::Progress;
use super::session_stream::{Expiring, RevokeRequested, SessionEnded};
use super::telling::ToldAnew;

/// Where the tenant form of paths begins.
const TENANT_FORM: &str = "/v1/ns/{ns}/";

const DESCRIPTION: &str = "\
Agreement for services over plain HTTP.

**Base.** `/v1/ns/{ns}/…` for a namespace, `/v1/…` for the namespace `default`. In namespace `-` a lock's name is any etcd \
prefix, escaped, for locks that etcd's clients keep elsewhere. Keys and watches are of the whole store.

**Every answer** has the headers `Revision` (of the store) and `Request-Id`. Errors are problems (RFC 9457): \
`application/problem+json` with a `type` that leads to its explanation, and a `code` for programs. Unknown fields and \
parameters are refused.

**Ids** of sessions are strings; revisions and fencing tokens are numbers. **Durations** are strings: `10s`, `1500ms`.

**Locks.** A lease cannot stop a holder that was paused from going on when its session has ended. The fencing token can: it rises with \
every change of the holder, so whatever a lock protects must refuse a token lower than the highest it has seen.

**Waiting.** A request waits as long as it says with `wait`. A client that hangs up gives up what it waited for.";

/// What no handler's answer shows: what comes in streams; and what the groups of operations are.
#[derive(utoipa::OpenApi)]
#[openapi(
    components(schemas(Changes, KeyChange, Snapshot, Reset, Progress, LostClaim, Candidates, NoLeader, ToldAnew, Goaway, Expiring, RevokeRequested, SessionEnded,
        ConfigChange, ConfigReset, ItemChange)),
    tags(
        (name = "sessions", description = "A session is an etcd lease with a record of what it is. What is claimed for it lives as \
            long as it does."),
        (name = "locks", description = "One holder at a time, a fencing token for each, a line first come first served. The keys are \
            those of etcd's own locks, so `etcdctl lock` and these operations exclude each other."),
        (name = "elections", description = "One leader at a time, a term for each, candidates first come first served. The keys are those \
            of etcd's own elections, so `etcdctl elect` takes part."),
        (name = "barriers", description = "Waiting for each other: until one lets all go on, until all are there and all have left, again \
            and again. Keys are those of etcd's recipes where it has one."),
        (name = "latches", description = "A number that is counted down, and those who wait until nothing remains."),
        (name = "counters", description = "Numbers that are added to in one step, within bounds."),
        (name = "groups", description = "Who is there, for as long as its session lives."),
        (name = "queues", description = "Work, each message on loan to one consumer at a time: at least once, dead letters after so many \
            attempts."),
        (name = "rw-locks", description = "One writer or many readers, first come first served, in the layout of etcd's recipe."),
        (name = "semaphores", description = "As many permits as the semaphore's limit says, which the server keeps."),
        (name = "lock-sets", description = "Several locks at once, all or none: claimed in one step, so that two sets never wait for \
            each other."),
        (name = "configuration", description = "Sets of items for applications and environments: drafts, immutable releases, labels, \
            rollouts that go on as clients report, and streams of changes."),
        (name = "kv", description = "The store's keys, as etcd's clients see them."),
        (name = "watch", description = "What there is and then what changes, without a gap."),
        (name = "problems", description = "What errors mean."),
    )
)]
struct Beside;

/// What is said about the API as a whole.
pub(crate) fn head() -> OpenApi {
    let info =
        InfoBuilder::new().title("Quorate").version(env!("CARGO_PKG_VERSION")).description(Some(DESCRIPTION)).build();
    let mut api = Beside::openapi();
    api.info = info;
    api
}

/// Completes the description: what is the same for all operations, and what a route cannot say itself.
pub(crate) fn finish<S: Clone + Send + Sync + 'static>(mut api: OpenApiRouter<S>) -> OpenApiRouter<S> {
    let paths = std::mem::take(&mut api.get_openapi_mut().paths.paths);
    let finished = paths.into_iter().map(|(path, mut item)| {
        for operation in operations(&mut item) {
            finish_operation(&path, operation);
        }
        // The router's way to say "and everything behind" is not one of OpenAPI.
        (path.replace("{*", "{"), item)
    });
    api.get_openapi_mut().paths.paths = finished.collect();
    api
}

/// The text of the description.
pub(crate) fn text(document: &OpenApi) -> String {
    document.to_pretty_json().expect("a description is always JSON") + "\n"
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().filter_map(Option::as_mut)
}

fn finish_operation(path: &str, operation: &mut Operation) {
    if path.starts_with(TENANT_FORM) {
        operation.operation_id = operation.operation_id.take().map(|id| id + "InNamespace");
        operation.parameters.get_or_insert_default().insert(0, RefOr::T(namespace()));
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        // No body says the same as an empty one.
        body.required = Some(Required::False);
        body.content.iter_mut().for_each(|(media_type, content)| finish_content(media_type, content));
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.iter_mut().for_each(|(media_type, content)| finish_content(media_type, content));
        }
    }
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let any = ResponseBuilder::new().description("Any other problem").content(problem::CONTENT_TYPE, problem).build();
    operation.responses.responses.insert("default".to_owned(), RefOr::T(any));
}

/// Bytes of any kind are neither a document nor a list of numbers.
fn finish_content(media_type: &str, content: &mut RefOr<Content>) {
    if media_type == "application/octet-stream" {
        let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
        let bytes = ObjectBuilder::new().schema_type(Type::String).format(Some(binary));
        *content = RefOr::T(Content::new(Some(bytes)));
    }
}

fn namespace() -> Parameter {
    ParameterBuilder::new()
        .name("ns")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("The namespace"))
        .schema(Some(Object::with_type(Type::String)))
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::rest::described;

    fn document() -> OpenApi {
        described().into_openapi()
    }

    fn all_operations(document: &mut OpenApi) -> Vec<(String, Operation)> {
        let paths = document.paths.paths.iter_mut();
        paths.flat_map(|(path, item)| operations(item).map(|operation| (path.clone(), operation.clone()))).collect()
    }

    #[test]
    fn the_openapi_file_is_what_the_handlers_say() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi/openapi.json");
        let text = text(&document());
        if std::env::var_os("QUORATE_WRITE_OPENAPI").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let known = std::fs::read_to_string(&file).unwrap();
        assert!(
            known == text,
            "openapi/openapi.json is not what the handlers say: look at the change of \"make openapi\""
        );
    }

    #[test]
    fn every_operation_can_be_called_by_name() {
        let mut ids = BTreeSet::new();
        for (path, operation) in all_operations(&mut document()) {
            let id = operation.operation_id.unwrap();
            assert!(ids.insert(id.clone()), "{id} of {path} is the name of another operation");
            assert!(operation.summary.is_some(), "{path}");
        }
        assert!(ids.contains("claimLock") && ids.contains("claimLockInNamespace"));
    }

    #[test]
    fn every_part_of_a_path_is_described() {
        for (path, operation) in all_operations(&mut document()) {
            let named: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
            let parameters = operation.parameters.unwrap_or_default();
            let described = parameters.iter().filter_map(|parameter| match parameter {
                RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path => Some(parameter.name.as_str()),
                RefOr::T(_) | RefOr::Ref(_) => None,
            });
            assert_eq!(named, described.collect(), "{path}");
        }
    }
}
