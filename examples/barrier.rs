//! Workers wait at a barrier, which is a key, until somebody lifts it.
//!
//! `cargo run --example barrier -- 127.0.0.1:2379`

use anyhow::Result;
use client::pb::event::EventType;
use client::request::{delete, get, put, watch};
use client::{Client, Config};

const BARRIER: &str = "/example/barrier";
const WORKERS: usize = 3;

/// Waits until the key is gone; the revision at which it went.
async fn pass(client: Client) -> Result<i64> {
    let found = client.range(get(BARRIER)).await?;
    let revision = found.header.map_or(0, |header| header.revision);
    if found.kvs.is_empty() {
        return Ok(revision);
    }
    // From the very next revision on: whatever happens between the read and the watch is seen.
    let mut request = watch(BARRIER);
    request.start_revision = revision + 1;
    let mut changes = client.watch(request).await?;
    loop {
        for event in changes.next().await?.events {
            if event.r#type() == EventType::Delete {
                return Ok(event.kv.map_or(0, |kv| kv.mod_revision));
            }
        }
    }
}

/// Returns how many passed after the barrier was lifted, and not before.
pub(crate) async fn run(endpoint: &str) -> Result<usize> {
    let client = Client::new(Config::at([endpoint]))?;
    client.put(put(BARRIER, "")).await?;
    let workers: Vec<_> = (0..WORKERS).map(|_| tokio::spawn(pass(client.clone()))).collect();
    let lifted = client.delete(delete(BARRIER)).await?.header.map_or(0, |header| header.revision);
    let mut passed = 0;
    for worker in workers {
        passed += usize::from(worker.await?? >= lifted);
    }
    Ok(passed)
}

#[tokio::main]
async fn main() -> Result<()> {
    let endpoint = std::env::args().nth(1).unwrap_or("127.0.0.1:2379".to_owned());
    println!("{} of {WORKERS} workers passed when the barrier was lifted", run(&endpoint).await?);
    Ok(())
}
