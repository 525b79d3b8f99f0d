//! Two candidates for one post: the first leads until it resigns, then the other one does.
//!
//! `cargo run --example leader_election -- 127.0.0.1:2379`

use anyhow::Result;
use client::request::get;
use client::{Client, Config, Session};

const POST: &[u8] = b"/example/leader";

/// Waits to lead, says so, and resigns; what it proclaimed, and its fencing token.
async fn lead(client: Client, name: &'static str) -> Result<(String, i64)> {
    let mut session = Session::new(&client, 10).await?;
    let claim = session.claim(POST, name).await?;
    tokio::select! {
        led = claim.wait() => led?,
        // Whoever waits or leads stops as soon as it cannot know any more that it may.
        error = session.lost() => return Err(error.into()),
    };
    let own = client.range(get(claim.key().clone())).await?;
    let proclaimed = String::from_utf8(own.kvs[0].value.to_vec())?;
    let token = claim.revision();
    claim.leave().await?;
    session.end().await?;
    Ok((proclaimed, token))
}

/// Returns who led, in order.
pub(crate) async fn run(endpoint: &str) -> Result<Vec<String>> {
    let client = Client::new(Config::at([endpoint]))?;
    let candidates = ["anna", "bert"].map(|name| tokio::spawn(lead(client.clone(), name)));
    let mut led = Vec::new();
    for candidate in candidates {
        led.push(candidate.await??);
    }
    led.sort_by_key(|(_, token)| *token);
    Ok(led.into_iter().map(|(name, _)| name).collect())
}

#[tokio::main]
async fn main() -> Result<()> {
    let endpoint = std::env::args().nth(1).unwrap_or("127.0.0.1:2379".to_owned());
    println!("led, one after the other: {}", run(&endpoint).await?.join(", "));
    Ok(())
}
