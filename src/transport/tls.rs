//! TLS between members: certificates from files, and both sides' configuration.
//!
//! rustls with ring. A member shows its certificate both as server and as caller; the other side is trusted if its certificate
//! goes back to the authority given, and, as a server, carries the name or address of the URL.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::SetupError;

/// The only protocol spoken inside.
const HTTP2: &[u8] = b"h2";

/// Files for TLS, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// This member's certificate, followed by those between it and the authority. Valid for server and client use.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities that vouch for members.
    pub trusted_ca: PathBuf,
    /// Whether callers must show a certificate of such an authority.
    pub client_cert_auth: bool,
}

impl Tls {
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, SetupError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&self.cert, error))?;
        let builder = if self.client_cert_auth {
            let roots = Arc::new(roots(&self.trusted_ca)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| unusable(&self.trusted_ca, error))?)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder
            .with_single_cert(certificates(&self.cert)?, private_key(&self.key)?)
            .map_err(|error| unusable(&self.key, error))?;
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    pub(crate) fn connector(&self) -> Result<TlsConnector, SetupError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&self.cert, error))?
            .with_root_certificates(roots(&self.trusted_ca)?)
            .with_client_auth_cert(certificates(&self.cert)?, private_key(&self.key)?)
            .map_err(|error| unusable(&self.key, error))?;
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// Named, because the process's default would depend on what else is linked in.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots(path: &Path) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| unusable(path, error))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| unusable(path, error))?;
    if certificates.is_empty() {
        return Err(unusable(path, "there is no certificate in it"));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, SetupError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, reason: impl ToString) -> SetupError {
    SetupError::Tls { path: path.to_owned(), reason: reason.to_string() }
}
