//! Real processes, real clients: the built binary is started, killed, stopped and restarted while it is used over its wire.

mod server;

mod differential;
mod kill;
mod start;
