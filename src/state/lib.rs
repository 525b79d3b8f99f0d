//! The deterministic MVCC machine and its storage.
