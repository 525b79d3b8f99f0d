//! How a command ends when it fails: etcdctl's exit codes, and its one line.

use client::Error;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) code: u8,
    /// What is said; nothing when all has been said.
    pub(crate) text: Option<String>,
}

impl Exit {
    const fn new(code: u8, text: String) -> Self {
        Self { code, text: Some(text) }
    }

    /// The request failed.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::new(1, text.into())
    }

    /// There is no way to the server, or no way in.
    pub(crate) fn bad_connection(text: impl Into<String>) -> Self {
        Self::new(2, text.into())
    }

    /// What was read cannot be used.
    pub(crate) fn invalid_input(text: impl Into<String>) -> Self {
        Self::new(3, text.into())
    }

    /// What a flag asks for does not exist.
    pub(crate) fn bad_feature(text: impl Into<String>) -> Self {
        Self::new(4, text.into())
    }

    /// Something that was to go on has ended.
    pub(crate) fn interrupted(text: impl Into<String>) -> Self {
        Self::new(5, text.into())
    }

    /// A file cannot be read or written.
    pub(crate) fn io(error: &std::io::Error) -> Self {
        Self::new(6, error.to_string())
    }

    /// The arguments cannot be used.
    pub(crate) fn bad_args(text: impl Into<String>) -> Self {
        Self::new(128, text.into())
    }

    /// A command that was run ended with a code of its own.
    pub(crate) fn of_child(code: u8) -> Self {
        Self::new(code, format!("exit status {code}"))
    }

    /// The command failed, and has said why.
    pub(crate) const fn said() -> Self {
        Self { code: 1, text: None }
    }
}

impl From<Error> for Exit {
    fn from(error: Error) -> Self {
        let text = text_of(&error);
        match error {
            // etcdctl gets its token while it connects.
            Error::Config(_) | Error::LeaseExpired => Self::bad_connection(text),
            Error::Answer { .. } if text.starts_with("etcdserver: authentication failed") => Self::bad_connection(text),
            Error::Answer { .. }
            | Error::Interrupted(_)
            | Error::TimedOut { .. }
            | Error::Compacted { .. }
            | Error::WatchCanceled(_)
            | Error::ClaimLost => Self::failed(text),
        }
    }
}

/// An error in etcdctl's words.
pub(crate) fn text_of(error: &Error) -> String {
    match error {
        Error::TimedOut { .. } => "context deadline exceeded".to_owned(),
        Error::Answer { message, .. } if message.starts_with("etcdserver: ") => message.clone(),
        Error::Answer { code, message } => format!("rpc error: code = {code:?} desc = {message}"),
        Error::Config(_)
        | Error::Interrupted(_)
        | Error::Compacted { .. }
        | Error::WatchCanceled(_)
        | Error::LeaseExpired
        | Error::ClaimLost => error.to_string(),
    }
}
