//! Tokens: got before the first request, got anew on each of the three texts, and given up on when that does not help.

use tonic::{Code, Status};

use super::mock::Mock;
use crate::request::{get, put};
use crate::{Client, Config, Credentials};

async fn client(mock: &Mock, password: &str) -> Client {
    let user = Some(Credentials { name: "root".to_owned(), password: password.to_owned() });
    Client::new(Config { user, ..Config::at([mock.serve().await.to_string()]) }).unwrap()
}

#[tokio::test]
async fn requests_carry_the_token_that_was_got_once() {
    let mock = Mock::default();
    let client = client(&mock, "right").await;
    client.put(put("k", "v")).await.unwrap();
    client.range(get("k")).await.unwrap();
    let token = Some("token-1".to_owned());
    assert_eq!(mock.asked(), [("authenticate", None), ("put", token.clone()), ("range", token)]);
}

#[tokio::test]
async fn a_token_is_got_anew_on_each_of_the_three_texts_even_for_a_write() {
    for status in [
        Status::unauthenticated("etcdserver: invalid auth token"),
        Status::invalid_argument("etcdserver: user name is empty"),
        Status::invalid_argument("etcdserver: revision of auth store is old"),
    ] {
        let mock = Mock::failing([status]);
        let client = client(&mock, "right").await;
        client.put(put("k", "v")).await.unwrap();
        let tokens: Vec<_> = mock.asked().into_iter().filter(|(method, _)| *method == "put").collect();
        assert_eq!(tokens, [("put", Some("token-1".to_owned())), ("put", Some("token-2".to_owned()))]);
    }
}

#[tokio::test]
async fn a_server_that_takes_no_token_is_believed_after_some() {
    let stale = || Status::unauthenticated("etcdserver: invalid auth token");
    let mock = Mock::failing(std::iter::repeat_with(stale).take(20));
    let error = client(&mock, "right").await.put(put("k", "v")).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::Unauthenticated));
    assert_eq!(mock.count("put"), 4);
}

#[tokio::test]
async fn a_wrong_password_is_said_before_anything_is_sent() {
    let mock = Mock::default();
    let error = client(&mock, "wrong").await.put(put("k", "v")).await.unwrap_err();
    assert_eq!(error.to_string(), "etcdserver: authentication failed, invalid user ID or password");
    assert_eq!(mock.count("put"), 0);
}

#[test]
fn passwords_are_not_shown() {
    let shown = format!("{:?}", Credentials { name: "root".to_owned(), password: "secret".to_owned() });
    assert!(shown.contains("root") && !shown.contains("secret"));
}
