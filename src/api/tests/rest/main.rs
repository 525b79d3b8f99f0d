//! The REST API of a real member, over real sockets: what a client that has nothing but HTTP sees.

mod bad_input;
mod barriers;
mod claims;
mod config;
mod config_watch;
mod elections;
mod groups;
mod held;
mod kv;
mod locks;
mod numbers;
mod pages;
mod queues;
mod session_streams;
mod sessions;
mod shared;
mod streams;
mod support;
mod watch;
