//! TLS between members.
//!
//! A member shows its certificate both as server and as caller; the other side is trusted if its certificate goes back to the
//! authority given, and, as a server, carries the name or address of the URL.

use std::path::PathBuf;

use tls::{Acceptor, Callers, Client, Connector, Policy, Server, TlsError, Trust};

/// The only protocol spoken inside.
const PROTOCOLS: &[&str] = &["h2"];

/// Files for TLS, all PEM, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// This member's certificate, followed by those between it and the authority. Valid for server and client use.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities that vouch for members. Without them every server is believed, for certificates that members made
    /// themselves: that hides what is sent, and tells nobody who they speak with.
    pub trusted_ca: Option<PathBuf>,
    /// Whether callers must show a certificate of such an authority.
    pub client_cert_auth: bool,
    /// Certificates of callers that are not believed any more.
    pub crl: Option<PathBuf>,
    /// A name that certificates of callers must be made out for.
    pub allowed_hostname: Option<String>,
    /// Versions and cipher suites.
    pub policy: Policy,
}

impl Tls {
    pub(crate) fn acceptor(&self) -> Result<Acceptor, TlsError> {
        Acceptor::new(Server {
            cert: self.cert.clone(),
            key: self.key.clone(),
            callers: self.callers()?,
            policy: self.policy.clone(),
            protocols: PROTOCOLS,
        })
    }

    fn callers(&self) -> Result<Callers, TlsError> {
        match (self.client_cert_auth, &self.trusted_ca) {
            (false, _) => Ok(Callers::Anyone),
            (true, Some(trusted_ca)) => Ok(Callers::Certified {
                trusted_ca: trusted_ca.clone(),
                crl: self.crl.clone(),
                allowed_hostname: self.allowed_hostname.clone(),
            }),
            (true, None) => Err(TlsError::Policy(
                "callers cannot be checked without the authorities that vouch for them".to_owned(),
            )),
        }
    }

    pub(crate) fn connector(&self) -> Result<Connector, TlsError> {
        Connector::new(Client {
            identity: Some((self.cert.clone(), self.key.clone())),
            trust: self.trusted_ca.clone().map_or(Trust::AnyServer, Trust::Authorities),
            policy: self.policy.clone(),
            protocols: PROTOCOLS,
        })
    }
}
