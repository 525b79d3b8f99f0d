//! Handshakes between both sides, over a pipe, with certificates made here.

mod authority;
mod handshakes;
mod reloads;
