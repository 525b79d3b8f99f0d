//! A value made of files, made again when they change.
//!
//! Whoever needs the value looks whether the files are still the same, at most once a second: no task of its own, and nothing to
//! be woken by. What cannot be made of the files as they are now leaves the last good value in force, and is said in the log
//! until it is mended. Links are followed, so that a directory which is exchanged as a whole (as Kubernetes does) counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::TlsError;

/// How long the files are believed to be as they were.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What tells a file from what it was: when it was written, and its length.
type Stamp = Option<(SystemTime, u64)>;

/// A value made of files. Cheap to clone.
#[derive(Debug)]
pub(crate) struct Reloading<T>(Arc<Inner<T>>);

struct Inner<T> {
    value: ArcSwap<T>,
    make: Box<dyn Fn() -> Result<T, TlsError> + Send + Sync>,
    files: Vec<PathBuf>,
    looked: Mutex<Looked>,
}

#[derive(Debug)]
struct Looked {
    at: Instant,
    stamps: Vec<Stamp>,
}

impl<T> Clone for Reloading<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Inner<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("files", &self.files).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Reloading<T> {
    /// The value that `make` makes of `files`.
    ///
    /// # Errors
    ///
    /// Those of `make`: at the start there is no last good value.
    pub(crate) fn new(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        // Before they are read: what is written in between is a change.
        let looked = Mutex::new(Looked { at: Instant::now(), stamps: stamps(&files) });
        let value = ArcSwap::from_pointee(make()?);
        Ok(Self(Arc::new(Inner { value, make: Box::new(make), files, looked })))
    }

    /// The value of the files as they were a second ago at the most.
    pub(crate) async fn current(&self) -> Arc<T> {
        if self.is_due() {
            let inner = Arc::clone(&self.0);
            // A panic in there leaves the last good value as well.
            let _ = spawn_blocking(move || inner.look()).await;
        }
        self.0.value.load_full()
    }

    /// Whether it is time to look; only one of those who ask at the same time is told so.
    fn is_due(&self) -> bool {
        let mut looked = self.0.looked.lock();
        let is_due = looked.at.elapsed() >= LOOK_EVERY;
        if is_due {
            looked.at = Instant::now();
        }
        is_due
    }
}

impl<T> Inner<T> {
    fn look(&self) {
        let now = stamps(&self.files);
        if self.looked.lock().stamps == now {
            return;
        }
        match (self.make)() {
            Ok(value) => {
                self.value.store(Arc::new(value));
                self.looked.lock().stamps = now;
                tracing::info!(files = ?self.files, "files of TLS were read again");
            }
            Err(error) => {
                tracing::warn!(%error, "files of TLS have changed and cannot be used; the last ones stay in force")
            }
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    files.iter().map(|file| stamp(file)).collect()
}

fn stamp(file: &Path) -> Stamp {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
