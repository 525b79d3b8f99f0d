//! The log itself, synchronous and owned by one thread: what records mean and when they must be on disk.
//!
//! Records are staged, then committed as a group: one write, and one fdatasync if the group holds an entry, a change of term or vote,
//! or a snapshot. Segments are cut as they fill, deleted as they are purged. Once a system call has failed, the log takes nothing more.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;

use crate::appender::{Appender, check_size};
use crate::error::{Error, IoContext};
use crate::format::{Offset, Record, frame_len};
use crate::fs::{Fs, Lock};
use crate::index::{Index, Spot, check_order, index_after};
use crate::observer::Observer;
use crate::opening::Opening;
use crate::reader::Reader;
use crate::record::{Entry, LogId, Snapshot, State};
use crate::recovery::{TornTail, recover};
use crate::segment::{LOCK_FILE, Segment, SegmentName, TEMPORARY_FILE, list};

/// Size of a segment unless told otherwise, in bytes.
pub const SEGMENT_BYTES: u32 = 64_000_000;

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Size of a new segment in bytes; at most 1 GiB, raised where the first records would not fit. Tests use small ones.
    pub segment_bytes: u32,
    /// Who is told of writes and syncs.
    pub observer: Arc<dyn Observer>,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: SEGMENT_BYTES, observer: Arc::new(()) }
    }
}

/// What a log knew when it was opened. Its entries are read through [`Log::reader`], so that they are never in memory twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// What the log was created with.
    pub metadata: Bytes,
    /// The last state. Its commit is lowered to the last entry where it was ahead of it.
    pub state: State,
    /// The last snapshot mark.
    pub snapshot: Option<Snapshot>,
    /// The last purged entry: the log's entries begin after it.
    pub purged: Option<LogId>,
    /// The last entry; if there is none, the last purged one.
    pub last: Option<LogId>,
    /// The interrupted write that was removed, if there was one: worth a line in the operator's log.
    pub torn: Option<TornTail>,
}

/// A log, open for writing; one per directory.
#[derive(Debug)]
pub struct Log {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    options: Options,
    metadata: Bytes,
    state: State,
    snapshot: Option<Snapshot>,
    /// Shared with the readers; holds what was written, not what is staged.
    index: Arc<RwLock<Index>>,
    staged: Vec<(LogId, Spot)>,
    /// The index that follows the staged entries.
    next: u64,
    /// Oldest first; the last is the appender's.
    segments: VecDeque<Arc<Segment>>,
    appender: Appender,
    must_sync: bool,
    has_failed: bool,
    _lock: Box<dyn Lock>,
}

impl Log {
    /// Whether `dir` holds a log.
    ///
    /// # Errors
    /// [`Error::Foreign`] or [`Error::Corrupt`] if `dir` holds something that no log can be in or be made in; [`Error::Io`].
    pub fn exists(fs: &dyn Fs, dir: &Path) -> Result<bool, Error> {
        Ok(!list(fs, dir)?.is_empty())
    }

    /// Creates a log in `dir`, which is made if absent, and opens it. `metadata` is kept for good and returned by every opening.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Foreign`] or [`Error::Locked`] if the directory is taken; [`Error::TooLarge`]; [`Error::Io`].
    pub fn create(fs: Arc<dyn Fs>, dir: &Path, metadata: &[u8], options: Options) -> Result<(Self, Recovered), Error> {
        fs.create_dir(dir).context("create", dir)?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs.fsync_dir(parent).context("fsync", parent)?;
        }
        if Self::exists(&*fs, dir)? {
            return Err(Error::Exists { dir: dir.to_path_buf() });
        }
        let lock = lock(&*fs, dir)?;
        if Self::exists(&*fs, dir)? {
            return Err(Error::Exists { dir: dir.to_path_buf() });
        }
        let name = SegmentName { sequence: 0, first: 0 };
        let opening = Opening { name, chain: 0, metadata, snapshot: None, purged: None, state: State::default() };
        let opening = opening.encode(options.segment_bytes, 0)?;
        Segment::create(&*fs, dir, name, opening.size, &opening.bytes)?;
        Self::start(fs, dir, lock, options)
    }

    /// Opens the log in `dir`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; [`Error::Locked`], [`Error::Foreign`], [`Error::UnknownFormat`], [`Error::Corrupt`] if it
    /// cannot be used; [`Error::Io`].
    pub fn open(fs: Arc<dyn Fs>, dir: &Path, options: Options) -> Result<(Self, Recovered), Error> {
        // Before locking, which would leave a file in a directory that is not ours.
        if !Self::exists(&*fs, dir)? {
            return Err(Error::NotFound { dir: dir.to_path_buf() });
        }
        let lock = lock(&*fs, dir)?;
        Self::start(fs, dir, lock, options)
    }

    fn start(fs: Arc<dyn Fs>, dir: &Path, lock: Box<dyn Lock>, options: Options) -> Result<(Self, Recovered), Error> {
        remove_temporary(&*fs, dir)?;
        let replay = recover(&*fs, dir, &list(&*fs, dir)?)?;
        let recovered = Recovered {
            metadata: replay.metadata.clone(),
            state: State { commit: clamp(replay.state.commit, replay.index.last()), ..replay.state },
            snapshot: replay.snapshot.clone(),
            purged: replay.index.purged(),
            last: replay.index.last(),
            torn: replay.torn,
        };
        let tail = Arc::clone(&replay.segments[replay.segments.len() - 1]);
        let mut log = Self {
            appender: Appender::new(tail, replay.end, replay.chain, Arc::clone(&options.observer)),
            fs,
            dir: dir.to_path_buf(),
            options,
            metadata: replay.metadata,
            state: replay.state,
            snapshot: replay.snapshot,
            next: replay.index.next(),
            index: Arc::new(RwLock::new(replay.index)),
            staged: Vec::new(),
            segments: replay.segments,
            must_sync: false,
            has_failed: false,
            _lock: lock,
        };
        // A commit that was lowered stays so, whatever is appended next.
        log.save_state(recovered.state)?;
        log.commit()?;
        Ok((log, recovered))
    }

    /// A reader of the entries; any number may exist, on any thread, and outlive the log.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.index))
    }

    /// Stages an entry. One at or below the last index replaces that one and all after it.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`], [`Error::TooLarge`]: nothing was staged. [`Error::Io`], [`Error::Failed`]: the log is to be dropped.
    pub fn append(&mut self, entry: &Entry) -> Result<(), Error> {
        let log_id = entry.log_id();
        check_order(log_id.index, index_after(self.index.read().purged()), self.next)?;
        let spot = self.stage(&Record::Entry { log_id, payload: &entry.payload })?;
        self.staged.push((log_id, spot));
        self.next = index_after(Some(log_id));
        self.must_sync = true;
        Ok(())
    }

    /// Stages a state, unless it is the last one.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Failed`]: the log is to be dropped.
    pub fn save_state(&mut self, state: State) -> Result<(), Error> {
        if state == self.state {
            return Ok(());
        }
        let must_sync = self.state.must_sync(&state);
        self.stage(&Record::State(state))?;
        self.state = state;
        self.must_sync |= must_sync;
        Ok(())
    }

    /// Stages the mark of a snapshot that is durable already. Entries up to it may be deleted once they are purged.
    ///
    /// # Errors
    /// [`Error::TooLarge`]: nothing was staged. [`Error::Io`], [`Error::Failed`]: the log is to be dropped.
    pub fn save_snapshot(&mut self, snapshot: Snapshot) -> Result<(), Error> {
        self.stage(&Record::Snapshot { log_id: snapshot.log_id, data: &snapshot.data })?;
        self.snapshot = Some(snapshot);
        self.must_sync = true;
        Ok(())
    }

    /// Forgets the entries up to and including `upto`. If the log does not hold that very entry (it ends before, or has another
    /// term's), it forgets all and goes on after `upto`. Nothing happens if `upto` was purged before.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Failed`]: the log is to be dropped.
    pub fn purge(&mut self, upto: LogId) -> Result<(), Error> {
        if upto.index < index_after(self.index.read().purged()) {
            return Ok(());
        }
        // The rule looks at the entries, so those staged must be in the index.
        self.attempt(Self::write)?;
        self.stage(&Record::Purge(upto))?;
        let mut index = self.index.write();
        index.purge(upto);
        self.next = index.next();
        Ok(())
    }

    /// Writes what is staged, and syncs it if it holds anything that must not be lost.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Failed`]: nobody knows what of the group is on disk; the log is to be dropped.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.attempt(|log| {
            log.write()?;
            if log.must_sync { log.sync() } else { Ok(()) }
        })
    }

    /// Writes and syncs all there is.
    ///
    /// # Errors
    /// As for [`Log::commit`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.attempt(|log| {
            log.write()?;
            log.sync()
        })
    }

    /// Deletes, oldest first, the segments whose entries are all purged and covered by the last snapshot, after making sure that both
    /// marks are on disk.
    ///
    /// # Errors
    /// As for [`Log::commit`].
    pub fn delete_purged(&mut self) -> Result<(), Error> {
        let purged = index_after(self.index.read().purged());
        let covered = index_after(self.snapshot.as_ref().map(|snapshot| snapshot.log_id));
        let kept = purged.min(covered);
        while self.segments.get(1).is_some_and(|next| next.name.first <= kept) {
            self.flush()?;
            self.attempt(Self::delete_oldest)?;
        }
        Ok(())
    }

    fn delete_oldest(&mut self) -> Result<(), Error> {
        if let Some(oldest) = self.segments.pop_front() {
            self.fs.unlink(&oldest.path).context("unlink", &oldest.path)?;
            // One by one, so that no power cut can leave a gap.
            self.fs.fsync_dir(&self.dir).context("fsync", &self.dir)?;
        }
        Ok(())
    }

    fn stage(&mut self, record: &Record<'_>) -> Result<Spot, Error> {
        check_size(record)?;
        self.attempt(|log| {
            if !log.appender.has_room_for(record) {
                log.cut(frame_len(record.body_len()))?;
            }
            Ok(log.appender.stage(record))
        })
    }

    /// Begins a new segment with room for a frame of `needed` bytes.
    fn cut(&mut self, needed: usize) -> Result<(), Error> {
        self.write()?;
        self.sync()?;
        let name = SegmentName { sequence: self.appender.segment().name.sequence + 1, first: self.next };
        let opening = Opening {
            name,
            chain: self.appender.chain(),
            metadata: &self.metadata,
            snapshot: self.snapshot.as_ref(),
            purged: self.index.read().purged(),
            state: self.state,
        };
        let opening = opening.encode(self.options.segment_bytes, needed)?;
        let segment = Arc::new(Segment::create(&*self.fs, &self.dir, name, opening.size, &opening.bytes)?);
        let end = Offset::try_from(opening.bytes.len()).expect("within a segment, which is below 4 GiB");
        self.appender.move_to(Arc::clone(&segment), end, opening.chain);
        self.segments.push_back(segment);
        Ok(())
    }

    fn write(&mut self) -> Result<(), Error> {
        self.appender.write()?;
        let mut index = self.index.write();
        for (log_id, spot) in self.staged.drain(..) {
            index.append(self.appender.segment(), log_id, spot)?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.appender.sync()?;
        self.must_sync = false;
        Ok(())
    }

    /// Runs what touches the disk, at most until it fails for the first time.
    fn attempt<T>(&mut self, action: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.has_failed {
            return Err(Error::Failed);
        }
        let result = action(self);
        self.has_failed = result.is_err();
        result
    }
}

fn lock(fs: &dyn Fs, dir: &Path) -> Result<Box<dyn Lock>, Error> {
    let path = dir.join(LOCK_FILE);
    fs.lock(&path).context("lock", &path)?.ok_or_else(|| Error::Locked { dir: dir.to_path_buf() })
}

/// Removes a segment that a crash left half-made.
fn remove_temporary(fs: &dyn Fs, dir: &Path) -> Result<(), Error> {
    let path = dir.join(TEMPORARY_FILE);
    match fs.unlink(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        unlinked => unlinked.context("unlink", &path),
    }
}

/// A commit cannot be ahead of the log: its entries would have to be read.
fn clamp(commit: Option<LogId>, last: Option<LogId>) -> Option<LogId> {
    match (commit, last) {
        (Some(commit), Some(last)) if commit.index <= last.index => Some(commit),
        (Some(_), last) => last,
        (None, _) => None,
    }
}
