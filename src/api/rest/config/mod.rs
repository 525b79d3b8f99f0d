//! Configuration over REST: drafts, releases, labels, rollouts; and what clients read, follow and report.
//!
//! A set is edited as a draft, published as a numbered release, and read through labels by clients that follow it. What a
//! command decides is `recipes::config`; here is what is checked before, composed for it, and shown of it.
//!
//! Secrets are sealed before they are proposed and opened for who asks, in the answer to that question only (`secret.rs`).

mod clients;
mod diff;
mod draft;
mod edits;
mod effective;
mod flag;
mod follow;
mod item;
mod items;
mod labels;
mod layers;
mod ofrep;
mod publish;
mod release;
mod release_read;
mod releases;
mod rollout;
mod schema;
mod secret;
mod set;
mod transfer;
mod watch;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;

pub(crate) use release_read::Releases;
pub(crate) use schema::Violation;
pub(crate) use secret::Vault;
pub(crate) use watch::{ConfigChange, ConfigReset, ItemChange};

/// What exists once in every namespace.
pub(crate) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::default()
        .routes(routes!(effective::show))
        .routes(routes!(watch::watch))
        .routes(routes!(edits::list, edits::edit))
        .routes(routes!(items::show, items::put, items::delete))
        .routes(routes!(schema::show, schema::put, schema::delete))
        .routes(routes!(releases::list, publish::publish))
        .routes(routes!(releases::show))
        .routes(routes!(releases::compare))
        .routes(routes!(labels::list))
        .routes(routes!(labels::show, labels::put, labels::delete))
        .routes(routes!(rollout::show))
        .routes(routes!(rollout::pause))
        .routes(routes!(rollout::resume))
        .routes(routes!(rollout::abort))
        .routes(routes!(clients::list))
        .routes(routes!(clients::acknowledge))
        .routes(routes!(transfer::export))
        .routes(routes!(transfer::import))
        .routes(routes!(ofrep::evaluate_all))
        .routes(routes!(ofrep::evaluate_one))
}
