//! Reads the snapshots of etcd, without etcd: bbolt files ([`Tree`]), and what etcd keeps in them ([`EtcdSnapshot`]).
//!
//! Only reads, a file that is in memory whole. Whatever the file holds, the answer is what is in it or an error: every offset is checked
//! before it is followed, and no page is looked at more often than there are pages.

mod error;
mod etcd;
mod page;
mod tree;

pub use error::BoltError;
pub use etcd::{EtcdAuth, EtcdEvent, EtcdLease, EtcdSnapshot};
pub use tree::Tree;

#[cfg(test)]
mod tests;
