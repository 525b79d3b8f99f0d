//! Members speaking to each other: one member as the others see it ([`Peer`]), who is meant ([`Header`]), what can go wrong.
//!
//! Knows frames, not Raft: payloads are bytes here. The same trait is what a connection offers and what a member serves, so that
//! whatever lies between (gRPC, a simulated network) is an adapter from one to the other.

mod error;
mod peer;

pub use error::CallError;
pub use peer::{Answer, Dialer, Peer, Requests, Responses};
pub use proto::quoratepb::Header;

/// Version of the peer protocol that this program speaks.
pub const PROTOCOL_VERSION: u32 = 1;
