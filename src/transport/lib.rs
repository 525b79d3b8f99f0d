//! Members speaking to each other: one member as the others see it ([`Peer`]), who is meant ([`Header`]), what can go wrong,
//! and gRPC between the two sides ([`Network`] calls, [`Listener`] serves).
//!
//! Knows frames, not Raft: payloads are bytes here. The same trait is what a connection offers and what a member serves, so that
//! whatever lies between (gRPC, a simulated network) is an adapter from one to the other.

mod error;
mod peer;

mod headers;

mod pace;
mod snapshot_reader;
mod snapshot_writer;

mod connection;
mod deadline;
mod details;
mod idle;
mod lane;
mod network;
mod open;
mod remote;
mod status;
mod tls;
mod until;
mod url;

mod accept;
mod listener;
mod preface;
mod serve;
mod service;
mod setup_error;

#[cfg(test)]
mod tests;

pub use error::CallError;
pub use headers::{Local, check};
pub use listener::Listener;
pub use network::Network;
pub use peer::{Answer, Dialer, Peer, Requests, Responses};
pub use proto::quoratepb::{Header, ProbeResponse};
pub use setup_error::SetupError;
pub use snapshot_reader::read_snapshot;
pub use snapshot_writer::{PIECE_BYTES_MAX, snapshot_frames};
pub use tls::Tls;

/// Version of the peer protocol that this program speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// Largest message in bytes that goes from member to member: one entry of up to 64 MiB, and room for what is around it.
pub const MESSAGE_BYTES_MAX: usize = 65 * 1024 * 1024;
