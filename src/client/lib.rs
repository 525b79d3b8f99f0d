//! A client of the etcd v3 API, for Quorate and for etcd.
//!
//! Takes several endpoints and goes on with another when one fails. Sends a request again only where that is safe: reads whenever a
//! member was unavailable, writes only when no member can have seen them. Watches resume where they were; leases are kept alive by a
//! task; tokens are renewed when the server no longer takes them. Whatever failed says whether it may have happened
//! ([`Error::may_have_happened`]).
//!
//! Requests and responses are the messages of the wire ([`pb`]): what the API can, this client can. [`request`] writes the common ones.
//!
//! ```no_run
//! use client::{Client, Config, request};
//!
//! # async fn example() -> Result<(), client::Error> {
//! let client = Client::new(Config::at(["127.0.0.1:2379", "127.0.0.1:2381"]))?;
//! client.put(request::put("greeting", "hello")).await?;
//! let mut changes = client.watch(request::watch_prefix("greet")).await?;
//! let found = client.range(request::get("greeting")).await?;
//! assert_eq!(found.kvs[0].value, "hello");
//! loop {
//!     for event in changes.next().await?.events {
//!         println!("{event:?}");
//!     }
//! }
//! # }
//! ```

mod config;
mod error;
mod url;

mod balance;
mod call;
mod dial;
mod tls;
mod token;

mod auth;
mod claim;
mod client;
mod cluster;
mod election;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod namespace;
mod watch;

pub mod request;

pub use claim::{Claim, Session};
pub use client::Client;
pub use config::{Config, Credentials, Tls};
pub use error::Error;
pub use lease::KeepAlive;
pub use maintenance::Snapshot;
pub use tonic::Code;
pub use watch::Watcher;

/// The messages of the wire, for requests and responses.
pub mod pb {
    pub use proto::authpb::*;
    pub use proto::etcdserverpb::*;
    pub use proto::mvccpb::*;
    pub use proto::{v3electionpb, v3lockpb};
}

#[cfg(test)]
mod tests;
