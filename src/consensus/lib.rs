//! Raft through openraft: the only crate that names it.
