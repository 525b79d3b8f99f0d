//! How users prove who they are: settings, in the words of etcd's flags.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jsonwebtoken::{Algorithm, AlgorithmFamily};
use thiserror::Error;

/// etcd's lifetime of a simple token that is not used.
const SIMPLE_TTL: Duration = Duration::from_secs(300);

/// etcd's lifetime of a JSON Web Token.
const JWT_TTL: Duration = Duration::from_secs(300);

/// What bcrypt takes, as powers of two.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=31;

/// Settings of authentication. Whether it is on is not among them: that is decided by a command and holds for the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// What tokens are.
    pub tokens: TokenKind,
    /// How long a simple token lives when it is not used.
    pub simple_ttl: Duration,
    /// What a password hash costs, as a power of two.
    pub bcrypt_cost: BcryptCost,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self { tokens: TokenKind::Simple, simple_ttl: SIMPLE_TTL, bcrypt_cost: BcryptCost::default() }
    }
}

/// What tokens are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Random letters that every member remembers.
    Simple,
    /// JSON Web Tokens.
    Jwt(JwtConfig),
}

/// How JSON Web Tokens are signed and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtConfig {
    pub(crate) algorithm: Algorithm,
    pub(crate) public_key: Option<PathBuf>,
    pub(crate) private_key: Option<PathBuf>,
    pub(crate) ttl: Duration,
}

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuthConfigError {
    /// Neither `simple` nor `jwt`.
    #[error("{0:?} is no kind of token: simple, or jwt,sign-method=…,pub-key=…,priv-key=…,ttl=…")]
    UnknownKind(String),
    /// Not of the form `name=value`, or said twice.
    #[error("{0:?} is no option of jwt, or is said twice: sign-method, pub-key, priv-key, ttl")]
    UnknownOption(String),
    /// No method to sign with.
    #[error(
        "jwt needs sign-method: one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, HS256, HS384, HS512"
    )]
    NoSignMethod,
    /// A method that is not known.
    #[error(
        "{0:?} is no sign-method: one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, HS256, HS384, HS512"
    )]
    UnknownSignMethod(String),
    /// No key.
    #[error("jwt with {0} needs {1}")]
    NoKey(&'static str, &'static str),
    /// Not a time.
    #[error("ttl={0}: a time such as 5m, 90s or 1h30m")]
    Ttl(String),
    /// Out of bounds.
    #[error("{0} is no cost of bcrypt: 4 to 31")]
    BcryptCost(String),
}

/// Cost of a password hash, as a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BcryptCost(u32);

impl BcryptCost {
    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

impl Default for BcryptCost {
    /// etcd's.
    fn default() -> Self {
        Self(10)
    }
}

impl FromStr for BcryptCost {
    type Err = AuthConfigError;

    fn from_str(text: &str) -> Result<Self, AuthConfigError> {
        let cost = text.parse().ok().filter(|cost| BCRYPT_COSTS.contains(cost));
        cost.map(Self).ok_or_else(|| AuthConfigError::BcryptCost(text.to_owned()))
    }
}

impl FromStr for TokenKind {
    type Err = AuthConfigError;

    /// Reads what etcd's `--auth-token` takes.
    fn from_str(text: &str) -> Result<Self, AuthConfigError> {
        let (kind, options) = text.split_once(',').map_or((text, None), |(kind, options)| (kind, Some(options)));
        match (kind, options) {
            ("simple", None) => Ok(Self::Simple),
            ("jwt", options) => JwtConfig::parse(options.unwrap_or_default()).map(Self::Jwt),
            _ => Err(AuthConfigError::UnknownKind(text.to_owned())),
        }
    }
}

impl JwtConfig {
    fn parse(options: &str) -> Result<Self, AuthConfigError> {
        let [mut sign_method, mut public_key, mut private_key, mut ttl] = [None; 4];
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let unknown = || AuthConfigError::UnknownOption(option.to_owned());
            let (name, value) = option.split_once('=').ok_or_else(unknown)?;
            let place = match name {
                "sign-method" => &mut sign_method,
                "pub-key" => &mut public_key,
                "priv-key" => &mut private_key,
                "ttl" => &mut ttl,
                _ => return Err(unknown()),
            };
            if place.replace(value).is_some() {
                return Err(unknown());
            }
        }
        let algorithm = sign_method.ok_or(AuthConfigError::NoSignMethod).and_then(algorithm)?;
        if is_symmetric(algorithm) && private_key.is_none() {
            return Err(AuthConfigError::NoKey("HS256, HS384 or HS512", "priv-key, the file of the secret"));
        }
        if !is_symmetric(algorithm) && public_key.is_none() {
            return Err(AuthConfigError::NoKey(
                "a key pair",
                "pub-key; without priv-key this member only checks tokens",
            ));
        }
        let ttl =
            ttl.map_or(Ok(JWT_TTL), |text| seconds_of(text).ok_or_else(|| AuthConfigError::Ttl(text.to_owned())))?;
        Ok(Self {
            algorithm,
            public_key: public_key.map(PathBuf::from),
            private_key: private_key.map(PathBuf::from),
            ttl,
        })
    }
}

pub(crate) fn is_symmetric(algorithm: Algorithm) -> bool {
    algorithm.family() == AlgorithmFamily::Hmac
}

fn algorithm(name: &str) -> Result<Algorithm, AuthConfigError> {
    name.parse().map_err(|_| AuthConfigError::UnknownSignMethod(name.to_owned()))
}

/// Go's form of a duration, in whole units: `1h30m`, `90s`.
fn seconds_of(text: &str) -> Option<Duration> {
    let (mut seconds, mut number) = (0_u64, None);
    for character in text.chars() {
        if let Some(digit) = character.to_digit(10) {
            number = Some(number.unwrap_or(0_u64).checked_mul(10)?.checked_add(u64::from(digit))?);
            continue;
        }
        let unit = match character {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    (number.is_none() && seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(options: &str) -> Result<JwtConfig, AuthConfigError> {
        match format!("jwt,{options}").parse()? {
            TokenKind::Jwt(config) => Ok(config),
            TokenKind::Simple => unreachable!("it says jwt"),
        }
    }

    #[test]
    fn what_etcd_takes_is_taken() {
        assert_eq!("simple".parse(), Ok(TokenKind::Simple));
        let config = jwt("pub-key=/a.pem,priv-key=/b.pem,sign-method=RS256,ttl=10m").unwrap();
        assert_eq!((config.algorithm, config.ttl), (Algorithm::RS256, Duration::from_secs(600)));
        assert_eq!(config.public_key, Some(PathBuf::from("/a.pem")));
        let config = jwt("priv-key=/secret,sign-method=HS512").unwrap();
        assert_eq!((config.algorithm, config.ttl), (Algorithm::HS512, JWT_TTL));
        for method in ["RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"] {
            assert!(jwt(&format!("sign-method={method},pub-key=/a")).is_ok(), "{method}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        use AuthConfigError as Error;
        for text in ["", "Simple", "simple,ttl=1m", "jwtt,sign-method=HS256"] {
            assert_eq!(text.parse::<TokenKind>(), Err(Error::UnknownKind(text.to_owned())));
        }
        assert_eq!("jwt".parse::<TokenKind>(), Err(Error::NoSignMethod));
        for method in ["none", "ES512", "hs256"] {
            assert_eq!(jwt(&format!("sign-method={method}")), Err(Error::UnknownSignMethod(method.to_owned())));
        }
        assert!(matches!(jwt("sign-method=RS256,priv-key=/a"), Err(Error::NoKey(..))));
        assert!(matches!(jwt("sign-method=HS256,pub-key=/a"), Err(Error::NoKey(..))));
        assert_eq!(jwt("sign-method=HS256,key=/a"), Err(Error::UnknownOption("key=/a".to_owned())));
        assert_eq!(jwt("ttl=1m,ttl=1m"), Err(Error::UnknownOption("ttl=1m".to_owned())));
        for ttl in ["5", "m", "0s", "1d", "-1m", "99999999999999999999h"] {
            assert_eq!(jwt(&format!("sign-method=HS256,priv-key=/a,ttl={ttl}")), Err(Error::Ttl(ttl.to_owned())));
        }
    }

    #[test]
    fn costs_are_those_of_bcrypt() {
        assert_eq!("4".parse(), Ok(BcryptCost(4)));
        for cost in ["3", "32", "x", ""] {
            assert_eq!(cost.parse::<BcryptCost>(), Err(AuthConfigError::BcryptCost(cost.to_owned())));
        }
    }
}
