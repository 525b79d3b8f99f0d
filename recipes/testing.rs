//! For tests, of this crate and of those above; built with the feature `testing` only.
//!
//! [`MemoryLedger`] is a whole store in ordered maps, strict about what a ledger may be asked. [`plain`] does with plain reads,
//! puts and transactions what the recipes do with one command, as a client of etcd would: both paths, run side by side, must
//! give equal outcomes and equal stores.
//!
//! Misuse panics: these are tools for tests.

mod memory;

pub mod plain;
#[path = "testing/plain_claims.rs"]
pub mod plain_claims;

pub use memory::MemoryLedger;
