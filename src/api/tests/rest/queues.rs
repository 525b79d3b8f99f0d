//! Work queues over HTTP: sent, taken on loan, settled, returned, dead.

use http::Method;
use serde_json::Value;

use crate::support::{Answer, Client, Member, PATIENCE, joined};

const JOBS: &str = "/v1/queues/jobs";

async fn send(client: Client, text: &'static str) -> Value {
    client.call(Method::POST, &format!("{JOBS}/messages"), &[], text).await.expect(201)
}

async fn take(client: Client, document: &str) -> Answer {
    client.post(&format!("{JOBS}/claims"), document).await
}

fn claim(loan: &Value) -> String {
    format!("{JOBS}/claims/{}", loan["claim"].as_str().expect("a text"))
}

async fn until(client: Client, is_so: impl Fn(&Value) -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let state = client.get(JOBS).await.expect(200);
        if is_so(&state) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{state}");
    }
}

#[tokio::test]
async fn messages_are_taken_in_order_and_settled() {
    let member = Member::start().await;
    let client = member.client;
    take(client, "").await.expect(204);
    let sent = send(client, "one").await;
    send(client, "two").await;
    let answer = take(client, "").await;
    let first = answer.expect(201);
    assert_eq!((&first["value"], &first["attempt"]), (&"one".into(), &1.into()));
    assert_eq!((&first["message"], answer.header("location")), (&sent["message"], &*claim(&first)));
    let second = take(client, r#"{"visibility":"1m"}"#).await.expect(201);
    assert!(second["token"].as_i64() > first["token"].as_i64());
    let state = client.get(JOBS).await.expect(200);
    assert_eq!((&state["messages"], &state["on_loan"], &state["delayed"]), (&2.into(), &2.into(), &0.into()));
    client.delete(&claim(&first)).await.expect(204);
    client.delete(&claim(&first)).await.problem(404, "claim-not-found");
    client.post(&format!("{}/nack", claim(&second)), "").await.expect(204);
    let again = take(client, "").await.expect(201);
    assert_eq!((&again["value"], &again["attempt"]), (&"two".into(), &2.into()));
    client.delete(&claim(&second)).await.problem(404, "claim-not-found");
    client.delete(&claim(&again)).await.expect(204);
    assert_eq!(client.get(JOBS).await.expect(200)["messages"], 0);
    member.stop().await;
}

#[tokio::test]
async fn t36_a_message_comes_back_when_its_consumer_ends() {
    let member = Member::start().await;
    let client = member.client;
    let session = client.session().await;
    send(client, "job").await;
    let lost = take(client, &format!(r#"{{"session":"{session}"}}"#)).await.expect(201);
    assert_eq!(lost["session"], session);
    let waiting = tokio::spawn(async move { take(client, r#"{"wait":"1m"}"#).await });
    client.delete(&format!("/v1/sessions/{session}")).await.expect(204);
    let again = joined(waiting).await.expect(201);
    assert_eq!((&again["message"], &again["attempt"]), (&lost["message"], &2.into()));
    client.delete(&claim(&lost)).await.problem(404, "claim-not-found");
    client.delete(&claim(&again)).await.expect(204);
    take(client, &format!(r#"{{"session":"{session}"}}"#)).await.problem(404, "session-not-found");
    member.stop().await;
}

#[tokio::test]
async fn a_loan_ends_by_itself() {
    let member = Member::start().await;
    let client = member.client;
    send(client, "job").await;
    take(client, r#"{"visibility":"1s"}"#).await.expect(201);
    assert_eq!(take(client, r#"{"wait":"1m"}"#).await.expect(201)["attempt"], 2);
    client.call(Method::POST, &format!("{JOBS}/messages?delay=1s"), &[], "later").await.expect(201);
    assert_eq!(client.get(JOBS).await.expect(200)["delayed"], 1);
    take(client, "").await.expect(204);
    assert_eq!(take(client, r#"{"wait":"1m"}"#).await.expect(201)["value"], "later");
    member.stop().await;
}

#[tokio::test]
async fn t14_each_message_goes_to_one_of_those_who_wait() {
    let member = Member::start().await;
    let client = member.client;
    let consumers: Vec<_> =
        (0..6).map(|_| tokio::spawn(async move { take(client, r#"{"wait":"1m"}"#).await.expect(201) })).collect();
    while member.handle().measured().watchers == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        member.handle().measured().watchers,
        2,
        "one looks out for all: for messages, and for those that come back"
    );
    for text in ["a", "b", "c", "d", "e", "f"] {
        send(client, text).await;
    }
    let mut taken = Vec::new();
    for consumer in consumers {
        taken.push(joined(consumer).await["value"].as_str().unwrap().to_owned());
    }
    taken.sort_unstable();
    assert_eq!(taken, ["a", "b", "c", "d", "e", "f"]);
    member.stop().await;
}

#[tokio::test]
async fn t11_a_consumer_that_hangs_up_takes_nothing() {
    let member = Member::start().await;
    let client = member.client;
    let waiting = tokio::spawn(async move { take(client, r#"{"wait":"1m"}"#).await });
    while member.handle().measured().watchers == 0 {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    let _ = waiting.await;
    while member.handle().measured().watchers != 0 {
        tokio::task::yield_now().await;
    }
    send(client, "job").await;
    assert_eq!(take(client, "").await.expect(201)["attempt"], 1);
    member.stop().await;
}

#[tokio::test]
async fn what_is_taken_too_often_is_a_dead_letter() {
    let member = Member::start().await;
    let client = member.client;
    let set = client.put(JOBS, r#"{"max_attempts":1}"#).await.expect(200);
    assert_eq!((&set["max_attempts"], &set["dead_letters"]), (&1.into(), &"jobs.dead".into()));
    send(client, "poison").await;
    let loan = take(client, "").await.expect(201);
    client.post(&format!("{}/nack", claim(&loan)), r#"{"delay":"1s"}"#).await.expect(204);
    until(client, |state| state["delayed"] == 0).await;
    take(client, "").await.expect(204);
    let dead = client.post("/v1/queues/jobs.dead/claims", "").await.expect(201);
    assert_eq!((&dead["value"], &dead["message"]), (&"poison".into(), &loan["message"]));
    assert!(client.put(JOBS, "").await.expect(200).get("max_attempts").is_none());
    member.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let member = Member::start().await;
    let client = member.client;
    for document in
        [r#"{"session":"1","visibility":"1m"}"#, r#"{"session":"x"}"#, r#"{"visibility":"1ms"}"#, r#"{"wait":"1h"}"#]
    {
        take(client, document).await.problem(400, "invalid-request");
    }
    client.put(JOBS, r#"{"max_attempts":0}"#).await.problem(400, "invalid-request");
    client.call(Method::POST, &format!("{JOBS}/messages?delay=x"), &[], "m").await.problem(400, "invalid-request");
    for loan in ["x", ".1", "1.0", "1.x"] {
        client.delete(&format!("{JOBS}/claims/{loan}")).await.problem(400, "invalid-request");
    }
    client.delete(&format!("{JOBS}/claims/1.1")).await.problem(404, "claim-not-found");
    member.stop().await;
}
