//! Disaster recovery, without a member running: a backup becomes the data directory of a member of a new cluster.
//!
//! Each first member of that cluster is restored from the same backup, with its own name and the same list of members, and then started
//! with the same flags. The directory is made aside and renamed at the end: it is whole or not there.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use consensus::{LogPlace, Restoration};
use model::{LogId, Revision};
use state::{FjallPlace, RevisionBump, Survey, Surveyed};
use thiserror::Error;

use crate::backup_file::{BackupError, CHECKSUM_BYTES, Decoder};
use crate::bootstrap::{BootstrapError, Founding, derive};
use crate::config::InitialCluster;

/// Whose data directory is to be made.
#[derive(Clone, Debug)]
pub struct RestoreConfig {
    /// Where; there must be nothing.
    pub data_dir: PathBuf,
    /// Name of the member.
    pub name: String,
    /// Where its peers are told to reach it.
    pub peer_urls: Vec<String>,
    /// The first members of the new cluster, this one among them.
    pub initial_cluster: InitialCluster,
    /// How far the revision is set forward, so that none that clients saw after the backup comes back with another meaning.
    pub bump: Option<RevisionBump>,
}

/// Why no member was restored, or a backup could not be looked into. Nothing is left behind.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The backup cannot be used.
    #[error("snapshot {path}: {source}", path = path.display())]
    Backup {
        /// Which.
        path: PathBuf,
        /// Why.
        source: BackupError,
    },
    /// There is something where the data directory is to be.
    #[error("data directory {path} exists: a restore makes a new one", path = .0.display())]
    Exists(PathBuf),
    /// The data directory cannot be made.
    #[error("data directory {path}: {source}", path = path.display())]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A snapshot of etcd cannot be used.
    #[error("snapshot {path}: {reason}", path = path.display())]
    Etcd {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The members of the new cluster contradict each other.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// Log or state cannot be written.
    #[error(transparent)]
    Consensus(#[from] consensus::Error),
}

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupStatus {
    /// SHA-256 of all but itself: the last 32 bytes of the file.
    pub checksum: [u8; CHECKSUM_BYTES],
    /// The last log entry whose effects are in it.
    pub last: LogId,
    /// The newest revision.
    pub revision: Revision,
    /// The oldest revision that can be read; zero if history was never compacted.
    pub compact_revision: Revision,
    /// Keys that live at the newest revision.
    pub keys: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// Reads a backup to its end: whether it is whole, and what is in it.
///
/// # Errors
///
/// [`RestoreError::Backup`].
pub fn inspect(file: &Path) -> Result<BackupStatus, RestoreError> {
    survey(file).map_err(|source| RestoreError::Backup { path: file.to_owned(), source })
}

fn survey(file: &Path) -> Result<BackupStatus, BackupError> {
    let mut backup = Decoder::new(BufReader::new(File::open(file)?))?;
    let mut survey = Survey::default();
    while let Some(piece) = backup.piece()? {
        survey.read(&piece)?;
    }
    let Surveyed { applied, revision, compact_revision, keys } = survey.finish()?;
    let (checksum, bytes) = backup.finish()?;
    let last = applied.ok_or(BackupError::Damaged("nothing was ever applied to its state"))?;
    Ok(BackupStatus { checksum, last, revision, compact_revision, keys, bytes })
}

/// Makes a data directory from a backup, which is looked through first. Blocks on the disk.
///
/// # Errors
///
/// [`RestoreError`].
pub fn restore(file: &Path, config: &RestoreConfig) -> Result<BackupStatus, RestoreError> {
    let founding = check(config)?;
    let status = inspect(file)?;
    let unreadable = |source| RestoreError::Backup { path: file.to_owned(), source };
    make(config, founding, status.last, |restoration| {
        let input = File::open(file).map_err(|error| unreadable(error.into()))?;
        let mut backup = Decoder::new(BufReader::new(input)).map_err(unreadable)?;
        while let Some(piece) = backup.piece().map_err(unreadable)? {
            restoration.write(piece)?;
        }
        Ok(())
    })?;
    Ok(status)
}

/// Who the member is to be, if nothing is in its way.
pub(crate) fn check(config: &RestoreConfig) -> Result<Founding, RestoreError> {
    if config.data_dir.exists() {
        return Err(RestoreError::Exists(config.data_dir.clone()));
    }
    Ok(derive(&config.name, &config.peer_urls, &config.initial_cluster)?)
}

/// Makes the directory of a member whose state, up to the entry `last`, is written by `write`.
pub(crate) fn make(
    config: &RestoreConfig,
    founding: Founding,
    last: LogId,
    write: impl FnOnce(&mut Restoration) -> Result<(), RestoreError>,
) -> Result<(), RestoreError> {
    let data_dir = &config.data_dir;
    let failed = |source| RestoreError::DataDir { path: data_dir.clone(), source };
    let aside = data_dir.with_added_extension("restoring");
    remove(&aside).map_err(failed)?;
    let made = make_at(&aside, config.bump, founding, last, write).and_then(|()| put(&aside, data_dir).map_err(failed));
    if made.is_err() {
        // What made it fail says more than what this may.
        let _ = remove(&aside);
    }
    made
}

fn make_at(
    aside: &Path,
    bump: Option<RevisionBump>,
    founding: Founding,
    last: LogId,
    write: impl FnOnce(&mut Restoration) -> Result<(), RestoreError>,
) -> Result<(), RestoreError> {
    let failed = |source| RestoreError::DataDir { path: aside.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(aside).map_err(failed)?;
    let place = FjallPlace::at(aside.join("state")).map_err(consensus::Error::State)?;
    let Founding { identity, members } = founding;
    let mut restoration = Restoration::new(identity, &members, last, bump, Arc::new(place))?;
    write(&mut restoration)?;
    Ok(restoration.finish(LogPlace::on_disk(aside.join("wal")))?)
}

/// Makes a directory what is to be found, durably.
fn put(aside: &Path, data_dir: &Path) -> io::Result<()> {
    File::open(aside)?.sync_all()?;
    fs::rename(aside, data_dir)?;
    let parent = data_dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn remove(aside: &Path) -> io::Result<()> {
    match fs::remove_dir_all(aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
