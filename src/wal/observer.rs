//! The port through which the owner measures the disk.

use std::fmt::Debug;
use std::time::Duration;

/// Is told of every write and sync, on the thread that made it; must return at once.
pub trait Observer: Debug + Send + Sync {
    /// A group of `bytes` bytes was handed to the system.
    fn written(&self, bytes: usize);

    /// An fdatasync of a segment took this long.
    fn synced(&self, took: Duration);
}

/// Measures nothing.
impl Observer for () {
    fn written(&self, _bytes: usize) {}

    fn synced(&self, _took: Duration) {}
}
