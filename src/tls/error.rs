//! What keeps TLS from being spoken at all.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A mistake in the files or the settings of TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file that cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting that cannot be followed.
    #[error("{0}")]
    Policy(String),
}

/// The error that says that `path` cannot be used because of `reason`.
pub(crate) fn unusable(path: &Path, reason: impl ToString) -> TlsError {
    TlsError::File { path: path.to_owned(), reason: reason.to_string() }
}
