//! Which versions and cipher suites are spoken.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

use crate::TlsError;

/// A version of TLS; older ones are not spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl FromStr for Version {
    type Err = TlsError;

    /// etcd's names: `TLS1.2`, `TLS1.3`.
    fn from_str(name: &str) -> Result<Self, TlsError> {
        match name {
            "TLS1.2" => Ok(Self::Tls12),
            "TLS1.3" => Ok(Self::Tls13),
            other => Err(TlsError::Policy(format!("{other:?} is not a version of TLS; there are TLS1.2 and TLS1.3"))),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS1.2",
            Self::Tls13 => "TLS1.3",
        })
    }
}

/// Names of the suites of TLS 1.2, in order of preference; those of TLS 1.3 are all on whenever it is spoken.
const SUITES: [(&str, SupportedCipherSuite); 6] = [
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", ring::cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ring::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", ring::cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// What may be spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    min: Version,
    max: Version,
    /// Suites of TLS 1.2 by their place in [`SUITES`]; empty for all.
    suites: Vec<usize>,
}

impl Default for Policy {
    /// TLS 1.2 and 1.3 with all suites.
    fn default() -> Self {
        Self { min: Version::Tls12, max: Version::Tls13, suites: Vec::new() }
    }
}

impl Policy {
    /// Versions from `min` to `max`; of TLS 1.2 only the suites named, or all if none is. Go's older names of the ChaCha20
    /// suites, without the hash, are taken as well.
    ///
    /// # Errors
    ///
    /// `min` is above `max`; a suite is not known; suites are named although TLS 1.2, whose they are, is not spoken.
    pub fn new(min: Version, max: Version, suites: &[String]) -> Result<Self, TlsError> {
        if min > max {
            return Err(TlsError::Policy(format!("there is no version from {min} to {max}")));
        }
        if min == Version::Tls13 && !suites.is_empty() {
            return Err(TlsError::Policy("cipher suites cannot be chosen when only TLS1.3 is spoken".to_owned()));
        }
        let suites = suites.iter().map(|name| place_of_suite(name)).collect::<Result<_, _>>()?;
        Ok(Self { min, max, suites })
    }

    pub(crate) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        match (self.min, self.max) {
            (Version::Tls12, Version::Tls12) => vec![&version::TLS12],
            (Version::Tls12, Version::Tls13) => vec![&version::TLS13, &version::TLS12],
            (Version::Tls13, _) => vec![&version::TLS13],
        }
    }

    /// Named, because the process's default would depend on what else is linked in.
    pub(crate) fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = ring::default_provider();
        if !self.suites.is_empty() {
            let chosen: Vec<_> = self.suites.iter().map(|place| SUITES[*place].1).collect();
            provider.cipher_suites.retain(|suite| suite.tls13().is_some() || chosen.contains(suite));
        }
        Arc::new(provider)
    }
}

fn place_of_suite(name: &str) -> Result<usize, TlsError> {
    let place = SUITES.iter().position(|(known, _)| *known == name || known.strip_suffix("_SHA256") == Some(name));
    place.ok_or_else(|| {
        let known = SUITES.map(|(name, _)| name).join(", ");
        TlsError::Policy(format!("{name:?} is not a cipher suite that is spoken; there are {known}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(min: &str, max: &str, suites: &[&str]) -> Result<Policy, TlsError> {
        let suites: Vec<_> = suites.iter().map(ToString::to_string).collect();
        Policy::new(min.parse()?, max.parse()?, &suites)
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        for (min, max, suites, reason) in [
            ("TLS1.1", "TLS1.3", &[][..], "not a version"),
            ("TLS1.3", "TLS1.2", &[], "no version from TLS1.3 to TLS1.2"),
            ("TLS1.3", "TLS1.3", &["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"], "cannot be chosen"),
            ("TLS1.2", "TLS1.3", &["TLS_RSA_WITH_RC4_128_SHA"], "not a cipher suite"),
        ] {
            let error = policy(min, max, suites).expect_err(reason).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn chosen_suites_are_the_only_ones_of_tls_1_2() {
        let chosen = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"];
        let provider = policy("TLS1.2", "TLS1.3", &chosen).expect("a policy").provider();
        let newer = provider.cipher_suites.iter().filter(|suite| suite.tls13().is_some()).count();
        assert_eq!((newer, provider.cipher_suites.len()), (3, 3 + 2));
        assert_eq!(Policy::default().provider().cipher_suites.len(), 9);
    }

    #[test]
    fn versions_are_those_in_between() {
        assert_eq!(Policy::default().versions().len(), 2);
        assert_eq!(policy("TLS1.2", "TLS1.2", &[]).expect("a policy").versions(), [&version::TLS12]);
        assert_eq!(policy("TLS1.3", "TLS1.3", &[]).expect("a policy").versions(), [&version::TLS13]);
    }
}
