//! Callers that are no members.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::LONG;
use super::served::Served;
use crate::{Listener, SetupError};

#[tokio::test]
async fn garbage_is_hung_up_on_and_harms_nobody() {
    let served = Served::start(Arc::default()).await;
    let address = served.url.trim_start_matches("http://").to_owned();
    let peer = served.dial();
    let frames_of_nonsense = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0xff; 64]].concat();
    for garbage in
        [&b"GET /version HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"\x16\x03\x01\x02\x00", &[0; 4096], &frames_of_nonsense]
    {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        stream.write_all(garbage).await.expect("room for it");
        let mut answer = Vec::new();
        // An end or a reset: either way it is over.
        let _ = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("it hangs up");
        peer.probe(LONG).await.expect("members are served");
    }
}

#[tokio::test]
async fn silent_connections_delay_neither_members_nor_the_end() {
    let served = Served::start(Arc::default()).await;
    let address = served.url.trim_start_matches("http://").to_owned();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(&address).await.expect("a connection"));
    }
    served.dial().probe(LONG).await.expect("members are served");
    timeout(LONG, served.stop()).await.expect("stopping is bounded");
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_named() {
    let first = Listener::bind(&["http://127.0.0.1:0".to_owned()]).await.expect("a free port");
    let taken = format!("http://{}", first.addresses()[0]);
    let error = Listener::bind(std::slice::from_ref(&taken)).await.expect_err("taken");
    assert!(error.to_string().contains(&taken), "{error}");
    let error = Listener::bind(&["127.0.0.1:1".to_owned()]).await.expect_err("no URL");
    assert!(matches!(error, SetupError::Url { .. }), "{error}");
}
