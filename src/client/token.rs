//! The token that requests carry, and when it has to be got anew.

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Status};

/// The metadata that carries a token.
pub(crate) const METADATA: &str = "token";

/// What the server last gave.
#[derive(Debug)]
pub(crate) struct TokenCell {
    /// A leaf lock, held for a copy.
    current: Mutex<Held>,
    /// One at a time gets a token, and the others take what it got: the server's check of a password is slow on purpose.
    pub(crate) renewal: Semaphore,
}

/// A token, and how many there were before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) generation: u64,
    /// None before the first one, and while the server has auth switched off.
    pub(crate) value: Option<MetadataValue<Ascii>>,
}

impl TokenCell {
    pub(crate) fn new() -> Self {
        Self { current: Mutex::default(), renewal: Semaphore::new(1) }
    }

    pub(crate) fn held(&self) -> Held {
        self.current.lock().clone()
    }

    pub(crate) fn put(&self, value: Option<MetadataValue<Ascii>>) {
        let mut held = self.current.lock();
        *held = Held { generation: held.generation + 1, value };
    }
}

/// Whether an answer means that the token, and nothing else, is what the server does not take. Nothing has happened then.
pub(crate) fn is_stale(status: &Status) -> bool {
    is_stale_text(status.message())
        && matches!(status.code(), Code::Unauthenticated | Code::InvalidArgument | Code::Unknown)
}

/// The texts are part of etcd's API.
pub(crate) fn is_stale_text(text: &str) -> bool {
    ["etcdserver: invalid auth token", "etcdserver: user name is empty", "etcdserver: revision of auth store is old"]
        .iter()
        .any(|known| text.contains(known))
}
