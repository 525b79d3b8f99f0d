//! What can be checked without a member: against a server that answers as it is told. Real members are in `tests/it/library.rs` of the
//! whole project.

mod mock;

mod parts;
mod retries;
mod tls;
mod tokens;
