//! The side that is called.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::server::TlsStream;

use crate::TlsError;
use crate::caller::is_for_name;
use crate::error::unusable;
use crate::files::{certificates, private_key, revocation_lists, roots};
use crate::policy::Policy;
use crate::reloading::Reloading;

/// Who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Everybody; nobody is asked for a certificate.
    Anyone,
    /// Who shows a certificate.
    Certified {
        /// The authorities that it must come from, PEM.
        trusted_ca: PathBuf,
        /// Certificates that are not believed any more, PEM or DER.
        crl: Option<PathBuf>,
        /// A name that it must be made out for.
        allowed_hostname: Option<String>,
    },
}

/// How TLS is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The server's certificate and those between it and an authority, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Who may call.
    pub callers: Callers,
    /// What may be spoken.
    pub policy: Policy,
    /// Protocols above TLS, the preferred one first (ALPN).
    pub protocols: &'static [&'static str],
}

/// Serves TLS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Acceptor {
    config: Reloading<ServerConfig>,
    allowed_name: Option<ServerName<'static>>,
}

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// The file or the setting that cannot be used.
    pub fn new(server: Server) -> Result<Self, TlsError> {
        let mut files = vec![server.cert.clone(), server.key.clone()];
        let mut allowed_name = None;
        if let Callers::Certified { trusted_ca, crl, allowed_hostname } = &server.callers {
            files.push(trusted_ca.clone());
            files.extend(crl.clone());
            allowed_name = allowed_hostname.as_deref().map(server_name).transpose()?;
        }
        Ok(Self { config: Reloading::new(files, move || server.config())?, allowed_name })
    }

    /// The server's part of a handshake.
    ///
    /// # Errors
    ///
    /// What keeps the caller out, or an end of the connection.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.config.current().await;
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        if let Some(name) = &self.allowed_name {
            let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
            if !certificates.first().is_some_and(|certificate| is_for_name(certificate, name)) {
                let text = "the caller's certificate is not made out for the name that is allowed";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
        }
        Ok(stream)
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    let refused = |error| TlsError::Policy(format!("{name:?} is not a name or an address: {error}"));
    ServerName::try_from(name.to_owned()).map_err(refused)
}

impl Server {
    fn config(&self) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(self.policy.provider())
            .with_protocol_versions(&self.policy.versions())
            .map_err(|error| TlsError::Policy(error.to_string()))?
            .with_client_cert_verifier(self.verifier()?);
        let mut config = builder
            .with_single_cert(certificates(&self.cert)?, private_key(&self.key)?)
            .map_err(|error| unusable(&self.key, error))?;
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(config)
    }

    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let Callers::Certified { trusted_ca, crl, .. } = &self.callers else {
            return Ok(WebPkiClientVerifier::no_client_auth());
        };
        let authorities = Arc::new(roots(trusted_ca)?);
        let mut builder = WebPkiClientVerifier::builder_with_provider(authorities, self.policy.provider());
        if let Some(crl) = crl {
            // Authorities without a list revoke nothing.
            builder = builder.with_crls(revocation_lists(crl)?).allow_unknown_revocation_status();
            return builder.build().map_err(|error| unusable(crl, error));
        }
        builder.build().map_err(|error| unusable(trusted_ca, error))
    }
}
