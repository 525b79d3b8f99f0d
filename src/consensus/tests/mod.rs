//! A member of one, over a file system in memory and the real state machine, with all that its tests ask of it.

mod alone;
mod log_store;
mod log_suite;
mod member;
mod on_disk;
mod restart;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::{AppliedBatch, ClusterId, Command, Identity, KeyRange, MemberId, Proposal, PutRequest, RangeRequest};
use parking_lot::Mutex;
use state::{MemoryStorage, Reader, Storage};
use tokio::time::Instant;

use crate::{ApplySink, Committed, Config, Error, Handle, LogPlace, PeerInfo, Tasks, start};

/// What survives a member: its disks.
#[derive(Clone)]
pub(crate) struct Disks {
    pub(crate) fs: wal::SimFs,
    pub(crate) storage: Arc<dyn Storage>,
}

/// A running member.
pub(crate) struct Member {
    pub(crate) handle: Handle,
    pub(crate) tasks: Tasks,
    pub(crate) reader: Reader,
    pub(crate) batches: Arc<Mutex<Vec<Arc<AppliedBatch>>>>,
    pub(crate) faults: Arc<Mutex<Vec<Error>>>,
}

struct Batches(Arc<Mutex<Vec<Arc<AppliedBatch>>>>);

impl ApplySink for Batches {
    fn applied(&mut self, batch: Arc<AppliedBatch>) {
        self.0.lock().push(batch);
    }
}

impl Disks {
    pub(crate) fn new() -> Self {
        Self { fs: wal::SimFs::new(), storage: Arc::new(MemoryStorage::new()) }
    }

    /// Segments so small that tests fill several.
    pub(crate) fn log(&self) -> LogPlace {
        let options = wal::Options { segment_bytes: 64 * 1024, ..wal::Options::default() };
        LogPlace { fs: Arc::new(self.fs.clone()), dir: PathBuf::from("/member/wal"), options }
    }

    pub(crate) async fn try_start(&self, config: Config) -> Result<Member, Error> {
        let batches = Arc::new(Mutex::new(Vec::new()));
        let member = self.try_start_with(config, state::Options::default(), Box::new(Batches(batches.clone()))).await?;
        Ok(Member { batches, ..member })
    }

    pub(crate) async fn try_start_with(
        &self,
        config: Config,
        options: state::Options,
        sink: Box<dyn ApplySink>,
    ) -> Result<Member, Error> {
        let machine = state::Machine::open(Arc::new(state::MemoryPlace::over(self.storage.clone())), options).unwrap();
        let reader = machine.reader();
        let faults = Arc::new(Mutex::new(Vec::new()));
        let on_fault = {
            let faults = faults.clone();
            Arc::new(move |error| faults.lock().push(error))
        };
        let (handle, tasks) = start(config, machine, self.log(), sink, on_fault).await?;
        Ok(Member { handle, tasks, reader, batches: Arc::default(), faults })
    }

    pub(crate) async fn start(&self) -> Member {
        self.try_start(config()).await.unwrap()
    }
}

impl Member {
    pub(crate) async fn put(&self, key: &str, value: &str) -> Committed {
        self.handle.propose(put(key, value), soon()).await.unwrap()
    }

    /// The value of a key in this member's state as it is.
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        let range = KeyRange::Single(Bytes::copy_from_slice(key.as_bytes()));
        let response = self.reader.range(&RangeRequest::new(range)).unwrap();
        response.kvs.first().map(|kv| String::from_utf8(kv.value.to_vec()).unwrap())
    }

    /// Stops in order, and without a fault on the way.
    pub(crate) async fn stop(self) {
        self.tasks.shutdown().await.unwrap();
        assert!(self.faults.lock().is_empty(), "{:?}", self.faults.lock());
    }
}

pub(crate) fn config() -> Config {
    let member = MemberId::new(0xa1);
    let peer = PeerInfo { peer_urls: vec!["http://127.0.0.1:2380".to_owned()] };
    Config::new(ClusterId::new(0xc1), member, BTreeMap::from([(member, peer)]))
}

pub(crate) fn put(key: &str, value: &str) -> Bytes {
    let put = PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..PutRequest::default() };
    let identity = Identity::default();
    Proposal { id: 1, proposed_at_ms: 0, identity, command: Command::Put(put) }.encode()
}

/// A deadline that only a hanging test meets.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}
