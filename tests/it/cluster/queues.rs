//! A work queue whose leaders are killed: whatever was said to be in is settled, or is still there; what was settled never comes again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use super::http::{self, Reply};
use super::members::Cluster;
use super::program::Program;

const QUEUE: &str = "/v1/queues/jobs";

/// How long a call may take, beyond what it is told to wait.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Messages that are settled between two kills.
const PROGRESS: usize = 60;

/// What all clients share.
struct Shared {
    urls: Vec<String>,
    over: AtomicBool,
    settled: AtomicUsize,
}

/// What a client knows at the end.
#[derive(Default)]
struct Seen {
    /// Messages that are in.
    sent: BTreeSet<String>,
    /// Message and token of each loan.
    loans: Vec<(String, i64)>,
    /// Token of the loan under which a message was settled.
    settled: BTreeMap<String, i64>,
    /// Messages of which it is not known whether they were settled.
    unknown: BTreeSet<String>,
}

struct Client {
    shared: Arc<Shared>,
    /// The member in use.
    at: usize,
    seen: Seen,
}

impl Client {
    /// A call to the member in use, or to the next one after it did not answer.
    async fn call(&mut self, method: &str, path: &str, body: &str) -> Option<Reply> {
        let base = &self.shared.urls[self.at % self.shared.urls.len()];
        match tokio::time::timeout(TIMEOUT, http::request(base, method, path, "", body)).await {
            Ok(Ok(reply)) if reply.status < 500 && reply.status != 429 => Some(reply),
            Ok(Ok(_) | Err(_)) | Err(_) => {
                self.at += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
                None
            }
        }
    }

    async fn send(&mut self, text: &str) {
        if let Some(Reply { status: 201, body }) = self.call("POST", &format!("{QUEUE}/messages"), text).await {
            self.seen.sent.insert(text_of(&body["message"]));
        }
    }

    /// Takes one message and settles it.
    async fn work(&mut self) {
        let document = r#"{"wait":"300ms","visibility":"2s"}"#;
        let taken = self.call("POST", &format!("{QUEUE}/claims"), document).await;
        let Some(Reply { status: 201, body }) = taken else { return };
        let (message, token) = (text_of(&body["message"]), body["token"].as_i64().expect("a token"));
        self.seen.loans.push((message.clone(), token));
        match self.call("DELETE", &format!("{QUEUE}/claims/{}", text_of(&body["claim"])), "").await {
            Some(Reply { status: 204, .. }) => {
                self.seen.settled.insert(message, token);
                self.shared.settled.fetch_add(1, Ordering::Relaxed);
            }
            Some(Reply { status: 404, .. }) => {}
            Some(reply) => panic!("{reply:?}"),
            None => {
                self.seen.unknown.insert(message);
            }
        }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

async fn produce(mut client: Client) -> Seen {
    let mut serial = 0;
    while !client.shared.over.load(Ordering::Relaxed) {
        client.send(&format!("job {serial}")).await;
        serial += 1;
    }
    client.seen
}

async fn consume(mut client: Client) -> Seen {
    while !client.shared.over.load(Ordering::Relaxed) {
        client.work().await;
    }
    client.seen
}

/// Works until nothing is left: what was on loan comes back by itself.
async fn drain(cluster: &Cluster, client: &mut Client) {
    let left = cluster.until("an empty queue", async || {
        client.work().await;
        let state = client.call("GET", QUEUE, "").await?;
        (state.body["messages"] == 0).then_some(())
    });
    left.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_a_queue_loses_nothing_while_leaders_are_killed() {
    if Program::chosen() != Program::Quorate {
        return;
    }
    let mut cluster = Cluster::start(3, 0, &[]).await;
    let urls = cluster.client_urls();
    let shared = Arc::new(Shared { urls, over: AtomicBool::new(false), settled: AtomicUsize::new(0) });
    let client = |at| Client { shared: shared.clone(), at, seen: Seen::default() };
    let mut clients = JoinSet::new();
    clients.spawn(produce(client(0)));
    (0..3).for_each(|at| {
        clients.spawn(consume(client(at)));
    });
    for _ in 0..4 {
        let goal = shared.settled.load(Ordering::Relaxed) + PROGRESS;
        let leader = cluster.leader().await;
        cluster.members[leader].kill();
        let is_there = async || (shared.settled.load(Ordering::Relaxed) >= goal).then_some(());
        cluster.until("messages that are settled", is_there).await;
        cluster.start_member(leader);
    }
    shared.over.store(true, Ordering::Relaxed);
    let mut last = client(0);
    let mut all: Vec<Seen> = clients.join_all().await;
    drain(&cluster, &mut last).await;
    all.push(last.seen);
    check(&all);
    cluster.agree().await;
}

fn check(all: &[Seen]) {
    let settled: BTreeMap<&String, i64> =
        all.iter().flat_map(|seen| &seen.settled).map(|(message, token)| (message, *token)).collect();
    let unknown: BTreeSet<&String> = all.iter().flat_map(|seen| &seen.unknown).collect();
    let sent: Vec<&String> = all.iter().flat_map(|seen| &seen.sent).collect();
    let lost: Vec<_> = sent.iter().filter(|sent| !settled.contains_key(**sent) && !unknown.contains(**sent)).collect();
    assert!(lost.is_empty(), "{} of {} messages are lost: {lost:?}", lost.len(), sent.len());
    let mut tokens = BTreeSet::new();
    for (message, token) in all.iter().flat_map(|seen| &seen.loans) {
        assert!(tokens.insert(*token), "two loans under token {token}");
        let end = settled.get(message).copied().unwrap_or(i64::MAX);
        assert!(*token <= end, "{message} was settled under {end} and lent again under {token}");
    }
    assert!(settled.len() >= 4 * PROGRESS, "only {} messages were settled", settled.len());
}
