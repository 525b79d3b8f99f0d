//! Who makes a request: the one place from which handlers get the identity that a member acts for.

use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use model::{Identity, Rejection};

use super::Rest;
use super::problem::Problem;
use crate::credentials::Credentials;

/// The identity of whoever made the request. While authentication is off it is nobody's in particular; while it is on, there is no
/// request without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller(pub(crate) Identity);

impl Caller {
    /// The identity, for a proposal.
    pub(crate) fn identity(&self) -> Identity {
        self.0.clone()
    }
}

impl Deref for Caller {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0
    }
}

impl FromRequestParts<Rest> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rest: &Rest) -> Result<Self, Problem> {
        if !rest.handle.is_auth_enabled() {
            return Ok(Self(Identity::default()));
        }
        let credentials = Credentials::of_http(&parts.headers, &parts.extensions);
        let identity = credentials.identify(&rest.handle).await.map_err(Problem::of_read)?;
        if identity == Identity::default() && rest.handle.is_auth_enabled() {
            return Err(Problem::of_read(Rejection::UserNameEmpty));
        }
        Ok(Self(identity))
    }
}
