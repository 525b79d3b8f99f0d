//! Storage on disk: one fjall keyspace, written by bulk ingestion alone.
//!
//! An ingestion writes whole sorted tables, syncs them and their directory, and then replaces the manifest by write, sync and
//! rename: one atomic, durable change (`lsm-tree`: `tree/ingest.rs`, `table/writer`, `version/persist.rs`). fjall's journal and
//! memtable are never used, so nothing of a group can be found in part. Reads go through snapshots, because only those are never
//! torn by a concurrent writer.
//!
//! A snapshot keeps the tables of its moment alive. So the newest one is shared by all readers and replaced as soon as the tree
//! has moved on, through an ingestion or a compaction of its tables.

use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::config::{BlockSizePolicy, CompressionPolicy, PinningPolicy};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, Readable, Snapshot};

use crate::Fault;
use crate::storage::{Change, Entries, STORED_KEY_BYTES_MAX, Storage, View, is_empty};

/// The one keyspace.
const KEYSPACE: &str = "state";

/// The file whose presence makes a directory a database of fjall's; written last when one is created.
const MARKER: &str = "version";

/// Blocks kept in memory, decompressed, for point reads and hot ranges.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Threads that merge tables. One is enough for what one machine can write, and leaves the other cores to the node.
const COMPACTION_THREADS: usize = 1;

/// Open files; tables are large and few.
const OPEN_FILES_MAX: usize = 256;

/// fjall's least. Nothing is ever written there.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

/// A store in a directory of its own.
pub struct FjallStorage {
    database: Database,
    keyspace: Keyspace,
    newest: ArcSwap<FjallView>,
}

impl FjallStorage {
    /// Opens the store at `path`, or creates it there with the directories above: it must be absent, empty or a store. Waits for
    /// nobody.
    ///
    /// # Errors
    ///
    /// [`Fault::Locked`], [`Fault::ForeignDirectory`], and [`Fault::Storage`] when it cannot be written or is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Fault> {
        let path = path.as_ref();
        if !path.join(MARKER).is_file() {
            create(path)?;
        }
        let database = open_database(path)?;
        let names = database.list_keyspace_names();
        if names.len() != 1 || &*names[0] != KEYSPACE {
            return Err(foreign(path, "it is a database with other keyspaces"));
        }
        let keyspace = database.keyspace(KEYSPACE, options).map_err(Fault::storage)?;
        let newest = ArcSwap::from_pointee(FjallView::new(&database, &keyspace));
        Ok(Self { database, keyspace, newest })
    }
}

/// Creates a store aside and moves it into place, so that a crash on the way leaves nothing that looks like one.
fn create(path: &Path) -> Result<(), Fault> {
    if path.exists() {
        let mut files = fs::read_dir(path).map_err(Fault::storage)?;
        if files.next().is_some() {
            return Err(foreign(path, "it holds other files"));
        }
    }
    let aside = PathBuf::from(format!("{}.new", path.display()));
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(Fault::storage)?;
    }
    let database = open_database(&aside)?;
    database.keyspace(KEYSPACE, options).map_err(Fault::storage)?;
    drop(database);
    fs::rename(&aside, path).map_err(Fault::storage)?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::File::open(parent).and_then(|directory| directory.sync_all()).map_err(Fault::storage)?;
    }
    Ok(())
}

fn open_database(path: &Path) -> Result<Database, Fault> {
    let opened = Database::builder(path)
        .cache_size(CACHE_BYTES)
        .worker_threads(COMPACTION_THREADS)
        .max_cached_files(Some(OPEN_FILES_MAX))
        .max_journaling_size(JOURNAL_BYTES)
        .open();
    opened.map_err(|error| match error {
        fjall::Error::Locked => Fault::Locked(path.to_owned()),
        error => Fault::storage(error),
    })
}

fn foreign(path: &Path, found: &'static str) -> Fault {
    Fault::ForeignDirectory { path: path.to_owned(), found }
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .data_block_size_policy(BlockSizePolicy::all(4 * 1024))
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
        .filter_block_pinning_policy(PinningPolicy::all(true))
        .index_block_pinning_policy(PinningPolicy::all(true))
        .compaction_strategy(Arc::new(Leveled::default()))
}

impl Storage for FjallStorage {
    fn view(&self) -> Arc<dyn View> {
        let newest = self.newest.load();
        if newest.snapshot.seqno() == self.database.visible_seqno() {
            return Arc::clone(&newest) as Arc<dyn View>;
        }
        let view = Arc::new(FjallView::new(&self.database, &self.keyspace));
        self.newest.store(Arc::clone(&view));
        view
    }

    fn ingest(&self, group: &mut dyn Iterator<Item = Change>) -> Result<(), Fault> {
        let mut ingestion = self.keyspace.start_ingestion().map_err(Fault::storage)?;
        for (key, value) in group {
            assert!(key.len() <= STORED_KEY_BYTES_MAX, "a key of {} bytes", key.len());
            let written = match value {
                Some(value) => ingestion.write(key, value),
                None => ingestion.write_tombstone(key),
            };
            written.map_err(Fault::storage)?;
        }
        ingestion.finish().map_err(Fault::storage)
    }

    fn disk_bytes(&self) -> u64 {
        self.keyspace.disk_space()
    }
}

impl std::fmt::Debug for FjallStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FjallStorage").field("path", &self.keyspace.path()).finish_non_exhaustive()
    }
}

struct FjallView {
    keyspace: Keyspace,
    snapshot: Snapshot,
}

impl FjallView {
    fn new(database: &Database, keyspace: &Keyspace) -> Self {
        Self { keyspace: keyspace.clone(), snapshot: database.snapshot() }
    }
}

impl View for FjallView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        if key.len() > STORED_KEY_BYTES_MAX {
            return Ok(None);
        }
        Ok(self.snapshot.get(&self.keyspace, key).map_err(Fault::storage)?.map(Bytes::from))
    }

    fn range(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Entries<'_> {
        let (start, end) = (clamp_start(start), clamp_end(end));
        if is_empty(start, end) {
            return Box::new(std::iter::empty());
        }
        let entries = self.snapshot.range::<&[u8], _>(&self.keyspace, (start, end));
        Box::new(entries.map(|entry| {
            let (key, value) = entry.into_inner().map_err(Fault::storage)?;
            Ok((Bytes::from(key), Bytes::from(value)))
        }))
    }
}

/// A bound that no stored key can reach is cut to the longest key: no stored key lies between the two, and fjall panics on more.
fn clamp_start(bound: Bound<&[u8]>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) if key.len() > STORED_KEY_BYTES_MAX => {
            Bound::Excluded(&key[..STORED_KEY_BYTES_MAX])
        }
        bound => bound,
    }
}

/// As [`clamp_start`]; a stored key equal to what is left is less than the bound was.
fn clamp_end(bound: Bound<&[u8]>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) if key.len() > STORED_KEY_BYTES_MAX => {
            Bound::Included(&key[..STORED_KEY_BYTES_MAX])
        }
        bound => bound,
    }
}
