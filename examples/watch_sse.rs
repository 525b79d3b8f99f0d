//! Follows keys over plain HTTP, as any language can: server-sent events, by hand on a socket.
//!
//! `cargo run --example watch_sse -- 127.0.0.1:2379`

use anyhow::{Context, Result, ensure};
use client::request::put;
use client::{Client, Config};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Returns the first change that was seen, as its data came.
pub(crate) async fn run(endpoint: &str) -> Result<String> {
    let address = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("GET /v1/watch?prefix=/example/sse HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let status = lines.next_line().await?.context("no answer")?;
    ensure!(status.contains(" 200 "), "the server said {status}");
    let mut is_change = false;
    let mut is_written = false;
    while let Some(line) = lines.next_line().await? {
        // The stream begins with how things are: what is written from now on comes as a change.
        if line.starts_with("event:") && !is_written {
            let client = Client::new(Config::at([endpoint]))?;
            client.put(put("/example/sse", "hello")).await?;
            is_written = true;
        }
        is_change |= line.starts_with("event:") && line.contains("change");
        if let (true, Some(data)) = (is_change, line.strip_prefix("data:")) {
            return Ok(data.trim().to_owned());
        }
    }
    anyhow::bail!("the stream ended")
}

#[tokio::main]
async fn main() -> Result<()> {
    let endpoint = std::env::args().nth(1).unwrap_or("127.0.0.1:2379".to_owned());
    println!("{}", run(&endpoint).await?);
    Ok(())
}
