//! A configuration that is changed by several and followed by many: nobody overwrites what they have not seen, nobody misses a change.
//!
//! `cargo run --example config_push -- 127.0.0.1:2379`

use anyhow::{Result, bail};
use client::pb::response_op::Response;
use client::request::{get, mod_revision_is, put, then_put, then_range, txn, watch};
use client::{Client, Config};

const KEY: &str = "/example/config";

/// Appends a line to whatever the configuration is, however often it changes meanwhile.
async fn append(client: &Client, line: &str) -> Result<()> {
    let mut current = client.range(get(KEY)).await?;
    loop {
        let (text, revision) = match current.kvs.first() {
            Some(kv) => (String::from_utf8(kv.value.to_vec())?, kv.mod_revision),
            None => (String::new(), 0),
        };
        let write = then_put(put(KEY, format!("{text}{line}\n")));
        let request = txn([mod_revision_is(KEY, revision)], [write], [then_range(get(KEY))]);
        let answer = client.txn(request).await?;
        match answer.responses.into_iter().next().and_then(|op| op.response) {
            Some(Response::ResponseRange(newer)) => current = newer,
            Some(_) => return Ok(()),
            None => bail!("an answer without its part"),
        }
    }
}

/// Returns the configuration as a follower saw it last.
pub(crate) async fn run(endpoint: &str) -> Result<String> {
    let client = Client::new(Config::at([endpoint]))?;
    let mut changes = client.watch(watch(KEY)).await?;
    let (one, other) = tokio::join!(append(&client, "size = 5"), append(&client, "colour = red"));
    one.and(other)?;
    let mut seen = String::new();
    while seen.lines().count() < 2 {
        for event in changes.next().await?.events {
            seen = String::from_utf8(event.kv.unwrap_or_default().value.to_vec())?;
        }
    }
    Ok(seen)
}

#[tokio::main]
async fn main() -> Result<()> {
    let endpoint = std::env::args().nth(1).unwrap_or("127.0.0.1:2379".to_owned());
    print!("{}", run(&endpoint).await?);
    Ok(())
}
