//! Groups over HTTP: who is there, and being told when that changes.

use http::Method;

use crate::support::Member;

const WORKERS: &str = "/v1/groups/workers";

#[tokio::test]
async fn each_event_has_all_members() {
    let member = Member::start().await;
    let client = member.client;
    let mut events = client.events(Method::GET, &format!("{WORKERS}/events"), &[]).await;
    assert_eq!(events.expect("members").await.data["members"], serde_json::json!([]));
    let (first, second) = (client.session().await, client.session().await);
    let of = |session: &str| format!("{WORKERS}/members/{session}");
    let joined = client.put(&of(&first), r#"{"value":"a"}"#).await.expect(201);
    assert_eq!((&joined["session"], &joined["value"]), (&first.as_str().into(), &"a".into()));
    let one = events.expect("members").await;
    client.put(&of(&second), r#"{"value":"/w==","encoding":"base64"}"#).await.expect(201);
    let two = events.expect("members").await;
    let sessions = |data: &serde_json::Value| {
        let members = data["members"].as_array().unwrap().iter();
        members.map(|member| member["session"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(sessions(&two.data), [first.clone(), second.clone()]);
    assert_eq!(two.data["members"][1]["encoding"], "base64");
    let revision = member.handle().revision();
    client.put(&of(&first), r#"{"value":"a"}"#).await.expect(200);
    assert_eq!(member.handle().revision(), revision, "T10: joining again writes nothing");
    client.put(&of(&first), r#"{"value":"b"}"#).await.expect(200);
    assert_eq!(events.expect("members").await.data["members"][0]["value"], "b");
    client.delete(&format!("/v1/sessions/{first}")).await.expect(204);
    let left = events.expect("members").await;
    assert_eq!(sessions(&left.data), std::slice::from_ref(&second));
    assert_eq!(client.get(WORKERS).await.expect(200)["revision"], left.data["revision"]);

    let path = format!("{WORKERS}/events?cursor={}", one.id);
    let mut again = client.events(Method::GET, &path, &[]).await;
    assert_eq!(again.expect("members").await.id, two.id, "what came after the cursor, and nothing twice");
    client.put(&of(&first), "").await.problem(404, "session-not-found");
    client.delete(&of(&second)).await.expect(204);
    client.delete(&of(&second)).await.expect(204);
    assert_eq!(sessions(&client.get(WORKERS).await.expect(200)), Vec::<String>::new());
    member.stop().await;
}
