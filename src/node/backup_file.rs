//! The file of a backup, as `Maintenance.Snapshot` streams it and `quorate snapshot` reads it.
//!
//! ```text
//! file     = magic:8 (= "quorsnap") format:u32 (= 1) frame* end padding checksum:32
//! frame    = length:u32 (1 to 262144) piece           a piece of the state, in the form that one member sends another
//! end      = 0:u32
//! padding  = zeros, until all before the checksum is a multiple of 512 bytes: how clients tell that there is a checksum
//! checksum = SHA-256 of all before it                 integers are big-endian
//! ```
//!
//! Pieces carry checksums of their own, and say which is the last (`state`). An unknown format number is refused.

use std::io::{self, Read};

use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};
use state::{Export, Fault};
use thiserror::Error;

const MAGIC: &[u8; 8] = b"quorsnap";
const FORMAT: u32 = 1;

/// Largest piece in bytes: small enough for the message limit of any gRPC client, large enough for few of them.
const PIECE_BYTES_MAX: usize = 256 * 1024;

/// What all before the checksum is a multiple of, in bytes (etcd's figure).
const BLOCK_BYTES: u64 = 512;

/// Length of the checksum in bytes.
pub(crate) const CHECKSUM_BYTES: usize = 32;

/// Why a file is not used.
#[derive(Debug, Error)]
pub enum BackupError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("it is not a snapshot of this program")]
    Foreign,
    /// It was written by another version.
    #[error("it has format {found}, this version reads format {FORMAT}")]
    UnknownFormat {
        /// The number in it.
        found: u32,
    },
    /// It ends before its end.
    #[error("it is cut off")]
    Cut,
    /// It is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// What it holds cannot be taken in.
    #[error(transparent)]
    Content(#[from] Fault),
}

/// The file of a state, part by part. Ends with the first error.
pub(crate) struct Encoder {
    stage: Stage,
    pieces: Box<dyn Iterator<Item = Result<Bytes, Fault>> + Send>,
    hash: Sha256,
    written: u64,
}

enum Stage {
    Start,
    Pieces,
    Checksum,
    Done,
}

impl Encoder {
    pub(crate) fn new(export: Export) -> Self {
        let pieces = Box::new(export.pieces(PIECE_BYTES_MAX));
        Self { stage: Stage::Start, pieces, hash: Sha256::new(), written: 0 }
    }

    /// Whether the last part was taken.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    fn put(&mut self, part: BytesMut) -> Bytes {
        self.hash.update(&part);
        self.written += part.len() as u64;
        part.freeze()
    }

    fn start(&mut self) -> Bytes {
        let mut part = BytesMut::new();
        part.put_slice(MAGIC);
        part.put_u32(FORMAT);
        self.put(part)
    }

    fn frame(&mut self, piece: &[u8]) -> Bytes {
        let mut part = BytesMut::with_capacity(4 + piece.len());
        part.put_u32(u32::try_from(piece.len()).expect("a piece is no larger than was asked for"));
        part.put_slice(piece);
        self.put(part)
    }

    fn end(&mut self) -> Bytes {
        let mut part = BytesMut::new();
        part.put_u32(0);
        let padding = padding(self.written + part.len() as u64);
        part.put_bytes(0, padding);
        self.put(part)
    }
}

impl Iterator for Encoder {
    type Item = Result<Bytes, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.stage {
            Stage::Start => {
                self.stage = Stage::Pieces;
                Some(Ok(self.start()))
            }
            Stage::Pieces => match self.pieces.next() {
                Some(Ok(piece)) => Some(Ok(self.frame(&piece))),
                Some(Err(fault)) => {
                    self.stage = Stage::Done;
                    Some(Err(fault))
                }
                None => {
                    self.stage = Stage::Checksum;
                    Some(Ok(self.end()))
                }
            },
            Stage::Checksum => {
                self.stage = Stage::Done;
                Some(Ok(Bytes::copy_from_slice(&self.hash.finalize_reset())))
            }
            Stage::Done => None,
        }
    }
}

/// A file that is read, piece by piece.
pub(crate) struct Decoder<R> {
    input: R,
    hash: Sha256,
    read: u64,
}

impl<R: Read> Decoder<R> {
    /// Begins to read.
    pub(crate) fn new(input: R) -> Result<Self, BackupError> {
        let mut decoder = Self { input, hash: Sha256::new(), read: 0 };
        let magic = decoder.array::<8>().map_err(|error| match error {
            BackupError::Cut => BackupError::Foreign,
            other => other,
        })?;
        if magic != *MAGIC {
            return Err(BackupError::Foreign);
        }
        match u32::from_be_bytes(decoder.array()?) {
            FORMAT => Ok(decoder),
            found => Err(BackupError::UnknownFormat { found }),
        }
    }

    /// The next piece; none after the last.
    pub(crate) fn piece(&mut self) -> Result<Option<Bytes>, BackupError> {
        let length = u32::from_be_bytes(self.array()?) as usize;
        if length == 0 {
            return Ok(None);
        }
        if length > PIECE_BYTES_MAX {
            return Err(BackupError::Damaged("a piece is longer than any can be"));
        }
        let mut piece = BytesMut::zeroed(length);
        self.fill(&mut piece)?;
        Ok(Some(piece.freeze()))
    }

    /// Reads on to the end, after the last piece. Returns the checksum and the length of the file.
    pub(crate) fn finish(mut self) -> Result<([u8; CHECKSUM_BYTES], u64), BackupError> {
        let mut padding = vec![0; padding(self.read)];
        self.fill(&mut padding)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(BackupError::Damaged("its padding is not empty"));
        }
        let expected: [u8; CHECKSUM_BYTES] = self.hash.finalize_reset().into();
        let found = self.array::<CHECKSUM_BYTES>()?;
        if found != expected {
            return Err(BackupError::Damaged("its checksum is another"));
        }
        match self.input.read(&mut [0])? {
            0 => Ok((found, self.read)),
            _ => Err(BackupError::Damaged("it goes on after its end")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BackupError::Cut,
            _ => BackupError::Io(error),
        })?;
        self.hash.update(&*bytes);
        self.read += bytes.len() as u64;
        Ok(())
    }
}

/// Bytes from `length` to the next whole block.
fn padding(length: u64) -> usize {
    usize::try_from(length.next_multiple_of(BLOCK_BYTES) - length).expect("less than a block")
}

const _: () = assert!(PIECE_BYTES_MAX < u32::MAX as usize, "the length of a piece has four bytes");
