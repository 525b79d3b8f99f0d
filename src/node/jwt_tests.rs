//! Tokens of every algorithm, and those that are none.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use super::*;
use crate::auth_config::TokenKind;

const NOW_MS: u64 = 4_000_000_000_000;

fn load(directory: &Path, method: &str, public: Option<&str>, private: Option<&str>) -> Result<Jwt, JwtKeyError> {
    let mut options = format!("jwt,sign-method={method},ttl=5m");
    for (name, text) in [("pub-key", public), ("priv-key", private)] {
        if let Some(text) = text {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            options += &format!(",{name}={}", path.display());
        }
    }
    match options.parse().unwrap() {
        TokenKind::Jwt(config) => Jwt::load(&config),
        TokenKind::Simple => unreachable!("it says jwt"),
    }
}

fn pair(algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
    let pair = KeyPair::generate_for(algorithm).unwrap();
    (pair.public_key_pem(), pair.serialize_pem())
}

#[test]
fn what_is_signed_is_accepted_by_who_has_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let pairs = [("ES256", &PKCS_ECDSA_P256_SHA256), ("ES384", &PKCS_ECDSA_P384_SHA384), ("EdDSA", &PKCS_ED25519)];
    for (method, algorithm) in pairs {
        let (public, private) = pair(algorithm);
        let jwt = load(directory.path(), method, Some(&public), Some(&private)).unwrap();
        let token = jwt.token("u", 7, NOW_MS).unwrap();
        let verifier = load(directory.path(), method, Some(&public), None).unwrap();
        let identity = Identity { user: "u".to_owned(), auth_revision: 7 };
        assert_eq!(verifier.identity(&token), Some(identity), "{method}");
        assert_eq!(verifier.token("u", 7, NOW_MS), None, "it only checks");
        let (other, _) = pair(algorithm);
        assert_eq!(load(directory.path(), method, Some(&other), None).unwrap().identity(&token), None);
        assert!(matches!(load(directory.path(), method, Some(&other), Some(&private)), Err(JwtKeyError::Pair)));
    }
}

#[test]
fn a_secret_signs_and_checks() {
    let directory = tempfile::tempdir().unwrap();
    for method in ["HS256", "HS384", "HS512"] {
        let jwt = load(directory.path(), method, None, Some("a secret")).unwrap();
        let token = jwt.token("u", 7, NOW_MS).unwrap();
        assert_eq!(jwt.identity(&token).unwrap().auth_revision, 7);
        assert!(load(directory.path(), method, None, Some("another")).unwrap().identity(&token).is_none());
    }
}

/// Whoever forges a token tries to have it checked by another rule than the one that was configured.
#[test]
fn a_forged_token_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let (public, private) = pair(&PKCS_ECDSA_P256_SHA256);
    let jwt = load(directory.path(), "ES256", Some(&public), Some(&private)).unwrap();
    let token = jwt.token("u", 7, NOW_MS).unwrap();
    let [header, claims, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let root = encode(r#"{"username":"root","revision":7,"exp":4294967295}"#);
    let by_public_key = load(directory.path(), "HS256", None, Some(&public)).unwrap().token("root", 7, NOW_MS).unwrap();
    let mut bent = signature.to_owned();
    bent.replace_range(..1, if bent.starts_with('A') { "B" } else { "A" });
    for forged in [
        format!("{}.{claims}.", encode(r#"{"alg":"none","typ":"JWT"}"#)),
        format!("{header}.{root}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}.{bent}"),
        format!("{header}.{claims}"),
        by_public_key,
        String::new(),
    ] {
        assert_eq!(jwt.identity(&forged), None, "{forged}");
    }
    assert!(jwt.identity(&token).is_some());
}

#[test]
fn a_token_ends_and_says_all_that_it_must() {
    let directory = tempfile::tempdir().unwrap();
    let jwt = load(directory.path(), "HS256", None, Some("a secret")).unwrap();
    assert_eq!(jwt.identity(&jwt.token("u", 7, 0).unwrap()), None, "it ended in 1970");
    let sign = |claims: serde_json::Value| {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, jwt.signing.as_ref().unwrap()).unwrap()
    };
    assert!(
        jwt.identity(&sign(serde_json::json!({"username": "u", "revision": 7, "exp": 4_294_967_295_u64}))).is_some()
    );
    for claims in [
        serde_json::json!({"username": "u", "revision": 7}),
        serde_json::json!({"username": "u", "exp": 4_294_967_295_u64}),
        serde_json::json!({"revision": 7, "exp": 4_294_967_295_u64}),
        serde_json::json!({"username": 7, "revision": 7, "exp": 4_294_967_295_u64}),
        serde_json::json!({"username": "u", "revision": -1, "exp": 4_294_967_295_u64}),
    ] {
        assert_eq!(jwt.identity(&sign(claims.clone())), None, "{claims}");
    }
}

#[test]
fn keys_that_are_none_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let (public, _) = pair(&PKCS_ED25519);
    for method in ["RS256", "PS256", "ES256"] {
        assert!(
            matches!(load(directory.path(), method, Some("no key"), None), Err(JwtKeyError::Key { .. })),
            "{method}"
        );
    }
    assert!(matches!(load(directory.path(), "EdDSA", Some(&public), Some("no key")), Err(JwtKeyError::Key { .. })));
    let TokenKind::Jwt(config) = "jwt,sign-method=RS256,pub-key=/no/such/file".parse().unwrap() else { unreachable!() };
    assert!(matches!(Jwt::load(&config), Err(JwtKeyError::File { .. })));
}
