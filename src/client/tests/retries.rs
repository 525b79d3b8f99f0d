//! What is sent again, and what never is.

use std::time::Duration;

use tonic::{Code, Status};

use super::mock::Mock;
use crate::request::{get, put, then_put, then_range, txn};
use crate::{Client, Config, Error};

fn unavailable() -> Status {
    Status::unavailable("etcdserver: request timed out")
}

/// An address at which nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_read_is_sent_again_and_a_write_is_not() {
    let mock = Mock::failing([unavailable(), unavailable()]);
    let client = Client::new(Config::at([mock.serve().await.to_string()])).unwrap();
    client.range(get("k")).await.unwrap();
    assert_eq!(mock.count("range"), 3);

    let mock = Mock::failing([unavailable(), unavailable()]);
    let client = Client::new(Config::at([mock.serve().await.to_string()])).unwrap();
    let error = client.put(put("k", "v")).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::Unavailable));
    assert!(error.may_have_happened());
    assert_eq!(mock.count("put"), 1);
}

#[tokio::test]
async fn a_transaction_is_a_read_when_it_only_reads() {
    let mock = Mock::failing([unavailable()]);
    let client = Client::new(Config::at([mock.serve().await.to_string()])).unwrap();
    client.txn(txn([], [then_range(get("k"))], [])).await.unwrap();
    assert_eq!(mock.count("txn"), 2);

    let mock = Mock::failing([unavailable()]);
    let client = Client::new(Config::at([mock.serve().await.to_string()])).unwrap();
    client.txn(txn([], [then_range(get("k"))], [then_put(put("k", "v"))])).await.unwrap_err();
    assert_eq!(mock.count("txn"), 1);
}

#[tokio::test]
async fn a_refusal_is_not_sent_again() {
    let mock = Mock::failing([Status::out_of_range("etcdserver: mvcc: required revision has been compacted")]);
    let client = Client::new(Config::at([mock.serve().await.to_string()])).unwrap();
    let error = client.range(get("k")).await.unwrap_err();
    assert_eq!(error.to_string(), "etcdserver: mvcc: required revision has been compacted");
    assert!(!error.may_have_happened());
    assert_eq!(mock.count("range"), 1);
}

#[tokio::test]
async fn a_write_goes_on_to_a_member_that_can_be_reached() {
    let mock = Mock::default();
    let endpoints = [nobody().await, nobody().await, mock.serve().await.to_string()];
    let client = Client::new(Config::at(endpoints)).unwrap();
    for _ in 0..4 {
        client.put(put("k", "v")).await.unwrap();
    }
    assert_eq!(mock.count("put"), 4);
}

#[tokio::test]
async fn when_nobody_can_be_reached_the_deadline_ends_it_and_nothing_has_happened() {
    let request_timeout = Duration::from_millis(300);
    let client = Client::new(Config { request_timeout, ..Config::at([nobody().await]) }).unwrap();
    let error = client.put(put("k", "v")).await.unwrap_err();
    assert!(matches!(&error, Error::TimedOut { reason: Some(_), .. }), "{error:?}");
    assert!(!error.may_have_happened());
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused_at_once() {
    let refusal = |config| Client::new(config).unwrap_err().to_string();
    assert_eq!(refusal(Config::at::<String>([])), "no endpoints are given");
    assert!(refusal(Config::at(["nowhere"])).contains("\"nowhere\" is not an endpoint"));
}
