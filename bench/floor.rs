//! The floor: a tonic server that stores nothing, the cheapest thing that can answer the same calls.
//!
//! It shows how much of a server's time is gRPC and the disk, and so what is left to gain. In [`Mode::Fsync`] a put is
//! answered after a record of its size was written to a preallocated file and synced, many puts sharing one sync; in
//! [`Mode::Null`] at once. A range is answered with as many made-up keys as it asks for. Nothing else is offered.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use proto::etcdserverpb::kv_server::{Kv, KvServer};
use proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, RangeStreamResponse, ResponseHeader, TxnRequest, TxnResponse,
};
use proto::mvccpb::KeyValue;
use rustix::fs::FallocateFlags;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

/// Bytes of one record: a put of the load with what a log adds to it.
const RECORD_BYTES: usize = 320;
/// Bytes that are preallocated at a time.
const SEGMENT_BYTES: u64 = 64 << 20;
/// Puts that may wait for the disk; callers beyond it wait for room.
const QUEUE_PUTS: usize = 65_536;
/// Puts that one sync may cover.
const GROUP_PUTS: usize = 4_096;
/// Keys that a range returns at most.
const RANGE_KEYS_MAX: i64 = 1_000;
/// Bytes of each value that a range returns, as in the load.
const VALUE_BYTES: usize = 256;

/// What a put costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Nothing.
    Null,
    /// A share of an fdatasync.
    Fsync,
}

impl Mode {
    /// The name that the command line takes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Fsync => "fsync",
        }
    }
}

/// Threads of the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Workers {
    /// One: cheapest on few cores.
    #[value(name = "1")]
    One,
    /// Two.
    #[value(name = "2")]
    Two,
}

impl Workers {
    /// The name that the command line takes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Two => "2",
        }
    }

    fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// How the floor is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Address to listen on.
    #[arg(long)]
    listen: SocketAddr,
    /// File that the records are written to.
    #[arg(long)]
    file: PathBuf,
    /// What a put costs.
    #[arg(long, value_enum)]
    mode: Mode,
    /// Threads of the runtime.
    #[arg(long, value_enum)]
    workers: Workers,
}

/// Serves until the process is ended.
///
/// # Errors
/// The address or the file cannot be used.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let disk = match options.mode {
        Mode::Null => None,
        Mode::Fsync => Some(start_disk(&options.file)?),
    };
    let service = KvServer::new(Floor { disk, value: vec![b'v'; VALUE_BYTES].into() });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(options.workers.count()).enable_all().build()?;
    // The server sets TCP_NODELAY by default; said here, because without it every figure is a figure of Nagle's.
    let server = tonic::transport::Server::builder().tcp_nodelay(true).add_service(service);
    Ok(runtime.block_on(async move {
        // On a worker thread, not on this one: one worker then means one thread.
        tokio::spawn(server.serve(options.listen)).await
    })??)
}

/// A put that waits for the disk; answered with its revision.
type Waiting = oneshot::Sender<i64>;

/// Starts the thread that owns the file.
fn start_disk(path: &Path) -> io::Result<mpsc::Sender<Waiting>> {
    let file = File::create(path)?;
    let (sender, receiver) = mpsc::channel(QUEUE_PUTS);
    std::thread::Builder::new().name("disk".to_owned()).spawn(move || {
        if let Err(error) = write_groups(&file, receiver) {
            give_up(&error);
        }
    })?;
    Ok(sender)
}

/// A floor that cannot write must not look fast.
fn give_up(error: &io::Error) {
    eprintln!("floor: {error}");
    std::process::exit(1);
}

/// Takes whatever waits, writes and syncs it as one group, answers, and starts again.
fn write_groups(file: &File, mut receiver: mpsc::Receiver<Waiting>) -> io::Result<()> {
    let records = vec![7_u8; RECORD_BYTES * GROUP_PUTS];
    let mut group = Vec::with_capacity(GROUP_PUTS);
    let (mut revision, mut offset, mut allocated) = (1, 0, 0);
    while receiver.blocking_recv_many(&mut group, GROUP_PUTS) > 0 {
        let bytes = RECORD_BYTES * group.len();
        let end = offset + bytes as u64;
        if end > allocated {
            rustix::fs::fallocate(file, FallocateFlags::empty(), allocated, SEGMENT_BYTES)?;
            allocated += SEGMENT_BYTES;
            file.sync_all()?;
        }
        file.write_all_at(&records[..bytes], offset)?;
        file.sync_data()?;
        offset = end;
        for waiting in group.drain(..) {
            revision += 1;
            // A caller that is gone needs no answer.
            waiting.send(revision).unwrap_or(());
        }
    }
    Ok(())
}

struct Floor {
    disk: Option<mpsc::Sender<Waiting>>,
    value: Bytes,
}

fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { cluster_id: 1, member_id: 2, revision, raft_term: 3 })
}

fn gone<E>(_: E) -> Status {
    Status::unavailable("the disk thread has ended")
}

#[tonic::async_trait]
impl Kv for Floor {
    type RangeStreamStream = tokio_stream::Empty<Result<RangeStreamResponse, Status>>;

    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        let RangeRequest { key, limit, .. } = request.into_inner();
        let pair = KeyValue {
            key,
            value: self.value.clone(),
            create_revision: 4,
            mod_revision: 5,
            version: 1,
            ..KeyValue::default()
        };
        let count = limit.clamp(1, RANGE_KEYS_MAX);
        let kvs = vec![pair; usize::try_from(count).unwrap_or(1)];
        Ok(Response::new(RangeResponse { header: header(100), kvs, more: false, count }))
    }

    async fn put(&self, _request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let revision = match &self.disk {
            None => 1,
            Some(disk) => {
                let (sender, receiver) = oneshot::channel();
                disk.send(sender).await.map_err(gone)?;
                receiver.await.map_err(gone)?
            }
        };
        Ok(Response::new(PutResponse { header: header(revision), prev_kv: None }))
    }

    async fn range_stream(&self, _: Request<RangeRequest>) -> Result<Response<Self::RangeStreamStream>, Status> {
        Err(Status::unimplemented("the floor has only put and range"))
    }

    async fn delete_range(&self, _: Request<DeleteRangeRequest>) -> Result<Response<DeleteRangeResponse>, Status> {
        Err(Status::unimplemented("the floor has only put and range"))
    }

    async fn txn(&self, _: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        Err(Status::unimplemented("the floor has only put and range"))
    }

    async fn compact(&self, _: Request<CompactionRequest>) -> Result<Response<CompactionResponse>, Status> {
        Err(Status::unimplemented("the floor has only put and range"))
    }
}
