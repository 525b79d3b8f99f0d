//! What people open in a browser, and what describes the API.

use crate::support::Member;

#[tokio::test]
async fn the_pages_need_nothing_from_elsewhere() {
    let member = Member::start().await;
    let client = member.client;
    let landing = client.get("/").await;
    assert_eq!((landing.status, landing.header("content-type")), (200, "text/html; charset=utf-8"));
    let docs = client.get("/docs").await;
    assert_eq!((docs.status, docs.header("location")), (303, "/docs/"));
    for page in ["/", "/docs/", "/docs/swagger-initializer.js", "/docs/index.css"] {
        let answer = client.get(page).await;
        assert_eq!(answer.status, 200, "{page}");
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        for remote in ["src=\"http", "href=\"http", "src=\"//", "href=\"//", "url(http", "@import"] {
            assert!(!text.contains(remote), "{page} loads something from elsewhere");
        }
    }
    let initializer = client.get("/docs/swagger-initializer.js").await;
    let text = String::from_utf8(initializer.body.to_vec()).unwrap();
    assert!(text.contains("/openapi.json"), "{text}");
    assert!(text.contains("\"validatorUrl\": \"none\""), "{text}");
    member.stop().await;
}

#[tokio::test]
async fn the_description_is_served_as_it_is_kept() {
    let member = Member::start().await;
    let served = member.client.get("/openapi.json").await;
    assert_eq!(served.header("content-type"), "application/json");
    let kept = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/openapi.json")).unwrap();
    assert_eq!(served.body, kept);
    member.stop().await;
}

#[tokio::test]
async fn every_kind_of_problem_is_explained_where_its_type_says() {
    let member = Member::start().await;
    let kinds = member.client.get("/problems").await.expect(200);
    let kinds = kinds.as_array().unwrap();
    assert!(kinds.len() > 20);
    for kind in kinds {
        let page = member.client.get(kind["type"].as_str().unwrap()).await.expect(200);
        assert_eq!(page, *kind);
        assert!(!page["text"].as_str().unwrap().is_empty());
    }
    member.stop().await;
}
