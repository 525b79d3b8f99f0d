//! TLS: who is trusted, and who is shown what.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::mock::Mock;
use crate::request::put;
use crate::{Client, Config, Error, Tls};

/// A connection as tonic's server takes it.
struct Accepted(TlsStream<TcpStream>);

impl Connected for Accepted {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A server with a certificate for `localhost`, and the authority that vouches for it.
async fn server(mock: &Mock) -> (TempDir, PathBuf, u16) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_params(&params, &authority_key);
    let cert = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();

    let chain = vec![CertificateDer::from_pem_slice(cert.pem().as_bytes()).unwrap()];
    let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    let mut config = config.with_single_cert(chain, private).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (accepted, connections) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                accepted.send(Ok::<_, std::io::Error>(Accepted(stream))).await.unwrap();
            }
        }
    });
    tokio::spawn(mock.server().serve_with_incoming(ReceiverStream::new(connections)));
    (folder, ca, port)
}

async fn ask(endpoint: String, tls: Option<Tls>) -> Result<(), Error> {
    let request_timeout = Duration::from_millis(700);
    Client::new(Config { tls, request_timeout, ..Config::at([endpoint]) })?.put(put("k", "v")).await.map(drop)
}

#[tokio::test]
async fn a_member_is_trusted_for_its_authority_and_its_name() {
    let mock = Mock::default();
    let (_folder, ca, port) = server(&mock).await;
    let trusting = || Tls { trusted_ca: Some(ca.clone()), ..Tls::default() };
    ask(format!("https://localhost:{port}"), Some(trusting())).await.unwrap();
    ask(format!("localhost:{port}"), Some(trusting())).await.unwrap();
    let named = Tls { server_name: Some("localhost".to_owned()), ..trusting() };
    ask(format!("https://127.0.0.1:{port}"), Some(named)).await.unwrap();
    ask(format!("https://127.0.0.1:{port}"), Some(Tls { skip_verify: true, ..Tls::default() })).await.unwrap();
    assert_eq!(mock.count("put"), 4);

    let other_name = ask(format!("https://127.0.0.1:{port}"), Some(trusting())).await.unwrap_err();
    assert!(other_name.to_string().contains("certificate"), "{other_name}");
    let no_authority = ask(format!("https://localhost:{port}"), None).await.unwrap_err();
    assert!(no_authority.to_string().contains("certificate"), "{no_authority}");
    let unprotected = ask(format!("http://localhost:{port}"), Some(trusting())).await.unwrap_err();
    assert!(matches!(unprotected, Error::TimedOut { .. } | Error::Interrupted(_)), "{unprotected:?}");
    assert_eq!(mock.count("put"), 4, "nobody else was let in");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let tls = Tls { trusted_ca: Some(empty), ..Tls::default() };
    let error = ask("https://localhost:1".to_owned(), Some(tls)).await.unwrap_err();
    assert!(error.to_string().contains("empty.pem: there is no certificate in it"), "{error}");
}
