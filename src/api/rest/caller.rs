//! Who makes a request: the one place from which handlers get the identity that a member acts for.

use std::convert::Infallible;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use model::Identity;

use super::Rest;

/// The identity of whoever made the request. While there is no authentication it is nobody's in particular.
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
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &Rest) -> Result<Self, Infallible> {
        Ok(Self(Identity::default()))
    }
}
