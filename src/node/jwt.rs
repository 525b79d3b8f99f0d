//! JSON Web Tokens: nothing is remembered, all is in the token. One names its user, when it ends, and the revision of the auth store that
//! it was made for; any change of users or roles makes it worthless for keys. Only the algorithm that was configured is accepted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation};
use model::Identity;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::auth_config::{JwtConfig, is_symmetric};

/// Keys that cannot be used.
#[derive(Debug, Error)]
pub enum JwtKeyError {
    /// The file cannot be read.
    #[error("key file {path}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not hold such a key.
    #[error("key file {path} holds no key for {algorithm} in PEM form (private ones as PKCS #8)", path = path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// What it is for.
        algorithm: String,
        /// Why.
        source: jsonwebtoken::errors::Error,
    },
    /// Tokens signed with the private key would not be accepted.
    #[error("pub-key and priv-key do not belong together")]
    Pair,
}

/// What a token says. The names are etcd's.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    username: String,
    revision: u64,
    /// Seconds since 1970.
    exp: u64,
}

/// Makes and checks tokens.
pub(crate) struct Jwt {
    algorithm: Algorithm,
    verifying: DecodingKey,
    /// None: this member only checks tokens.
    signing: Option<EncodingKey>,
    validation: Validation,
    ttl: Duration,
}

impl Jwt {
    /// Reads the keys.
    pub(crate) fn load(config: &JwtConfig) -> Result<Self, JwtKeyError> {
        let algorithm = config.algorithm;
        let private = config.private_key.as_deref().map(|path| Ok((path, read(path)?))).transpose()?;
        let public = config.public_key.as_deref().map(|path| Ok((path, read(path)?))).transpose()?;
        let signing = private.as_ref().map(|(path, text)| signing_key(algorithm, path, text)).transpose()?;
        let verifying = match (&public, &private) {
            (_, Some((_, secret))) if is_symmetric(algorithm) => DecodingKey::from_secret(secret),
            (Some((path, text)), _) => verifying_key(algorithm, path, text)?,
            (None, _) => unreachable!("the configuration was refused without its key"),
        };
        let mut validation = Validation::new(algorithm);
        validation.leeway = 0;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp"]);
        let jwt = Self { algorithm, verifying, signing, validation, ttl: config.ttl };
        jwt.check_pair()?;
        Ok(jwt)
    }

    /// A pair that does not match would be found out by nobody who could do something about it.
    fn check_pair(&self) -> Result<(), JwtKeyError> {
        let Some(token) = self.sign("", 0, u64::from(u32::MAX)) else { return Ok(()) };
        self.identity(&token).map(drop).ok_or(JwtKeyError::Pair)
    }

    /// A token for `user`, made at `now_ms` since 1970; none from a member that only checks tokens.
    pub(crate) fn token(&self, user: &str, auth_revision: u64, now_ms: u64) -> Option<String> {
        self.sign(user, auth_revision, (now_ms / 1000).saturating_add(self.ttl.as_secs()))
    }

    fn sign(&self, user: &str, revision: u64, exp: u64) -> Option<String> {
        let claims = Claims { username: user.to_owned(), revision, exp };
        jsonwebtoken::encode(&Header::new(self.algorithm), &claims, self.signing.as_ref()?).ok()
    }

    /// Who a token is of; none if it is not ours, or ran out.
    pub(crate) fn identity(&self, token: &str) -> Option<Identity> {
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.verifying, &self.validation).ok()?;
        Some(Identity { user: decoded.claims.username, auth_revision: decoded.claims.revision })
    }
}

impl std::fmt::Debug for Jwt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jwt").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, JwtKeyError> {
    std::fs::read(path).map_err(|source| JwtKeyError::File { path: path.to_owned(), source })
}

fn signing_key(algorithm: Algorithm, path: &Path, text: &[u8]) -> Result<EncodingKey, JwtKeyError> {
    let key = match algorithm.family() {
        AlgorithmFamily::Hmac => Ok(EncodingKey::from_secret(text)),
        AlgorithmFamily::Rsa => EncodingKey::from_rsa_pem(text),
        AlgorithmFamily::Ec => EncodingKey::from_ec_pem(text),
        AlgorithmFamily::Ed => EncodingKey::from_ed_pem(text),
    };
    key.map_err(|source| unusable(algorithm, path, source))
}

fn verifying_key(algorithm: Algorithm, path: &Path, text: &[u8]) -> Result<DecodingKey, JwtKeyError> {
    let key = match algorithm.family() {
        AlgorithmFamily::Hmac => Ok(DecodingKey::from_secret(text)),
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(text),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(text),
        AlgorithmFamily::Ed => DecodingKey::from_ed_pem(text),
    };
    key.map_err(|source| unusable(algorithm, path, source))
}

fn unusable(algorithm: Algorithm, path: &Path, source: jsonwebtoken::errors::Error) -> JwtKeyError {
    JwtKeyError::Key { path: path.to_owned(), algorithm: format!("{algorithm:?}"), source }
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
