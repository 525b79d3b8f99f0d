//! The file system as the log sees it: a port, so that tests and simulations can put a failing disk behind the real code.
//!
//! The contract an implementation keeps, and the log relies on: a file's bytes survive a power cut once `fdatasync` has returned;
//! a name (created, renamed, unlinked) survives once `fsync_dir` has returned; before that, any subset of 512-byte sectors, each as any
//! write left it, and any subset of names may survive. A write that fails, or is cut short, has written a prefix of its bytes. Nothing
//! else is promised, nothing else is used.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading only: dumps of a directory that this user may not write to.
    Read,
    /// For reading and writing.
    ReadWrite,
}

/// A directory tree. Paths are absolute or relative to the working directory, as usual.
pub trait Fs: Debug + Send + Sync + 'static {
    /// Creates `dir` and its missing parents; an existing directory is fine.
    ///
    /// # Errors
    /// The system's.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Names of everything directly in `dir`, sorted.
    ///
    /// # Errors
    /// The system's; `NotFound` if there is no such directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Creates a file, emptying an existing one, for reading and writing.
    ///
    /// # Errors
    /// The system's.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens an existing file.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>>;

    /// Renames a file within one directory, replacing the target.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name; open handles keep the bytes alive.
    ///
    /// # Errors
    /// The system's.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in `dir` durable.
    ///
    /// # Errors
    /// The system's.
    fn fsync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes an exclusive lock on the file at `path`, creating it; `None` if someone else holds it. Dropping the lock, or the death
    /// of the process, releases it.
    ///
    /// # Errors
    /// The system's.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;
}

/// A held lock; released when dropped.
pub trait Lock: Debug + Send + Sync {}

/// An open file, usable from several threads at once.
pub trait File: Debug + Send + Sync {
    /// Length in bytes. Named unlike a collection's, because it costs a system call.
    ///
    /// # Errors
    /// The system's.
    fn size(&self) -> io::Result<u64>;

    /// Reserves space so that the file has `bytes` bytes, the new ones zero.
    ///
    /// # Errors
    /// The system's; `StorageFull` before anything of value was written is the point of calling it.
    fn preallocate(&self, bytes: u64) -> io::Result<()>;

    /// Writes a prefix of `bytes` at `offset` and tells its length.
    ///
    /// # Errors
    /// The system's.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Reads into a prefix of `buffer` from `offset` and tells its length; 0 is the end of the file.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Makes bytes and length durable.
    ///
    /// # Errors
    /// The system's. After an error the unsynced bytes may be lost although later calls succeed: never retry.
    fn fdatasync(&self) -> io::Result<()>;
}

/// Writes `bytes` with one call. A short write is a failure, and not gone on with: going on could leave, after a power cut, a sector
/// that is neither as it was nor as it should be, which recovery would have to call damage.
pub(crate) fn write_whole(file: &dyn File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    loop {
        match file.write_at(offset, bytes) {
            Ok(written) if written == bytes.len() => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Fills all of `buffer`, over as many calls as it takes; a file that ends before is an error.
pub(crate) fn read_exact(file: &dyn File, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.read_at(offset, buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
