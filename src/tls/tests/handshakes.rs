//! Who is let in, and who is believed.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::authority::{Authority, Validity};
use crate::{
    Acceptor, Callers, Client, Connector, Policy, Server, ServerName, Trust, Version, common_name, self_signed,
};

/// Room in the pipe for a whole handshake.
const PIPE_BYTES: usize = 64 * 1024;

/// What came of a connection: the common name that the server saw, or why there was none.
async fn connect(server: Server, client: Client, host: &'static str) -> io::Result<Option<String>> {
    let acceptor = Acceptor::new(server).expect("files of the server");
    let connector = Connector::new(client).expect("files of the client");
    let (near, far) = duplex(PIPE_BYTES);
    let calling = async {
        let name = ServerName::try_from(host).expect("a name");
        let mut stream = connector.connect(name, near).await?;
        // In TLS 1.3 a client learns only now that it was refused.
        let mut word = [0; 2];
        stream.read_exact(&mut word).await?;
        io::Result::Ok(())
    };
    let called = async {
        let mut stream = acceptor.accept(far).await?;
        let name = stream.get_ref().1.peer_certificates().and_then(|chain| common_name(chain.first()?));
        stream.write_all(b"in").await?;
        io::Result::Ok(name)
    };
    let (called, calling) = tokio::join!(called, calling);
    calling.and(called)
}

#[track_caller]
fn assert_refused(outcome: io::Result<Option<String>>, reason: &str) {
    let text = format!("{outcome:?}");
    assert!(outcome.is_err() && text.contains(reason), "{text}");
}

fn made() -> Authority {
    let authority = Authority::new();
    authority.sign("server", 1, Validity::Now);
    authority.sign("anna", 2, Validity::Now);
    authority
}

#[tokio::test]
async fn a_certified_caller_is_known_by_its_name() {
    let authority = made();
    let seen = connect(authority.server("server", authority.certified()), authority.client(Some("anna")), "localhost");
    assert_eq!(seen.await.expect("both are right").as_deref(), Some("anna"));
    let seen = connect(authority.server("server", Callers::Anyone), authority.client(None), "localhost");
    assert_eq!(seen.await.expect("nobody is asked"), None);
}

#[tokio::test]
async fn servers_that_are_not_to_be_believed_are_not() {
    let authority = made();
    authority.sign("expired", 3, Validity::Past);
    authority.sign("early", 4, Validity::Future);
    let client = || authority.client(None);
    for (name, reason) in [("expired", "Expired"), ("early", "NotValidYet")] {
        assert_refused(connect(authority.server(name, Callers::Anyone), client(), "localhost").await, reason);
    }
    let other = connect(authority.server("server", Callers::Anyone), client(), "elsewhere").await;
    assert_refused(other, "NotValidForName");
    let stranger = made();
    let other = connect(stranger.server("server", Callers::Anyone), client(), "localhost").await;
    assert_refused(other, "InvalidCertificate");
}

#[tokio::test]
async fn callers_that_are_not_to_be_believed_are_kept_out() {
    let (authority, stranger) = (made(), made());
    authority.sign("expired", 3, Validity::Past);
    authority.sign("early", 4, Validity::Future);
    let server = || authority.server("server", authority.certified());
    for name in [None, Some("expired"), Some("early")] {
        assert_refused(connect(server(), authority.client(name), "localhost").await, "AlertReceived");
    }
    let client = Client { trust: Trust::Authorities(authority.path("ca.pem")), ..stranger.client(Some("anna")) };
    assert_refused(connect(server(), client, "localhost").await, "AlertReceived");
}

#[tokio::test]
async fn revoked_callers_are_kept_out_by_lists_of_either_form() {
    let authority = made();
    authority.sign("berta", 5, Validity::Now);
    authority.revoke(&[5]);
    for list in ["crl.pem", "crl.der"] {
        let callers = Callers::Certified {
            trusted_ca: authority.path("ca.pem"),
            crl: Some(authority.path(list)),
            allowed_hostname: None,
        };
        let server = || authority.server("server", callers.clone());
        assert_refused(connect(server(), authority.client(Some("berta")), "localhost").await, "CertificateRevoked");
        connect(server(), authority.client(Some("anna")), "localhost").await.expect("not revoked");
    }
}

#[tokio::test]
async fn callers_may_have_to_be_made_out_for_a_name() {
    let authority = made();
    for (name, is_in) in [("localhost", true), ("elsewhere", false)] {
        let callers = Callers::Certified {
            trusted_ca: authority.path("ca.pem"),
            crl: None,
            allowed_hostname: Some(name.to_owned()),
        };
        let outcome = connect(authority.server("server", callers), authority.client(Some("anna")), "localhost").await;
        assert_eq!(outcome.is_ok(), is_in, "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn versions_must_meet() {
    let authority = made();
    let only = |version| Policy::new(version, version, &[]).expect("a policy");
    for (ours, theirs) in [(Version::Tls12, Version::Tls13), (Version::Tls13, Version::Tls12)] {
        let server = |version| Server { policy: only(version), ..authority.server("server", Callers::Anyone) };
        let client = || Client { policy: only(theirs), ..authority.client(None) };
        assert_refused(connect(server(ours), client(), "localhost").await, "ProtocolVersion");
        connect(server(theirs), client(), "localhost").await.expect("the same version");
    }
}

/// What a client says that speaks nothing above TLS 1.1: one suite, no extensions.
fn hello_of_tls_1_1() -> Vec<u8> {
    let body = [&[3, 2][..], &[7; 32], &[0], &[0, 2, 0xc0, 0x14], &[1, 0]].concat();
    let length = u8::try_from(body.len()).expect("short");
    [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[tokio::test]
async fn older_versions_and_plain_text_are_refused() {
    let authority = made();
    let acceptor = Acceptor::new(authority.server("server", Callers::Anyone)).expect("files");
    for (said, reason) in [(hello_of_tls_1_1(), ""), (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(), "InvalidMessage")]
    {
        let (mut near, far) = duplex(PIPE_BYTES);
        near.write_all(&said).await.expect("room");
        let refused = acceptor.accept(far).await.expect_err("nothing that is spoken");
        assert!(format!("{refused:?}").contains(reason), "{refused:?}");
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.expect("an end");
        assert_eq!(answer.first(), Some(&0x15), "an alert: {answer:?}");
    }
}

#[tokio::test]
async fn what_a_member_made_itself_is_believed_by_those_who_believe_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = self_signed(folder.path(), &hosts, 1).expect("a certificate");
    assert_eq!(self_signed(folder.path(), &hosts, 1).expect("the same"), made);
    let server = Server {
        cert: made.cert,
        key: made.key,
        callers: Callers::Anyone,
        policy: Policy::default(),
        protocols: &["h2"],
    };
    let trusting = |trust| Client { identity: None, trust, policy: Policy::default(), protocols: &["h2"] };
    connect(server.clone(), trusting(Trust::AnyServer), "elsewhere").await.expect("everybody is believed");
    let authority = Authority::new();
    let other = trusting(Trust::Authorities(authority.path("ca.pem")));
    assert_refused(connect(server, other, "localhost").await, "InvalidCertificate");
}
