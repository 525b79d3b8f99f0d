//! The network does what scenarios tell it, one direction at a time.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::network::{Condition, Network};

/// Long enough for a byte that is not held back.
const A_WHILE: Duration = Duration::from_millis(200);

/// A connection from member 0, which is this process, to member 1, which is as well.
async fn connected(network: &Network) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    network.is(0, std::process::id());
    let proxy = network.open(1, port);
    let mut dialer = TcpStream::connect(("127.0.0.1", proxy)).await.expect("the proxy listens");
    let (mut member, _) = listener.accept().await.expect("the proxy dials");
    // The proxy carries as soon as it knows who dialed.
    dialer.write_u8(0).await.expect("a write");
    assert_eq!(next(&mut member).await, Some(0));
    (dialer, member)
}

/// The next byte, if it comes soon.
async fn next(stream: &mut TcpStream) -> Option<u8> {
    tokio::time::timeout(A_WHILE, stream.read_u8()).await.ok().map(|byte| byte.expect("a connection that lives"))
}

#[tokio::test]
async fn a_cut_holds_one_direction_back_until_it_heals() {
    let network = Network::new();
    let (mut dialer, mut member) = connected(&network).await;
    network.set(0, 1, Condition::Cut);
    dialer.write_u8(2).await.expect("a write");
    assert_eq!(next(&mut member).await, None, "a byte came through a cut");
    member.write_u8(3).await.expect("a write");
    assert_eq!(next(&mut dialer).await, Some(3), "the other direction is open");
    network.heal();
    assert_eq!(next(&mut member).await, Some(2), "what a cut held back comes when it heals");
}

#[tokio::test]
async fn the_end_of_a_connection_is_not_seen_through_a_cut() {
    let network = Network::new();
    let (dialer, mut member) = connected(&network).await;
    network.around(1, Condition::Cut);
    drop(dialer);
    assert!(tokio::time::timeout(A_WHILE, member.read_u8()).await.is_err(), "an end came through a cut");
    network.heal();
    let ended = tokio::time::timeout(A_WHILE, member.read_u8()).await.expect("an end that comes soon");
    assert!(ended.is_err());
}

#[tokio::test]
async fn slow_directions_deliver_everything_late() {
    let network = Network::new();
    let (mut dialer, mut member) = connected(&network).await;
    for slow in [Condition::Late(Duration::from_millis(50)), Condition::Thin(2000)] {
        network.around(1, slow);
        let sent = std::time::Instant::now();
        dialer.write_all(&[7; 100]).await.expect("a write");
        let mut got = [0; 100];
        member.read_exact(&mut got).await.expect("all bytes");
        assert!(got == [7; 100] && sent.elapsed() >= Duration::from_millis(40), "{slow:?} took {:?}", sent.elapsed());
    }
}
