//! The side that calls.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::TlsError;
use crate::error::unusable;
use crate::files::{certificates, private_key, roots};
use crate::policy::Policy;
use crate::reloading::Reloading;

/// Which servers are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those with a certificate of the authorities in a file (PEM), made out for the name that is called.
    Authorities(PathBuf),
    /// Every one: what is sent is hidden from those who listen, and not from those who stand in between. For certificates that
    /// members have made themselves.
    AnyServer,
}

/// How TLS is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The certificate to show, and its private key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Which servers are believed.
    pub trust: Trust,
    /// What may be spoken.
    pub policy: Policy,
    /// Protocols above TLS, the preferred one first (ALPN).
    pub protocols: &'static [&'static str],
}

/// Calls over TLS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connector {
    config: Reloading<ClientConfig>,
}

impl Connector {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// The file or the setting that cannot be used.
    pub fn new(client: Client) -> Result<Self, TlsError> {
        let mut files = Vec::new();
        if let Some((cert, key)) = &client.identity {
            files.extend([cert.clone(), key.clone()]);
        }
        if let Trust::Authorities(path) = &client.trust {
            files.push(path.clone());
        }
        Ok(Self { config: Reloading::new(files, move || client.config())? })
    }

    /// The caller's part of a handshake with `name`.
    ///
    /// # Errors
    ///
    /// Why the server is not believed, or an end of the connection.
    pub async fn connect<S>(&self, name: ServerName<'static>, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsConnector::from(self.config.current().await).connect(name, stream).await
    }
}

impl Client {
    fn config(&self) -> Result<ClientConfig, TlsError> {
        let provider = self.policy.provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.policy.versions())
            .map_err(|error| TlsError::Policy(error.to_string()))?;
        let builder = match &self.trust {
            Trust::Authorities(path) => builder.with_root_certificates(roots(path)?),
            Trust::AnyServer => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider))),
        };
        let mut config = match &self.identity {
            Some((cert, key)) => builder
                .with_client_auth_cert(certificates(cert)?, private_key(key)?)
                .map_err(|error| unusable(key, error))?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(config)
    }
}

/// Believes every certificate; that its owner has the key is checked all the same.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
