//! The examples in Rust, each against a member: they do what they say.

use crate::server::{Server, fresh};

#[expect(dead_code, reason = "main is what cargo runs")]
#[path = "../../examples/barrier.rs"]
mod barrier;
#[expect(dead_code, reason = "main is what cargo runs")]
#[path = "../../examples/config_push.rs"]
mod config_push;
#[expect(dead_code, reason = "main is what cargo runs")]
#[path = "../../examples/leader_election.rs"]
mod leader_election;
#[expect(dead_code, reason = "main is what cargo runs")]
#[path = "../../examples/mutex.rs"]
mod mutex;
#[expect(dead_code, reason = "main is what cargo runs")]
#[path = "../../examples/watch_sse.rs"]
mod watch_sse;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_do_what_they_say() {
    let (_folder, data) = fresh();
    let server = Server::start(&data, &[]);
    assert_eq!(mutex::run(&server.url).await.expect("a counter"), "20");
    let mut led = leader_election::run(&server.url).await.expect("leaders");
    led.sort();
    assert_eq!(led, ["anna", "bert"]);
    assert_eq!(barrier::run(&server.url).await.expect("a barrier"), 3);
    let seen = config_push::run(&server.url).await.expect("a configuration");
    assert!(seen.contains("size = 5\n") && seen.contains("colour = red\n"), "{seen}");
    let change = watch_sse::run(&server.url).await.expect("a change");
    assert!(change.contains("/example/sse"), "{change}");
}
