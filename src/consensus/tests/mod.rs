//! Members over file systems in memory and the real state machine, with all that their tests ask of them.

mod alone;
mod cluster;
mod inline;
mod log_store;
mod log_suite;
mod member;
mod meters;
mod on_disk;
mod refetch;
mod restart;
mod wires;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use model::{AppliedBatch, ClusterId, Command, Identity, KeyRange, MemberId, Proposal, PutRequest, RangeRequest};
use parking_lot::Mutex;
use state::{MemoryPlace, Place, Reader};
use tokio::time::Instant;
use transport::{Dialer, Peer};
use wires::{Outlet, Wires};

use crate::{
    ApplySink, Committed, Config, Error, Execution, Handle, LogPlace, MemberInfo, Parts, Started, Tasks, open_state,
    start,
};

/// What survives a member: its disks.
#[derive(Clone)]
pub(crate) struct Disks {
    pub(crate) fs: wal::SimFs,
    pub(crate) place: MemoryPlace,
    pub(crate) execution: Execution,
    pub(crate) wires: Wires,
}

/// A running member.
pub(crate) struct Member {
    pub(crate) handle: Handle,
    pub(crate) tasks: Tasks,
    pub(crate) peer: Arc<dyn Peer>,
    pub(crate) reader: Reader,
    pub(crate) batches: Arc<Mutex<Vec<Arc<AppliedBatch>>>>,
    pub(crate) faults: Arc<Mutex<Vec<Error>>>,
}

struct Batches(Arc<Mutex<Vec<Arc<AppliedBatch>>>>);

impl ApplySink for Batches {
    fn applied(&mut self, batch: Arc<AppliedBatch>) {
        self.0.lock().push(batch);
    }

    fn replaced(&mut self) {
        self.0.lock().clear();
    }
}

impl Disks {
    pub(crate) fn new() -> Self {
        Self {
            fs: wal::SimFs::new(),
            place: MemoryPlace::new(),
            execution: Execution::Threads,
            wires: Wires::default(),
        }
    }

    /// Segments so small that tests fill several.
    pub(crate) fn log(&self) -> LogPlace {
        let options = wal::Options { segment_bytes: 64 * 1024, ..wal::Options::default() };
        LogPlace {
            fs: Arc::new(self.fs.clone()),
            dir: PathBuf::from("/member/wal"),
            options,
            execution: self.execution.clone(),
        }
    }

    pub(crate) async fn try_start(&self, config: Config) -> Result<Member, Error> {
        let batches = Arc::new(Mutex::new(Vec::new()));
        let member = self.try_start_with(config, state::Options::default(), Box::new(Batches(batches.clone()))).await?;
        Ok(Member { batches, ..member })
    }

    /// A member with its own end of the wires.
    pub(crate) async fn try_start_at(&self, config: Config, outlet: Outlet) -> Result<Member, Error> {
        let batches = Arc::new(Mutex::new(Vec::new()));
        let sink = Box::new(Batches(batches.clone()));
        let member = self.try_start_dialing(config, state::Options::default(), sink, Arc::new(outlet)).await?;
        Ok(Member { batches, ..member })
    }

    pub(crate) async fn try_start_with(
        &self,
        config: Config,
        options: state::Options,
        sink: Box<dyn ApplySink>,
    ) -> Result<Member, Error> {
        self.try_start_dialing(config, options, sink, Arc::new(self.wires.clone())).await
    }

    async fn try_start_dialing(
        &self,
        config: Config,
        options: state::Options,
        sink: Box<dyn ApplySink>,
        dialer: Arc<dyn Dialer>,
    ) -> Result<Member, Error> {
        let place: Arc<dyn Place> = Arc::new(self.place.clone());
        let faults = Arc::new(Mutex::new(Vec::new()));
        let on_fault = {
            let faults = faults.clone();
            Arc::new(move |error| faults.lock().push(error))
        };
        let (log, machine) = open_state(self.log().open()?, place.clone(), &*dialer, options).await?;
        let reader = machine.reader();
        let Started { handle, tasks, peer } =
            start(config, Parts { machine, place, log, dialer, sink, on_fault }).await?;
        Ok(Member { handle, tasks, peer, reader, batches: Arc::default(), faults })
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
    let peer = MemberInfo { peer_urls: vec!["http://127.0.0.1:2380".to_owned()], ..MemberInfo::default() };
    Config::new(ClusterId::new(0xc1), member, BTreeMap::from([(member, peer)]))
}

pub(crate) fn put(key: &str, value: &str) -> Bytes {
    let put = PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..PutRequest::default() };
    let identity = Identity::default();
    // Proposals of one member must not share an id.
    static ID: AtomicU64 = AtomicU64::new(1);
    let id = ID.fetch_add(1, Ordering::Relaxed);
    Proposal { id, proposed_at_ms: 0, identity, command: Command::Put(put) }.encode()
}

/// A deadline that only a hanging test meets.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}
