//! Where a member's log is kept, and the log once opened: the first thing that a start looks at, because it says whose data this is.

use std::path::PathBuf;
use std::sync::Arc;

use crate::Error;
use crate::execution::Execution;
use crate::format::{decode_payload, decode_stored_membership};
use crate::log_store::from_wal;
use crate::owner::Owner;
use crate::snapshot::Durable;
use crate::tail::next;
use crate::types::{Payload, StoredMembership};

/// Bytes of entries read at a time.
const READ_BYTES: usize = 1 << 20;

/// Where the log is kept.
#[derive(Clone, Debug)]
pub struct LogPlace {
    /// The file system; tests put a failing one here.
    pub fs: Arc<dyn wal::Fs>,
    /// The log's directory; made if absent.
    pub dir: PathBuf,
    /// How it is kept.
    pub options: wal::Options,
    /// How its member runs what blocks.
    pub execution: Execution,
}

impl LogPlace {
    /// A directory of this machine, kept as usual.
    #[must_use]
    pub fn on_disk(dir: impl Into<PathBuf>) -> Self {
        Self {
            fs: Arc::new(wal::RealFs),
            dir: dir.into(),
            options: wal::Options::default(),
            execution: Execution::Threads,
        }
    }

    /// The same, with somebody who is told of writes and syncs.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn wal::Observer>) -> Self {
        self.options.observer = observer;
        self
    }

    /// Opens the log if there is one. Writes nothing, but that a torn end is mended.
    ///
    /// # Errors
    ///
    /// [`Error::Log`].
    pub fn open(self) -> Result<OpenedLog, Error> {
        let failed = |error| Error::Log(Arc::new(error));
        let is_there = wal::Log::exists(&*self.fs, &self.dir).map_err(failed)?;
        let open = || wal::Log::open(self.fs.clone(), &self.dir, self.options.clone()).map_err(failed);
        let found = is_there.then(open).transpose()?;
        Ok(OpenedLog { place: self, found })
    }
}

/// A log that was looked for, and found or not.
#[derive(Debug)]
pub struct OpenedLog {
    place: LogPlace,
    found: Option<(wal::Log, wal::Recovered)>,
}

impl OpenedLog {
    /// Whose log it is; none if there is no log yet.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`].
    pub fn owner(&self) -> Result<Option<Owner>, Error> {
        self.found.as_ref().map(|(_, recovered)| Owner::decode(recovered.metadata.clone())).transpose()
    }

    /// Index of the first entry, or of the next one if there is none.
    pub(crate) fn first(&self) -> u64 {
        next(self.found.as_ref().and_then(|(_, recovered)| recovered.purged).map(from_wal))
    }

    /// The newest membership in the log, committed or not; none if there is none. Reads all entries.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Log`].
    pub(crate) fn newest_membership(&self) -> Result<Option<StoredMembership>, Error> {
        let Some((log, recovered)) = &self.found else { return Ok(None) };
        let marked = recovered.snapshot.as_ref().map(|mark| decode_stored_membership(mark.data.clone()));
        let mut newest = marked.transpose()?;
        let reader = log.reader();
        let mut rest = reader.range();
        while !rest.is_empty() {
            let entries = reader.read(rest.clone(), READ_BYTES).map_err(|error| Error::Log(Arc::new(error)))?;
            rest.start += entries.len() as u64;
            for entry in entries {
                let id = from_wal(entry.log_id());
                if let Payload::Membership(membership) = decode_payload(entry.payload)? {
                    newest = Some(StoredMembership::new(Some(id), membership));
                }
            }
        }
        Ok(newest)
    }

    /// Notes, durably, that the state is about to be that of `durable`, and that its term has been seen.
    ///
    /// # Errors
    ///
    /// [`Error::Log`].
    pub(crate) fn note_installing(&mut self, durable: &Durable) -> Result<(), Error> {
        let Some((log, recovered)) = &mut self.found else { return Ok(()) };
        let mark = durable.mark();
        if recovered.state.term < mark.log_id.term {
            let member = Owner::decode(recovered.metadata.clone())?.member;
            recovered.state.term = mark.log_id.term;
            (recovered.state.voted_for, recovered.state.is_vote_committed) = (Some(member.get()), false);
        }
        recovered.snapshot = Some(mark.clone());
        let noted = log.save_snapshot(mark).and_then(|()| log.save_state(recovered.state)).and_then(|()| log.flush());
        noted.map_err(|error| Error::Log(Arc::new(error)))
    }

    pub(crate) fn execution(&self) -> Execution {
        self.place.execution.clone()
    }

    /// The log, made now if there was none.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignData`] when it is another member's; [`Error::Log`].
    pub(crate) fn of(self, identity: Owner) -> Result<(wal::Log, wal::Recovered), Error> {
        if let Some(owner) = self.owner()? {
            identity.check(owner)?;
        }
        let LogPlace { fs, dir, options, execution: _ } = self.place;
        match self.found {
            Some(found) => Ok(found),
            None => {
                wal::Log::create(fs, &dir, &identity.encode(), options).map_err(|error| Error::Log(Arc::new(error)))
            }
        }
    }
}
