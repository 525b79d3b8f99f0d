//! Flags of TLS, for clients and for peers.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{ArgAction, Args};
use node::PeerTls;
use tls::{Callers, Policy, SelfSigned, Server, self_signed};

use super::Url;

/// What clients may speak above TLS, the better one first.
const CLIENT_PROTOCOLS: &[&str] = &["h2", "http/1.1"];

/// Below the data directory, where a member keeps the certificates that it made (etcd's place).
const MADE_FOR_CLIENTS: &str = "fixtures/client";
const MADE_FOR_PEERS: &str = "fixtures/peer";

/// Certificates, and what is spoken with them.
#[derive(Clone, Debug, Args)]
pub(crate) struct TlsFlags {
    /// Certificate of this member for clients' URLs with https://, PEM
    #[arg(long, env = "ETCD_CERT_FILE")]
    cert_file: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, env = "ETCD_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// Certificates of the authorities that clients' certificates must come from, PEM; with it clients must show one
    #[arg(long, env = "ETCD_TRUSTED_CA_FILE")]
    trusted_ca_file: Option<PathBuf>,
    /// Refuse clients that show no certificate of such an authority; the common name of one that does is its user
    #[arg(
        long,
        env = "ETCD_CLIENT_CERT_AUTH",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    client_cert_auth: bool,
    /// Certificates of clients that were revoked, PEM or DER
    #[arg(long, env = "ETCD_CLIENT_CRL_FILE")]
    client_crl_file: Option<PathBuf>,
    /// A name that clients' certificates must be made out for
    #[arg(long, env = "ETCD_CLIENT_CERT_ALLOWED_HOSTNAME")]
    client_cert_allowed_hostname: Option<String>,
    /// Make a certificate for clients' URLs with https:// at the first start; no client can check it
    #[arg(
        long,
        env = "ETCD_AUTO_TLS",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    auto_tls: bool,
    /// Certificate of this member for peer URLs with https://, PEM
    #[arg(long, env = "ETCD_PEER_CERT_FILE")]
    peer_cert_file: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, env = "ETCD_PEER_KEY_FILE")]
    peer_key_file: Option<PathBuf>,
    /// Certificates of the authorities that peers' certificates must come from, PEM
    #[arg(long, env = "ETCD_PEER_TRUSTED_CA_FILE")]
    peer_trusted_ca_file: Option<PathBuf>,
    /// Refuse peers that show no certificate of such an authority
    #[arg(
        long,
        env = "ETCD_PEER_CLIENT_CERT_AUTH",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    peer_client_cert_auth: bool,
    /// Certificates of peers that were revoked, PEM or DER
    #[arg(long, env = "ETCD_PEER_CRL_FILE")]
    peer_crl_file: Option<PathBuf>,
    /// A name that certificates of calling peers must be made out for
    #[arg(long, env = "ETCD_PEER_CERT_ALLOWED_HOSTNAME")]
    peer_cert_allowed_hostname: Option<String>,
    /// Make a certificate for peer URLs with https:// at the first start; peers do not check each other's then
    #[arg(
        long,
        env = "ETCD_PEER_AUTO_TLS",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    peer_auto_tls: bool,
    /// Years that certificates made by --auto-tls and --peer-auto-tls are valid
    #[arg(long, env = "ETCD_SELF_SIGNED_CERT_VALIDITY", default_value_t = 1)]
    self_signed_cert_validity: u32,
    /// Oldest version of TLS: TLS1.2 or TLS1.3
    #[arg(long, env = "ETCD_TLS_MIN_VERSION", default_value = "TLS1.2")]
    tls_min_version: String,
    /// Newest version of TLS [default: TLS1.3]
    #[arg(long, env = "ETCD_TLS_MAX_VERSION")]
    tls_max_version: Option<String>,
    /// Cipher suites of TLS 1.2, by their standard names [default: all six that are safe]
    #[arg(long, env = "ETCD_CIPHER_SUITES", value_delimiter = ',')]
    cipher_suites: Vec<String>,
}

impl TlsFlags {
    /// How TLS is served to clients at `urls`, if it is.
    ///
    /// # Errors
    ///
    /// Flags that contradict each other, or a certificate that cannot be made.
    pub(super) fn client<'a>(&self, data_dir: &Path, urls: impl Iterator<Item = &'a String>) -> Result<Option<Server>> {
        let (cert, key) = match (&self.cert_file, &self.key_file, self.auto_tls) {
            (Some(cert), Some(key), false) => (cert.clone(), key.clone()),
            (None, None, true) => {
                let made = self.make(&data_dir.join(MADE_FOR_CLIENTS), urls).context("--auto-tls")?;
                (made.cert, made.key)
            }
            (None, None, false) => {
                let needed = "TLS for clients needs --cert-file and --key-file, or --auto-tls";
                ensure!(self.trusted_ca_file.is_none() && !self.client_cert_auth, "{needed}");
                return Ok(None);
            }
            (Some(_), None, _) | (None, Some(_), _) => bail!("--cert-file and --key-file go together"),
            (Some(_), Some(_), true) => {
                bail!("--auto-tls makes a certificate, and --cert-file names one: take one of them")
            }
        };
        let callers = self.callers()?;
        Ok(Some(Server { cert, key, callers, policy: self.policy()?, protocols: CLIENT_PROTOCOLS }))
    }

    fn callers(&self) -> Result<Callers> {
        let (crl, allowed_hostname) = (self.client_crl_file.clone(), self.client_cert_allowed_hostname.clone());
        match &self.trusted_ca_file {
            Some(trusted_ca) => Ok(Callers::Certified { trusted_ca: trusted_ca.clone(), crl, allowed_hostname }),
            None => {
                ensure!(!self.client_cert_auth, "--client-cert-auth needs --trusted-ca-file");
                ensure!(crl.is_none(), "--client-crl-file needs --trusted-ca-file");
                ensure!(allowed_hostname.is_none(), "--client-cert-allowed-hostname needs --trusted-ca-file");
                Ok(Callers::Anyone)
            }
        }
    }

    /// How peers at `urls` speak TLS, if they do.
    ///
    /// # Errors
    ///
    /// As [`Self::client`].
    pub(super) fn peer<'a>(&self, data_dir: &Path, urls: impl Iterator<Item = &'a String>) -> Result<Option<PeerTls>> {
        let files = (&self.peer_cert_file, &self.peer_key_file, &self.peer_trusted_ca_file);
        let (cert, key, trusted_ca) = match (files, self.peer_auto_tls) {
            ((Some(cert), Some(key), Some(ca)), false) => (cert.clone(), key.clone(), Some(ca.clone())),
            ((None, None, None), true) => {
                ensure!(!self.peer_client_cert_auth, "--peer-client-cert-auth needs --peer-trusted-ca-file");
                let made = self.make(&data_dir.join(MADE_FOR_PEERS), urls).context("--peer-auto-tls")?;
                (made.cert, made.key, None)
            }
            ((None, None, None), false) if !self.peer_client_cert_auth => return Ok(None),
            (_, true) => bail!("--peer-auto-tls makes a certificate, and --peer-cert-file names one: take one of them"),
            (_, false) => {
                bail!("TLS between members needs --peer-cert-file, --peer-key-file and --peer-trusted-ca-file")
            }
        };
        let (crl, allowed_hostname) = (self.peer_crl_file.clone(), self.peer_cert_allowed_hostname.clone());
        if !self.peer_client_cert_auth {
            ensure!(crl.is_none(), "--peer-crl-file needs --peer-client-cert-auth");
            ensure!(allowed_hostname.is_none(), "--peer-cert-allowed-hostname needs --peer-client-cert-auth");
        }
        let (client_cert_auth, policy) = (self.peer_client_cert_auth, self.policy()?);
        Ok(Some(PeerTls { cert, key, trusted_ca, client_cert_auth, crl, allowed_hostname, policy }))
    }

    fn policy(&self) -> Result<Policy> {
        let min = self.tls_min_version.parse().context("--tls-min-version")?;
        let max = self.tls_max_version.as_deref().filter(|max| !max.is_empty()).unwrap_or("TLS1.3");
        let max = max.parse().context("--tls-max-version")?;
        Policy::new(min, max, &self.cipher_suites).context("--tls-min-version, --tls-max-version, --cipher-suites")
    }

    fn make<'a>(&self, folder: &Path, urls: impl Iterator<Item = &'a String>) -> Result<SelfSigned> {
        ensure!(self.self_signed_cert_validity > 0, "--self-signed-cert-validity must be above 0");
        let mut hosts =
            urls.map(|url| Url::parse(url).map(|url| url.bare_host().to_owned())).collect::<Result<Vec<_>>>()?;
        hosts.sort();
        hosts.dedup();
        Ok(self_signed(folder, &hosts, self.self_signed_cert_validity)?)
    }
}
