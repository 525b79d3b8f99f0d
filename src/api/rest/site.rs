//! What people open in a browser: a page of links, the API's description, and the description made clickable. All of it comes
//! out of the binary; nothing is loaded from elsewhere.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use bytes::Bytes;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{Rest, openapi};

const LANDING: &str = include_str!("landing.html");

/// The pages.
pub(crate) fn routes(document: OpenApi) -> Router<Rest> {
    let json = Bytes::from(openapi::text(&document));
    let description = move || {
        let json = json.clone();
        async move { ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], json).into_response() }
    };
    // The interface would otherwise send the description to a validator on the internet.
    let config = Config::new(["/openapi.json"]).validator_url("none").try_it_out_enabled(true);
    Router::new()
        .route("/", get(|| async { Html(LANDING) }))
        .route("/openapi.json", get(description))
        .merge(SwaggerUi::new("/docs").config(config))
}
