//! Files that change while they are used.

use std::fs;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::authority::{Authority, Validity};
use crate::{Acceptor, Callers, ClientStream, Connector, ServerName, ServerStream, common_name};

/// Longer than files are believed to be as they were.
const A_WHILE: Duration = Duration::from_secs(2);

/// Both ends of a connection.
async fn open(acceptor: &Acceptor, connector: &Connector) -> (ServerStream<DuplexStream>, ClientStream<DuplexStream>) {
    let (near, far) = duplex(64 * 1024);
    let name = ServerName::try_from("localhost").expect("a name");
    let (called, calling) = tokio::join!(acceptor.accept(far), connector.connect(name, near));
    (called.expect("a caller"), calling.expect("a server"))
}

fn name_of_server(stream: &ClientStream<DuplexStream>) -> Option<String> {
    stream.get_ref().1.peer_certificates().and_then(|chain| common_name(chain.first()?))
}

#[tokio::test(start_paused = true)]
async fn new_certificates_are_for_new_connections_and_old_ones_go_on() {
    let authority = Authority::new();
    authority.sign("first", 1, Validity::Now);
    authority.sign("second, and longer", 2, Validity::Now);
    let acceptor = Acceptor::new(authority.server("first", Callers::Anyone)).expect("files");
    let connector = Connector::new(authority.client(None)).expect("files");
    let (mut served, mut calling) = open(&acceptor, &connector).await;
    assert_eq!(name_of_server(&calling).as_deref(), Some("first"));

    for kind in ["pem", "key"] {
        let [new, old] = ["second, and longer", "first"].map(|name| authority.path(&format!("{name}.{kind}")));
        fs::copy(new, old).expect("copied");
    }
    tokio::time::advance(A_WHILE).await;
    let (_, newer) = open(&acceptor, &connector).await;
    assert_eq!(name_of_server(&newer).as_deref(), Some("second, and longer"));

    served.write_all(b"still here").await.expect("open");
    let mut word = [0; 10];
    calling.read_exact(&mut word).await.expect("open");
    assert_eq!(&word, b"still here");
}

#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_used_change_nothing_until_they_can() {
    let authority = Authority::new();
    authority.sign("first", 1, Validity::Now);
    authority.sign("other", 2, Validity::Now);
    let acceptor = Acceptor::new(authority.server("first", Callers::Anyone)).expect("files");
    let connector = Connector::new(authority.client(None)).expect("files");
    // The certificate has come, and its key has not yet.
    fs::copy(authority.path("other.pem"), authority.path("first.pem")).expect("copied");
    tokio::time::advance(A_WHILE).await;
    assert_eq!(name_of_server(&open(&acceptor, &connector).await.1).as_deref(), Some("first"));
    fs::copy(authority.path("other.key"), authority.path("first.key")).expect("copied");
    tokio::time::advance(A_WHILE).await;
    assert_eq!(name_of_server(&open(&acceptor, &connector).await.1).as_deref(), Some("other"));
}

#[test]
fn the_file_to_blame_is_named() {
    let authority = Authority::new();
    authority.sign("a", 1, Validity::Now);
    authority.sign("b", 2, Validity::Now);
    let (missing, empty, foreign) = (authority.path("missing"), authority.path("empty"), authority.path("b.key"));
    fs::write(&empty, "nothing here").expect("written");
    let blamed = |server: crate::Server, path: &std::path::Path| {
        let error = Acceptor::new(server).expect_err("it cannot be used").to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
    };
    for path in [&missing, &empty] {
        blamed(crate::Server { cert: path.clone(), ..authority.server("a", Callers::Anyone) }, path);
        blamed(crate::Server { key: path.clone(), ..authority.server("a", Callers::Anyone) }, path);
        let callers = |trusted_ca: &std::path::PathBuf, crl: Option<&std::path::PathBuf>| Callers::Certified {
            trusted_ca: trusted_ca.clone(),
            crl: crl.cloned(),
            allowed_hostname: None,
        };
        blamed(authority.server("a", callers(path, None)), path);
        blamed(authority.server("a", callers(&authority.path("ca.pem"), Some(path))), path);
    }
    blamed(crate::Server { key: foreign.clone(), ..authority.server("a", Callers::Anyone) }, &foreign);
}
