//! The command line of clients: etcdctl's commands, with its flags, `ETCDCTL_*` variables, outputs and exit codes.
//!
//! Outputs are those of etcdctl 3.5, byte for byte, but for what it logs on the way (`tests/it/etcdctl.rs` of the whole project compares
//! the two). Owns the parsing and the printing; what is done is done by [`client`].

mod duration;
mod exit;
mod flags;
mod number;
mod words;

mod connect;
mod run;

mod auth;
mod check;
mod contend;
mod endpoint;
mod get;
mod lease;
mod maintenance;
mod member;
mod mirror;
mod put;
mod role;
mod snapshot;
mod txn;
mod user;
mod watch;

mod show;

pub use flags::Ctl;
pub use run::{is_command, main};

#[cfg(test)]
mod tests;
