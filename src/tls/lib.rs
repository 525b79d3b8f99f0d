//! TLS from files: both sides of a connection, who is believed, and new certificates without a restart.
//!
//! rustls with ring. Files are read again when they change, and from then on hold for new connections; those that are open go
//! on. A file that cannot be used any more changes nothing but the log. Guarantees that a handshake which should fail fails, and
//! that what is wrong with a file is said with its path.
//!
//! Leaves to others: sockets, deadlines, and what a certified name may do.

mod error;

mod policy;

mod files;
mod reloading;

mod caller;
mod client;
mod server;

mod self_signed;

#[cfg(test)]
mod tests;

pub use caller::common_name;
pub use client::{Client, Connector, Trust};
pub use error::TlsError;
pub use policy::{Policy, Version};
pub use self_signed::{SelfSigned, self_signed};
pub use server::{Acceptor, Callers, Server};
pub use tokio_rustls::rustls::pki_types::ServerName;
pub use tokio_rustls::{client::TlsStream as ClientStream, server::TlsStream as ServerStream};
