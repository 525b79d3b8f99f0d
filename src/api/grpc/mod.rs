//! The etcd v3 services: each method converts, asks the member, and converts back.
//!
//! Served: KV (with RangeStream, which etcd has from 3.7 on), Watch, Lease, Cluster, Maintenance, Auth, v3lock, v3election,
//! health and reflection. What is not served answers Unimplemented, which clients take for what it is.

mod auth;
mod cluster;
mod conversation;
mod dispatch;
mod downgrade;
mod edge;
mod election;
mod fragment;
mod kv;
mod leader;
mod lease;
mod lock;
mod maintenance;
mod peer_urls;
mod range_stream;
mod recipe;
mod snapshot;
mod watch;

pub(crate) use dispatch::Services;
pub(crate) use edge::Edge;
