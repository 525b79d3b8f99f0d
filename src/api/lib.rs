//! Both faces on one port: gRPC and HTTP.
//!
//! Owns everything between a client's bytes and [`node::Handle`]: connections and their deadlines, the etcd v3 services, the
//! routes for operators, the recipes' REST API, metrics. It guarantees that nothing a client sends or fails to send can hold a
//! task, a connection or memory without bound, and that clients of etcd meet the codes and texts they know.
//!
//! Leaves to others: meaning (`node` and below); this crate converts and forwards.

mod offer;
mod options;
mod server;

mod admission;
mod connection;
mod draining;
mod gather;
mod listener;
mod opening;

mod access;
mod caller;
mod face;
mod frame;
mod traffic;

mod calls;
mod credentials;
mod grpc;

mod gateway;

mod convert;
mod error;
mod version;

mod rest;

mod metrics;
mod ops;
mod process;

pub use access::Names;
pub use caller::ClientCertificate;
pub use offer::Offer;
pub use options::{Options, SecretKey};
pub use server::{Port, Server};
