//! The wire: etcd v3 messages and services, and our peer protocol.
//!
//! Owns the shape of what is sent, as generated from the .proto files beside this one: field numbers, names, gRPC
//! paths, one module per package. Guarantees that the public packages equal, field for field, the table in
//! `tests/wire.txt`, and that every `bytes` field is a [`bytes::Bytes`] that shares the received frame. Leaves meaning
//! and validation to those who convert these types at the edge.
//!
//! Modules stand side by side because generated code reaches from one package into another through `super`.

/// Descriptors of the client API (all packages but [`quoratepb`]), encoded as a `FileDescriptorSet`: what gRPC
/// reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/client_api.bin"));

/// Key-value pairs and events.
#[expect(missing_docs, reason = "generated; the .proto file says what a name does not")]
pub mod mvccpb {
    tonic::include_proto!("mvccpb");
}

/// Users, roles and permissions.
#[expect(missing_docs, reason = "generated; the .proto file says what a name does not")]
pub mod authpb {
    tonic::include_proto!("authpb");
}

/// The client API: key-value, watch, lease, cluster, maintenance and auth.
#[expect(
    missing_docs,
    clippy::allow_attributes_without_reason,
    clippy::missing_errors_doc,
    clippy::too_many_lines,
    reason = "generated; the .proto file says what a name does not"
)]
pub mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}

/// The lock service.
#[expect(
    missing_docs,
    clippy::allow_attributes_without_reason,
    clippy::missing_errors_doc,
    clippy::too_many_lines,
    reason = "generated; the .proto file says what a name does not"
)]
pub mod v3lockpb {
    tonic::include_proto!("v3lockpb");
}

/// The election service.
#[expect(
    missing_docs,
    clippy::allow_attributes_without_reason,
    clippy::missing_errors_doc,
    clippy::too_many_lines,
    reason = "generated; the .proto file says what a name does not"
)]
pub mod v3electionpb {
    tonic::include_proto!("v3electionpb");
}

/// The peer protocol.
#[expect(
    clippy::allow_attributes_without_reason,
    clippy::missing_errors_doc,
    clippy::too_many_lines,
    reason = "generated; missing_docs stays on: this protocol is documented nowhere else"
)]
pub mod quoratepb {
    tonic::include_proto!("quoratepb");
}
