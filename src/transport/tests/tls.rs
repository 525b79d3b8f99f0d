//! TLS with certificates made here: who is trusted, who is not, and which file is to blame.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tls::Policy;
use tokio::sync::oneshot;

use super::LONG;
use super::fake::{Fake, appended, entry};
use crate::{CallError, Dialer, Listener, Network, Peer, SetupError, Tls};

/// A folder with an authority, and a member's certificate for the loopback made by it.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        Self::for_name("127.0.0.1")
    }

    fn for_name(name: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().expect("a key");
        let authority = params.self_signed(&authority_key).expect("an authority");
        fs::write(folder.path().join("ca.pem"), authority.pem()).expect("written");
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        fs::write(folder.path().join("cert.pem"), certificate.pem()).expect("written");
        fs::write(folder.path().join("key.pem"), key.serialize_pem()).expect("written");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tls(&self) -> Tls {
        let [cert, key, trusted_ca] = ["cert.pem", "key.pem", "ca.pem"].map(|name| self.path(name));
        Tls {
            cert,
            key,
            trusted_ca: Some(trusted_ca),
            client_cert_auth: true,
            crl: None,
            allowed_hostname: None,
            policy: Policy::default(),
        }
    }
}

/// Serves until the sender is dropped.
async fn serve(tls: &Tls) -> (String, oneshot::Sender<()>) {
    let listener = Listener::bind_with_tls(&["https://127.0.0.1:0".to_owned()], tls).await.expect("a free port");
    let url = format!("https://{}", listener.addresses()[0]);
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(listener.serve(Arc::new(Fake::default()), async { stopped.await.unwrap_or(()) }));
    (url, stop)
}

fn dial(tls: &Tls, url: &str) -> Arc<dyn Peer> {
    Network::with_tls(tls).expect("certificates").dial(&[url.to_owned()])
}

#[tokio::test]
async fn members_of_one_authority_speak() {
    let files = Files::new();
    let (url, _stop) = serve(&files.tls()).await;
    assert_eq!(dial(&files.tls(), &url).heartbeat(entry(5, vec![1; 1 << 20]), LONG).await, Ok(appended(5)));
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_reached() {
    let (ours, other) = (Files::new(), Files::new());
    let (url, _stop) = serve(&other.tls()).await;
    let error = dial(&ours.tls(), &url).probe(LONG).await;
    assert!(matches!(&error, Err(CallError::Unreachable(reason)) if reason.contains("certificate")), "{error:?}");
}

#[tokio::test]
async fn a_server_with_another_name_is_not_reached() {
    let files = Files::for_name("127.0.0.2");
    let (url, _stop) = serve(&files.tls()).await;
    let error = dial(&files.tls(), &url).probe(LONG).await;
    assert!(matches!(&error, Err(CallError::Unreachable(reason)) if reason.contains("certificate")), "{error:?}");
}

#[tokio::test]
async fn a_caller_of_another_authority_is_served_only_where_none_is_asked_for() {
    let (ours, other) = (Files::new(), Files::new());
    let stranger = Tls { trusted_ca: Some(ours.path("ca.pem")), ..other.tls() };
    let (url, _stop) = serve(&ours.tls()).await;
    dial(&stranger, &url).probe(LONG).await.expect_err("a stranger");
    let (url, _stop) = serve(&Tls { client_cert_auth: false, ..ours.tls() }).await;
    dial(&stranger, &url).probe(LONG).await.expect("nobody asked for a certificate");
}

#[tokio::test]
async fn plain_callers_get_nothing_from_a_tls_port_and_the_other_way_round() {
    let files = Files::new();
    let (url, _stop) = serve(&files.tls()).await;
    Network::new().dial(&[url.replace("https", "http")]).probe(LONG).await.expect_err("plain");
    let error = Network::new().dial(&[url]).probe(LONG).await;
    assert!(matches!(&error, Err(CallError::Unreachable(reason)) if reason.contains("https://")), "{error:?}");
    let plain = Listener::bind(&["https://127.0.0.1:0".to_owned()]).await;
    assert!(matches!(plain.err(), Some(SetupError::Url { .. })));
}

#[tokio::test]
async fn members_with_certificates_of_their_own_speak_with_everybody() {
    let (ours, other) = (Files::new(), Files::for_name("elsewhere"));
    let believing = |files: &Files| Tls { trusted_ca: None, client_cert_auth: false, ..files.tls() };
    let (url, _stop) = serve(&believing(&other)).await;
    dial(&believing(&ours), &url).probe(LONG).await.expect("everybody is believed");
    let refused = Tls { trusted_ca: None, ..ours.tls() }.acceptor().expect_err("nobody to vouch for callers");
    assert!(refused.to_string().contains("authorities"), "{refused}");
}

#[test]
fn the_file_to_blame_is_named() {
    let (files, other) = (Files::new(), Files::new());
    let blamed = |tls: &Tls, path: &Path| {
        for error in [tls.acceptor().err(), tls.connector().err()] {
            let text = error.expect("an error").to_string();
            assert!(text.starts_with(&path.display().to_string()), "{text}");
        }
    };
    let (missing, empty) = (files.path("missing.pem"), files.path("empty.pem"));
    fs::write(&empty, "nothing here").expect("written");
    for path in [missing, empty] {
        blamed(&Tls { cert: path.clone(), ..files.tls() }, &path);
        blamed(&Tls { key: path.clone(), ..files.tls() }, &path);
        blamed(&Tls { trusted_ca: Some(path.clone()), ..files.tls() }, &path);
    }
    let key = other.path("key.pem");
    blamed(&Tls { key: key.clone(), ..files.tls() }, &key);
}
