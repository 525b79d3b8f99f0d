//! Why a file is not read.

/// See the top of this file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoltError {
    /// It is something else.
    #[error("it is not a bbolt file: neither of its two heads is whole")]
    Foreign,
    /// The checksum behind it is another.
    #[error("its checksum is another: it was cut off or altered")]
    Checksum,
    /// It contradicts itself.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}
