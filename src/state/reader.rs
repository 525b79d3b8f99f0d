//! The reading side: any number of threads, beside the machine and its jobs, without waiting for any of them.
//!
//! Every read is of one revision, complete and unchanging. Reads are local: whether they are fresh enough is decided by whoever
//! asks, before asking. They may touch the disk. When the machine [installs](crate::Machine::install) another state, the next read is
//! of that one, with a revision that is not below what was seen before.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use model::{
    Alarm, Change, Event, KeyRange, KeyValue, LeaseId, LogId, RangeRequest, RangeResponse, Rejection, Revision,
    TxnRequest, TxnResponse,
};

use crate::auth::Auth;
use crate::draft::Draft;
use crate::export::Export;
use crate::facts::Facts;
use crate::hash::{self, HashKv};
use crate::layers::{Shared, Sight};
use crate::lease::LeaseInfo;
use crate::page::{self, Page, PageBounds};
use crate::{Fault, ReadError, alarm, downgrade, history, range, txn};

/// Reads the state of a machine. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<ArcSwap<Shared>>,
}

/// How large the state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes on disk, and in memory waiting to get there.
    pub total: u64,
    /// Bytes of live keys and values, at most `total`: compression can make that the smaller one.
    pub in_use: u64,
}

impl Reader {
    pub(crate) const fn new(shared: Arc<ArcSwap<Shared>>) -> Self {
        Self { shared }
    }

    /// The newest revision that can be read.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.shared.load().revision()
    }

    /// The oldest revision that can be read; zero if history was never compacted.
    #[must_use]
    pub fn compact_revision(&self) -> Revision {
        self.shared.load().compact_revision()
    }

    /// Whatever was compacted up to here is gone from the store.
    #[must_use]
    pub fn cleaned_revision(&self) -> Revision {
        self.shared.load().cleaned_revision()
    }

    /// The last entry whose effects can be read.
    #[must_use]
    pub fn applied(&self) -> Option<LogId> {
        self.shared.load().applied()
    }

    /// Reads a range.
    ///
    /// # Errors
    ///
    /// [`Rejection::FutureRevision`], [`Rejection::Compacted`], or a fault.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, ReadError> {
        let sight = Sight::open(&self.shared.load());
        let at = sight.resolve(request.revision)?;
        Ok(range::read(&sight, request, at, sight.revision)?)
    }

    /// Reads a range of at most `keys_max` keys; one that holds more is not read to its end, and answered with nothing. For
    /// callers that must not be kept long.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub fn range_within(&self, request: &RangeRequest, keys_max: usize) -> Result<Option<RangeResponse>, ReadError> {
        let sight = Sight::open(&self.shared.load());
        let at = sight.resolve(request.revision)?;
        Ok(range::read_within(&sight, request, at, sight.revision, keys_max)?)
    }

    /// Reads the first part of `range` as of `asked`, or as of now if that is zero: see [`Page`].
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub fn page(&self, range: &KeyRange, asked: Revision, bounds: PageBounds) -> Result<Page, ReadError> {
        page::page(&Sight::open(&self.shared.load()), range, asked, bounds)
    }

    /// Answers a transaction that only reads, all of it at one revision.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    ///
    /// # Panics
    ///
    /// When the transaction is not [read-only](TxnRequest::is_read_only): the caller has to look.
    pub fn read_txn(&self, request: &TxnRequest) -> Result<TxnResponse, ReadError> {
        assert!(request.is_read_only(), "a transaction that writes goes through the log");
        let shared = self.shared.load();
        let sight = Sight::open(&shared);
        txn::execute(&mut Draft::new(&sight, &shared.leases), request)
    }

    /// A key as of `revision`, or as of now if that is zero.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub fn get_at(&self, key: &[u8], revision: Revision) -> Result<Option<KeyValue>, ReadError> {
        let sight = Sight::open(&self.shared.load());
        let at = sight.resolve(revision)?;
        Ok(sight.get(&Bytes::copy_from_slice(key), at)?)
    }

    /// Changes from revision `from` on, ascending, each complete: at least one if there is any, and no more than fit in `bytes_max`
    /// bytes of keys and values. Empty when `from` is after the newest. The versions before come along only while the change is
    /// still in memory.
    ///
    /// # Errors
    ///
    /// [`Rejection::Compacted`] when `from` is before the compact revision, or a fault.
    pub fn changes(&self, from: Revision, bytes_max: usize) -> Result<Vec<Change>, ReadError> {
        let sight = Sight::open(&self.shared.load());
        if from < sight.compact_revision {
            return Err(Rejection::Compacted.into());
        }
        let mut changes = Vec::new();
        if from > sight.revision {
            return Ok(changes);
        }
        let mut bytes = 0;
        for change in history::changes(&sight, from) {
            let change = change?;
            bytes += change.events.iter().map(size_of_event).sum::<usize>();
            if bytes > bytes_max && !changes.is_empty() {
                break;
            }
            changes.push(change);
        }
        Ok(changes)
    }

    /// A checksum of all keys with their history as of `revision`, or as of now if that is zero. Walks everything: about a second
    /// for a million versions, during which superseded data is not reclaimed from the disk.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub fn hash_kv(&self, revision: Revision) -> Result<HashKv, ReadError> {
        hash::hash_kv(&Sight::open(&self.shared.load()), revision)
    }

    /// A checksum of the whole state, leases and facts included. Comparable between members that have applied the same entries and are
    /// applying none.
    ///
    /// # Errors
    ///
    /// A fault.
    pub fn hash(&self) -> Result<u32, Fault> {
        let shared = self.shared.load();
        hash::hash_all(&Sight::open(&shared), &shared.leases.read(), &shared.facts.load())
    }

    /// All leases: (id, TTL in seconds, seconds left when last noted or zero).
    #[must_use]
    pub fn leases(&self) -> Vec<(LeaseId, i64, i64)> {
        self.shared.load().leases.read().all()
    }

    /// One lease, if it exists.
    #[must_use]
    pub fn lease(&self, id: LeaseId) -> Option<LeaseInfo> {
        self.shared.load().leases.read().info(id)
    }

    /// Who there is and what they may do, as of now.
    #[must_use]
    pub fn auth(&self) -> Arc<Auth> {
        self.shared.load().auth.load_full()
    }

    /// The facts as of now.
    #[must_use]
    pub fn facts(&self) -> Arc<Facts> {
        self.shared.load().facts.load_full()
    }

    /// The state for another member, as of the last flush that is complete: see [`Export`].
    ///
    /// # Errors
    ///
    /// A fault.
    pub fn export(&self) -> Result<Export, Fault> {
        Export::new(&*self.shared.load().storage)
    }

    /// All alarms, by kind and member.
    ///
    /// # Errors
    ///
    /// A fault.
    pub fn alarms(&self) -> Result<Vec<Alarm>, Fault> {
        alarm::list(&self.facts())
    }

    /// The version that the cluster is to go back to, if it is.
    #[must_use]
    pub fn downgrade_target(&self) -> Option<Bytes> {
        downgrade::target(&self.facts())
    }

    /// Bytes of live keys and values: what a quota counts.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.shared.load().live_bytes()
    }

    /// Rewrites the store so that it takes no more space than it needs. Takes as long as rewriting everything; nobody waits for it.
    ///
    /// # Errors
    ///
    /// A fault.
    pub fn compact_storage(&self) -> Result<(), Fault> {
        let storage = Arc::clone(&self.shared.load().storage);
        storage.compact()
    }

    /// How large the state is.
    #[must_use]
    pub fn size(&self) -> Sizes {
        let shared = self.shared.load();
        let in_memory: usize = shared.layers.load().overlays().map(|overlay| overlay.bytes()).sum();
        let total = shared.storage.disk_bytes() + in_memory as u64;
        Sizes { total, in_use: shared.live_bytes().min(total) }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

fn size_of_event(event: &Event) -> usize {
    event.kv.key.len() + event.kv.value.len()
}
