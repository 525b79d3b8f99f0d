//! Four tasks add to one counter, one at a time: a lock with a fencing token, by which each write is guarded.
//!
//! `cargo run --example mutex -- 127.0.0.1:2379`

use anyhow::{Result, ensure};
use client::request::{create_revision_is, get, put, then_put, txn};
use client::{Client, Config, Session};

const TASKS: usize = 4;
const ROUNDS: usize = 5;

async fn add(client: Client) -> Result<()> {
    let session = Session::new(&client, 10).await?;
    for _ in 0..ROUNDS {
        let claim = session.claim(b"/example/mutex", "").await?;
        claim.wait().await?;
        let found = client.range(get("/example/counter")).await?;
        let before: usize = found
            .kvs
            .first()
            .map_or(Ok(0), |kv| std::str::from_utf8(&kv.value)?.parse::<usize>().map_err(anyhow::Error::from))?;
        // A holder that was away for too long has lost its key, and with it the right to write.
        let still_held = create_revision_is(claim.key().clone(), claim.revision());
        let write = then_put(put("/example/counter", (before + 1).to_string()));
        ensure!(client.txn(txn([still_held], [write], [])).await?.succeeded, "the lock was lost");
        claim.leave().await?;
    }
    Ok(session.end().await?)
}

/// Returns the counter.
pub(crate) async fn run(endpoint: &str) -> Result<String> {
    let client = Client::new(Config::at([endpoint]))?;
    client.put(put("/example/counter", "0")).await?;
    let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(add(client.clone()))).collect();
    for task in tasks {
        task.await??;
    }
    let found = client.range(get("/example/counter")).await?;
    Ok(String::from_utf8(found.kvs[0].value.to_vec())?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let endpoint = std::env::args().nth(1).unwrap_or("127.0.0.1:2379".to_owned());
    println!("{TASKS} tasks, {ROUNDS} rounds each: the counter is {}", run(&endpoint).await?);
    Ok(())
}
