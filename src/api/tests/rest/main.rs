//! The REST API of a real member, over real sockets: what a client that has nothing but HTTP sees.

mod bad_input;
mod claims;
mod elections;
mod kv;
mod locks;
mod pages;
mod sessions;
mod streams;
mod support;
mod watch;
