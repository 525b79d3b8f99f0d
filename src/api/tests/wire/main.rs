//! The client port of a real member, over real sockets: what clients see, byte for byte where it matters.

mod abuse;
mod auth;
mod cluster;
mod election;
mod error_table;
mod gateway;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod monitoring;
mod others;
mod past_bugs;
mod port;
mod range_stream;
mod support;
mod tls;
mod watch;
