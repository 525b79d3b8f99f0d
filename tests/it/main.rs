//! Real processes, real clients: the built binary is started, killed, stopped and restarted while it is used over its wire.

#[path = "../checker/mod.rs"]
mod checker;
#[path = "../checker/tests.rs"]
mod checker_tests;
mod dice;
mod server;
mod small_disk;

mod cluster;
mod differential;
mod etcdctl;
mod examples;
mod full_disk;
mod import;
mod kill;
mod library;
mod restore;
mod settings;
mod start;
