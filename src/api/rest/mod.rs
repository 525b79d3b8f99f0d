//! The recipes' REST API: sessions, locks, keys and watches over plain HTTP, for clients that have nothing else.
//!
//! Resources and not verbs; JSON documents; problems of RFC 9457 with names that never change; streams as server-sent events. Every
//! answer names its revision. What a client sends is checked before anything is proposed, bounded in size and in time, and
//! refused if it says something that nobody would act on. One source makes routes and their description (`openapi.rs`).
//!
//! Leaves to others: what a command means (`recipes`, `state`), waiting and giving up (`node`), connections (`crate::connection`).

mod openapi;
mod site;

mod barriers;
mod candidate;
mod changes;
mod claim;
mod claim_changes;
mod claim_events;
mod claim_request;
mod claim_routes;
mod claims;
mod config;
mod counters;
mod cyclic_barriers;
mod double_barriers;
mod election_events;
mod elections;
mod follower;
mod groups;
mod holder;
mod if_lock;
mod kv;
mod kv_list;
mod kv_write;
mod latches;
mod lines;
mod locks;
mod notice;
mod queues;
mod session_batch;
mod session_list;
mod session_stream;
mod sessions;
mod snapshot;
mod telling;
mod watch;

mod problem;
mod problem_kind;
mod problem_of_error;
mod problem_pages;

mod envelope;
mod frames;
mod pace;
mod reply;

mod body;
mod caller;
mod conditions;
mod cursor;
mod duration;
mod names;
mod page;
mod path;
mod query;
mod range;
mod resource;
mod resume;
mod value;
mod waiting;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get};
use model::Revision;
use node::Handle;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::draining::Draining;
use crate::options::Options;
use config::{Releases, Vault};
use cursor::{Cursor, Epoch};
use envelope::RequestIds;
use problem::{Kind, Problem};

/// What the routes share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    handle: Handle,
    draining: Draining,
    request_ids: RequestIds,
    releases: Arc<Releases>,
    vault: Vault,
}

impl Rest {
    fn epoch(&self) -> Epoch {
        Epoch::of(self.handle.header().cluster_id)
    }

    /// The cursor of everything up to `revision`.
    fn cursor(&self, revision: Revision) -> Cursor {
        Cursor { epoch: self.epoch(), revision }
    }

    /// Waits for `answer`, but not beyond the word to stop. Dropping the answer gives up what it stands for.
    async fn unless_stopping<T>(&self, answer: impl Future<Output = T>) -> Result<T, Problem> {
        let mut draining = self.draining.clone();
        tokio::select! {
            answer = answer => Ok(answer),
            () = draining.begun() => Err(Problem::new(Kind::NotReady, "the member is stopping; what was begun was given up")),
        }
    }
}

/// All routes of this API, its description and its pages. Unknown paths below `/v1` are answered here.
pub(crate) fn router(handle: Handle, draining: Draining, options: &Options) -> Router {
    let vault = Vault::new(options.config_secret_key.as_ref());
    let rest = Rest { handle, draining, request_ids: RequestIds::new(), releases: Arc::default(), vault };
    let (routes, document) = described().split_for_parts();
    routes
        .merge(site::routes(document))
        .method_not_allowed_fallback(envelope::method_not_allowed)
        .layer(from_fn(pace::keep))
        .layer(from_fn_with_state(rest.clone(), envelope::seal))
        .with_state(rest)
}

/// The routes together with their description.
fn described() -> OpenApiRouter<Rest> {
    let v1 = of_namespace()
        .merge(of_store())
        .nest("/ns/{ns}", of_namespace())
        .route("/kv/", get(kv::show).put(kv_write::put).delete(kv_write::delete))
        .fallback(envelope::not_found);
    // The fallback of what is nested does not cover its root.
    let api = OpenApiRouter::with_openapi(openapi::head())
        .nest("/v1", v1)
        .route("/v1", any(envelope::not_found))
        .route("/v1/", any(envelope::not_found));
    openapi::finish(api.routes(routes!(problem_pages::list)).routes(routes!(problem_pages::show)))
}

/// What exists once in every namespace.
fn of_namespace() -> OpenApiRouter<Rest> {
    OpenApiRouter::default()
        .routes(routes!(sessions::open, session_list::list))
        .routes(routes!(sessions::open_as, sessions::show, sessions::close))
        .routes(routes!(sessions::keep_alive))
        .routes(routes!(session_batch::keep_alive))
        .routes(routes!(session_stream::stream))
        .routes(routes!(locks::show))
        .routes(routes!(locks::check_token))
        .merge(claims())
        .routes(routes!(elections::show))
        .routes(routes!(elections::stand, elections::show_candidacy, elections::resign))
        .routes(routes!(elections::proclaim))
        .routes(routes!(election_events::follow))
        .merge(of_synchronisers())
        .merge(config::routes())
}

/// What services do together, in every namespace.
fn of_synchronisers() -> OpenApiRouter<Rest> {
    OpenApiRouter::default()
        .routes(routes!(barriers::show, barriers::hold, barriers::release))
        .routes(routes!(double_barriers::show))
        .routes(routes!(double_barriers::enter, double_barriers::leave))
        .routes(routes!(cyclic_barriers::show))
        .routes(routes!(cyclic_barriers::arrive, cyclic_barriers::withdraw))
        .routes(routes!(latches::show, latches::set, latches::drop_latch))
        .routes(routes!(latches::count_down))
        .routes(routes!(counters::show, counters::set))
        .routes(routes!(counters::increment))
        .routes(routes!(groups::show))
        .routes(routes!(groups::join, groups::leave))
        .routes(routes!(groups::follow))
        .routes(routes!(queues::show, queues::set))
        .routes(routes!(queues::send))
        .routes(routes!(queues::take))
        .routes(routes!(queues::ack))
        .routes(routes!(queues::nack))
}

/// Locks of every sort, as they stand, and the claims on them.
fn claims() -> OpenApiRouter<Rest> {
    use claim_routes::{lock_claims, lock_set_claims, rw_lock_claims, semaphore_claims};
    OpenApiRouter::default()
        .routes(routes!(lock_claims::claim, lock_claims::show, lock_claims::amend, lock_claims::release))
        .routes(routes!(lock_claims::request_revocation))
        .routes(routes!(lines::show_rw_lock))
        .routes(routes!(rw_lock_claims::claim, rw_lock_claims::show, rw_lock_claims::amend, rw_lock_claims::release))
        .routes(routes!(rw_lock_claims::request_revocation))
        .routes(routes!(lines::show_semaphore, lines::set_limit))
        .routes(routes!(
            semaphore_claims::claim,
            semaphore_claims::show,
            semaphore_claims::amend,
            semaphore_claims::release
        ))
        .routes(routes!(semaphore_claims::request_revocation))
        .routes(routes!(
            lock_set_claims::claim,
            lock_set_claims::show,
            lock_set_claims::amend,
            lock_set_claims::release
        ))
        .routes(routes!(lock_set_claims::request_revocation))
}

/// What exists once in the store.
fn of_store() -> OpenApiRouter<Rest> {
    OpenApiRouter::default()
        .routes(routes!(kv_list::list))
        .routes(routes!(kv::show, kv_write::put, kv_write::delete))
        .routes(routes!(watch::watch))
}
