//! Watches: one event to a thousand watchers, and what ten thousand watchers weigh.
//!
//! One writer puts a value that carries the time, waits until every watcher of the key has received it, and puts the
//! next. So no queue grows anywhere, and the latency of a delivery is that of the server, not of a backlog.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{PutRequest, WatchCreateRequest, WatchRequest, WatchResponse};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::Plan;
use crate::connection::{Connection, Connections};
use crate::keys::{KeySpace, Picker};
use crate::load::{Latencies, Operation, drive};
use crate::sample::{Failure, Metric, Sample};
use crate::servers::Server;

/// Watchers of the one key.
const FAN_OUT: usize = 1_000;
/// Watchers that have a key each.
const WATCHERS: usize = 10_000;
/// Streams that the watchers of a scenario share evenly.
const STREAMS: usize = 10;
/// Create requests that may wait in one stream.
const CREATES_IN_FLIGHT: usize = 64;
/// How long all watchers may take to receive one event.
const DELIVERY_LIMIT: Duration = Duration::from_secs(10);
/// Time for a server to come to rest before its memory is read.
const SETTLE: Duration = Duration::from_secs(2);
/// Bytes of the time at the front of each value.
const STAMP_BYTES: usize = 8;

/// Events per second to the watchers of one key.
pub(super) async fn fan_out(server: &Server, plan: &Plan) -> Result<Sample, Failure> {
    let keys = KeySpace::new(1, plan.seed);
    let connections = plan.connect(server, STREAMS).await?;
    let watchers = Watchers::create(&connections, vec![keys.key(0); FAN_OUT]).await?;
    let writer = Writer::new(&connections, keys, &watchers, FAN_OUT);
    let load = drive(vec![writer], || server.usage(), plan.window).await?;
    Ok(load.sample(FAN_OUT as f64, &watchers.board.latencies))
}

/// Memory of watchers with a key each, which are then shown to work.
pub(super) async fn memory(server: &Server, plan: &Plan) -> Result<Sample, Failure> {
    let keys = KeySpace::new(WATCHERS, plan.seed);
    let connections = plan.connect(server, STREAMS).await?;
    connections.kv(0).put(PutRequest { key: "before".into(), ..PutRequest::default() }).await?;
    tokio::time::sleep(SETTLE).await;
    let before = server.usage()?;
    let watchers = Watchers::create(&connections, (0..WATCHERS).map(|number| keys.key(number)).collect()).await?;
    tokio::time::sleep(SETTLE).await;
    let after = server.usage()?;

    let load = drive(vec![Writer::new(&connections, keys, &watchers, 1)], || server.usage(), plan.window).await?;
    let mut sample = load.sample(1.0, &watchers.board.latencies);
    let growth_kib = after.rss_kib.saturating_sub(before.rss_kib);
    sample.set(Metric::BytesPerWatcher, growth_kib as f64 * 1_024.0 / WATCHERS as f64);
    Ok(sample)
}

/// Where deliveries are counted and timed.
#[derive(Clone)]
struct Board {
    epoch: Instant,
    latencies: Latencies,
    /// A permit for each event delivered; closed when a stream ends.
    delivered: Arc<Semaphore>,
}

/// Watchers, and the tasks that read what they receive.
struct Watchers {
    board: Board,
    // Aborted when dropped.
    _readers: JoinSet<()>,
}

impl Watchers {
    /// Creates a watcher of each of `keys` and waits until the server has confirmed them all.
    async fn create(connections: &Connections, keys: Vec<Bytes>) -> Result<Self, Failure> {
        let board =
            Board { epoch: Instant::now(), latencies: Latencies::new(), delivered: Arc::new(Semaphore::new(0)) };
        let mut readers = JoinSet::new();
        for (stream, keys) in keys.chunks(keys.len().div_ceil(STREAMS)).enumerate() {
            let (requests, responses) = open_stream(connections, stream, keys.to_vec()).await?;
            readers.spawn(read_events(requests, responses, board.clone()));
        }
        Ok(Self { board, _readers: readers })
    }
}

type Requests = mpsc::Sender<WatchRequest>;

/// Opens one stream and creates a watcher of each of `keys` on it.
async fn open_stream(
    connections: &Connections,
    stream: usize,
    keys: Vec<Bytes>,
) -> Result<(Requests, Streaming<WatchResponse>), Failure> {
    let count = keys.len();
    let (requests, outgoing) = mpsc::channel(CREATES_IN_FLIGHT);
    // Requests are sent while answers are read: neither side may wait for the other with its buffers full.
    let feeder = tokio::spawn(async move {
        for key in keys {
            let create = WatchCreateRequest { key, ..WatchCreateRequest::default() };
            let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
            if requests.send(request).await.is_err() {
                break;
            }
        }
        requests
    });
    let mut responses = connections.watch(stream).watch(ReceiverStream::new(outgoing)).await?.into_inner();
    let mut created = 0;
    while created < count {
        let response = responses.message().await?.ok_or_else(|| Failure::broken("a watch stream ended"))?;
        if response.canceled {
            return Err(Failure::broken(format!("a watcher was cancelled: {}", response.cancel_reason)));
        }
        created += usize::from(response.created);
    }
    let requests = feeder.await.map_err(|error| Failure::broken(error.to_string()))?;
    Ok((requests, responses))
}

/// Counts and times events until the stream ends. Holds `_requests`: without it the stream would be closed.
async fn read_events(_requests: Requests, mut responses: Streaming<WatchResponse>, board: Board) {
    while let Ok(Some(response)) = responses.message().await {
        if response.canceled {
            break;
        }
        let now = board.epoch.elapsed();
        let values = response.events.iter().filter_map(|event| event.kv.as_ref());
        for stamp in values.filter_map(|kv| kv.value.first_chunk::<STAMP_BYTES>()) {
            board.latencies.record(now.saturating_sub(Duration::from_nanos(u64::from_be_bytes(*stamp))));
        }
        board.delivered.add_permits(response.events.len());
    }
    board.delivered.close();
}

/// The one client that writes.
struct Writer {
    kv: KvClient<Connection>,
    keys: KeySpace,
    picker: Picker,
    board: Board,
    watchers_per_key: usize,
}

impl Writer {
    fn new(connections: &Connections, keys: KeySpace, watchers: &Watchers, watchers_per_key: usize) -> Self {
        let (kv, picker, board) = (connections.kv(0), keys.picker(0), watchers.board.clone());
        Self { kv, keys, picker, board, watchers_per_key }
    }
}

impl Operation for Writer {
    async fn call(&mut self) -> Result<(), Failure> {
        let number = self.picker.number();
        let mut value = BytesMut::from(self.keys.value(number).as_ref());
        let stamp = u64::try_from(self.board.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        value[..STAMP_BYTES].copy_from_slice(&stamp.to_be_bytes());
        self.kv.put(PutRequest { key: self.keys.key(number), value: value.freeze(), ..PutRequest::default() }).await?;

        let watchers = u32::try_from(self.watchers_per_key).unwrap_or(u32::MAX);
        match tokio::time::timeout(DELIVERY_LIMIT, self.board.delivered.acquire_many(watchers)).await {
            Ok(Ok(permits)) => {
                permits.forget();
                Ok(())
            }
            Ok(Err(_)) => Err(Failure::broken("a watch stream ended")),
            Err(_) => Err(Failure::broken(format!("an event is missing after {DELIVERY_LIMIT:?}"))),
        }
    }
}
