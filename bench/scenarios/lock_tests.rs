//! The REST door, against a server that plays a fixed part.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;

/// What the server answers, in order.
type Script = Vec<(StatusCode, &'static str)>;
/// The requests that it saw: method, path, `If-Match`, body.
type Seen = Arc<Mutex<Vec<(Method, String, Option<String>, Bytes)>>>;

async fn server(mut script: Script) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    script.reverse();
    let (script, log) = (Arc::new(Mutex::new(script)), Arc::clone(&seen));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(move |request: Request<Incoming>| {
            let (script, log) = (Arc::clone(&script), Arc::clone(&log));
            async move {
                let (head, body) = request.into_parts();
                let tag = head.headers.get(header::IF_MATCH).map(|tag| tag.to_str().unwrap().to_owned());
                let body = body.collect().await.unwrap().to_bytes();
                log.lock().push((head.method, head.uri.path().to_owned(), tag, body));
                let (status, body) = script.lock().pop().unwrap();
                Ok::<_, Infallible>(Response::builder().status(status).body(Full::new(Bytes::from(body))).unwrap())
            }
        });
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.unwrap();
    });
    (address, seen)
}

async fn open(address: SocketAddr) -> Result<Door, Failure> {
    Door::open_rest(Rest::open(address).await?, "hot").await
}

#[tokio::test]
async fn a_queued_claim_is_asked_for_again_and_released_with_its_token() {
    let (address, seen) = server(vec![
        (StatusCode::CREATED, r#"{"id":"5e55","ttl_ms":300000}"#),
        (StatusCode::ACCEPTED, r#"{"state":"queued","position":1}"#),
        (StatusCode::CREATED, r#"{"state":"held","token":1842}"#),
        (StatusCode::NO_CONTENT, ""),
    ])
    .await;
    let mut door = open(address).await.unwrap();
    let held = door.acquire().await.unwrap();
    door.release(held).await.unwrap();

    let claim = || "/v1/locks/hot/claims/5e55".to_owned();
    let expected = [
        (Method::POST, SESSIONS.to_owned(), None, Bytes::from(SESSION)),
        (Method::PUT, claim(), None, Bytes::from(CLAIM)),
        (Method::PUT, claim(), None, Bytes::from(CLAIM)),
        (Method::DELETE, claim(), Some("\"1842\"".to_owned()), Bytes::new()),
    ];
    assert_eq!(*seen.lock(), expected);
}

#[tokio::test]
async fn a_server_without_sessions_does_not_offer_locks() {
    let (address, _) = server(vec![(StatusCode::NOT_FOUND, "")]).await;
    assert!(matches!(open(address).await, Err(Failure::NotOffered(_))));
}

#[tokio::test]
async fn a_refused_release_is_a_failure() {
    let (address, _) = server(vec![
        (StatusCode::CREATED, r#"{"id":"5e55"}"#),
        (StatusCode::OK, r#"{"token":1}"#),
        (StatusCode::PRECONDITION_FAILED, r#"{"title":"stale"}"#),
    ])
    .await;
    let mut door = open(address).await.unwrap();
    let held = door.acquire().await.unwrap();
    let failure = door.release(held).await.unwrap_err();
    assert!(failure.to_string().contains("stale"), "{failure}");
}

#[test]
fn two_holders_at_once_are_noticed_and_a_hand_off_is_timed() {
    let hand_off = HandOff { state: Arc::new(Mutex::new(State::Free)), latencies: Latencies::new() };
    hand_off.acquired().unwrap();
    assert!(hand_off.acquired().is_err());
    hand_off.releasing();
    hand_off.acquired().unwrap();
    assert_eq!(hand_off.latencies.count(), 1);
}
