//! Locks that more than one can hold, or that are taken together: read-write locks, semaphores, sets.

use http::Method;

use crate::support::{Client, Member, joined};

/// A claim of a fresh session; returns its path.
async fn claim_path(client: Client, thing: &str) -> String {
    format!("/v1/{thing}/claims/{}", client.session().await)
}

async fn patch(client: Client, path: &str, document: &'static str) -> crate::support::Answer {
    client.call(Method::PATCH, path, &[("content-type", "application/json")], document).await
}

#[tokio::test]
async fn readers_share_and_a_writer_is_alone() {
    let member = Member::start().await;
    let client = member.client;
    let (a, b) = (claim_path(client, "rw-locks/catalog").await, claim_path(client, "rw-locks/catalog").await);
    let (writer, late) = (claim_path(client, "rw-locks/catalog").await, claim_path(client, "rw-locks/catalog").await);
    let shared = r#"{"mode":"shared"}"#;
    let first = client.put(&a, shared).await.expect(201);
    assert_eq!((&first["mode"], &first["lock"]), (&"shared".into(), &"catalog".into()));
    assert!(first["etcd_key"].as_str().unwrap().starts_with("/default/rwlocks/catalog/read/"));
    client.put(&b, shared).await.expect(201);
    assert_eq!(client.put(&writer, "").await.expect(202)["ahead"], 2);
    client.put(&late, shared).await.expect(202);
    let lock = client.get("/v1/rw-locks/catalog").await.expect(200);
    assert_eq!((&lock["holding"], &lock["waiting"]), (&2.into(), &2.into()));
    let states: Vec<_> = lock["claims"].as_array().unwrap().iter().map(|claim| claim["state"].clone()).collect();
    assert_eq!(states, ["held", "held", "queued", "queued"]);
    client.put(&a, r#"{"mode":"exclusive"}"#).await.problem(409, "claim-conflict");

    let waiting = writer.clone();
    let waiting = tokio::spawn(async move { client.put(&waiting, r#"{"wait":"30s"}"#).await });
    client.delete(&a).await.expect(204);
    assert_eq!(client.get(&writer).await.expect(200)["ahead"], 1);
    client.delete(&b).await.expect(204);
    assert_eq!(joined(waiting).await.expect(200)["state"], "held");
    assert_eq!(client.get(&late).await.expect(200)["state"], "queued");
    member.stop().await;
}

#[tokio::test]
async fn a_writer_lets_readers_in_and_takes_the_lock_back_when_they_left() {
    let member = Member::start().await;
    let client = member.client;
    let (writer, reader) = (claim_path(client, "rw-locks/catalog").await, claim_path(client, "rw-locks/catalog").await);
    let next = claim_path(client, "rw-locks/catalog").await;
    let held = client.put(&writer, "").await.expect(201);
    client.put(&reader, r#"{"mode":"shared"}"#).await.expect(202);
    client.put(&next, "").await.expect(202);
    let path = reader.clone();
    let waiting = tokio::spawn(async move { client.get(&format!("{path}?wait=30s")).await });
    let down = patch(client, &writer, r#"{"mode":"shared"}"#).await.expect(200);
    assert_eq!((&down["mode"], &down["token"]), (&"shared".into(), &held["token"]), "T15: the token stays");
    assert_eq!(joined(waiting).await.expect(200)["state"], "held");
    assert_eq!(client.get(&next).await.expect(200)["state"], "queued", "the next writer waits for both");
    patch(client, &writer, r#"{"mode":"exclusive"}"#).await.problem(409, "upgrade-not-possible");
    patch(client, &next, r#"{"mode":"shared"}"#).await.problem(409, "upgrade-not-possible");
    client.delete(&reader).await.expect(204);
    let up = patch(client, &writer, r#"{"mode":"exclusive"}"#).await.expect(200);
    assert_eq!((&up["mode"], &up["token"]), (&"exclusive".into(), &held["token"]));
    client.delete(&writer).await.expect(204);
    assert_eq!(client.get(&next).await.expect(200)["state"], "held");
    member.stop().await;
}

#[tokio::test]
async fn a_semaphore_serves_whole_claims_first_come_first_served() {
    let member = Member::start().await;
    let client = member.client;
    let claim = claim_path(client, "semaphores/workers").await;
    client.put(&claim, "").await.problem(404, "semaphore-not-found");
    client.get("/v1/semaphores/workers").await.problem(404, "semaphore-not-found");
    client.put("/v1/semaphores/workers", r#"{"limit":3}"#).await.expect(201);
    client.put(&claim, r#"{"permits":4}"#).await.problem(409, "permits-exceed-limit");
    assert_eq!(client.put(&claim, r#"{"permits":2}"#).await.expect(201)["permits"], 2);
    let (large, small) =
        (claim_path(client, "semaphores/workers").await, claim_path(client, "semaphores/workers").await);
    client.put(&large, r#"{"permits":2}"#).await.expect(202);
    client.put(&small, "").await.expect(202);
    let (path, other) = (large.clone(), small.clone());
    let large_waits = tokio::spawn(async move { client.get(&format!("{path}?wait=30s")).await });
    let small_waits = tokio::spawn(async move { client.get(&format!("{other}?wait=30s")).await });
    let raised = client.put("/v1/semaphores/workers", r#"{"limit":5}"#).await.expect(200);
    assert_eq!(raised["previous"], 3);
    assert_eq!(joined(large_waits).await.expect(200)["state"], "held");
    assert_eq!(joined(small_waits).await.expect(200)["state"], "held");

    client.put("/v1/semaphores/workers", r#"{"limit":1}"#).await.expect(200);
    let state = client.get("/v1/semaphores/workers").await.expect(200);
    assert_eq!((&state["holding"], &state["limit"]), (&3.into(), &1.into()), "a lower limit takes nothing away");
    let late = claim_path(client, "semaphores/workers").await;
    client.put(&late, "").await.expect(202);
    for path in [&claim, &large] {
        client.delete(path).await.expect(204);
        assert_eq!(client.get(&late).await.expect(200)["state"], "queued", "it drains");
    }
    client.delete(&small).await.expect(204);
    assert_eq!(client.get(&late).await.expect(200)["state"], "held");
    member.stop().await;
}

#[tokio::test]
async fn a_set_is_taken_all_or_none_and_without_deadlock() {
    let member = Member::start().await;
    let client = member.client;
    let alone = claim_path(client, "locks/a").await;
    client.put(&alone, "").await.expect(201);
    let (one, two) = (claim_path(client, "lock-sets/one").await, claim_path(client, "lock-sets/two").await);
    let (ab, ba) = (r#"{"locks":[{"name":"a"},{"name":"b"}]}"#, r#"{"locks":[{"name":"b"},{"name":"a"}]}"#);
    let tried = format!("{}{}", r#"{"enqueue":false,"#, &ab[1..]);
    client.put(&one, &tried).await.problem(409, "lock-held");
    assert_eq!(client.get("/v1/locks/b").await.expect(200)["state"], "free", "none is taken");
    let queued = client.put(&one, ab).await.expect(202);
    assert_eq!((&queued["locks"], &queued["lock_set"]), (&serde_json::json!(["a", "b"]), &"one".into()));
    client.put(&two, ba).await.expect(202);
    client.put(&one, ba).await.problem(409, "claim-conflict");
    let (path, other) = (one.clone(), two.clone());
    let one_waits = tokio::spawn(async move { client.get(&format!("{path}?wait=30s")).await });
    let two_waits = tokio::spawn(async move { client.get(&format!("{other}?wait=30s")).await });
    client.delete(&alone).await.expect(204);
    assert_eq!(joined(one_waits).await.expect(200)["token"], queued["token"]);
    for lock in ["a", "b"] {
        assert_eq!(client.get(&format!("/v1/locks/{lock}")).await.expect(200)["holder"]["token"], queued["token"]);
    }
    client.delete(&one).await.expect(204);
    assert_eq!(joined(two_waits).await.expect(200)["state"], "held");
    client.delete(&two).await.expect(204);
    assert_eq!(client.get("/v1/locks/a").await.expect(200)["state"], "free");
    member.stop().await;
}
