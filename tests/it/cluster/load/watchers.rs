//! Watchers: each goes on through every failure, from the revision after the last it has, at the next member.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proto::etcdserverpb::watch_client::WatchClient;
use proto::etcdserverpb::{
    WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse, watch_request::RequestUnion,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::checker::history::{Delivery, Revision, WatchRecord};

use super::super::client::{Client, Habit};
use super::super::convert::{event, prefix_end, prefix_start};
use super::super::program::Program;
use super::{Recorded, Shared};

/// How long a watcher waits for a message: probes write all the time.
const SILENCE: Duration = Duration::from_millis(1500);

/// How often a watcher asks how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// The watch id of an answer to that.
const PROGRESS_ID: i64 = -1;

/// A watcher, its history, and its connection.
struct Watcher {
    shared: Arc<Shared>,
    number: usize,
    record: WatchRecord,
    reached: Revision,
}

pub(super) async fn watch(shared: Arc<Shared>, number: usize, prefix: &str) -> Recorded {
    let mut client = Client::new(&shared.urls, number, Habit::Roams, shared.clock);
    let record =
        WatchRecord { name: format!("watcher {number}"), prefix: prefix.to_owned(), start: 1, deliveries: Vec::new() };
    let mut watcher = Watcher { shared, number, record, reached: 0 };
    while !watcher.is_done() {
        if let Some((requests, stream)) = watcher.open(&client).await {
            watcher.follow(&requests, stream, client.member()).await;
        }
        client.turn_away();
        // A member that refuses at once must not be asked without a pause.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Recorded { watch: Some(watcher.record), ..Recorded::default() }
}

impl Watcher {
    fn is_done(&self) -> bool {
        self.reached >= *self.shared.end.borrow()
    }

    async fn open(&self, client: &Client) -> Option<(mpsc::Sender<WatchRequest>, Streaming<WatchResponse>)> {
        let (requests, receiver) = mpsc::channel(4);
        let create = WatchCreateRequest {
            key: prefix_start(&self.record.prefix),
            range_end: prefix_end(&self.record.prefix),
            start_revision: self.reached + 1,
            prev_kv: true,
            ..WatchCreateRequest::default()
        };
        requests.try_send(WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }).ok()?;
        let mut watches = WatchClient::new(client.channel()).max_decoding_message_size(usize::MAX);
        let opened = watches.watch(ReceiverStream::new(receiver));
        let stream = tokio::time::timeout(SILENCE, opened).await.ok()?.ok()?;
        Some((requests, stream.into_inner()))
    }

    /// Records what comes, until nothing comes any more.
    async fn follow(
        &mut self,
        requests: &mpsc::Sender<WatchRequest>,
        mut stream: Streaming<WatchResponse>,
        member: usize,
    ) {
        let mut ticks = tokio::time::interval(PROGRESS_EVERY);
        let mut silent_since = tokio::time::Instant::now();
        while !self.is_done() && silent_since.elapsed() < SILENCE {
            let message = tokio::select! {
                message = stream.message() => message,
                _ = ticks.tick() => {
                    if Program::chosen() == Program::Quorate {
                        let progress = RequestUnion::ProgressRequest(WatchProgressRequest {});
                        let _ = requests.try_send(WatchRequest { request_union: Some(progress) });
                    }
                    continue;
                }
            };
            let Ok(Some(response)) = message else { return };
            let reason = &response.cancel_reason;
            assert_eq!(
                response.compact_revision, 0,
                "watcher {} at {} has been left behind",
                self.number, self.reached
            );
            if response.canceled {
                eprintln!("watcher {} was cancelled by member {member}: {reason:?}", self.number);
                return;
            }
            if self.take(response) {
                silent_since = tokio::time::Instant::now();
            }
        }
    }

    /// Records one message; whether the watcher is further than before.
    fn take(&mut self, response: WatchResponse) -> bool {
        let notice = response.watch_id == PROGRESS_ID;
        if response.created || (response.events.is_empty() && !notice) {
            return false;
        }
        let progress = notice.then(|| response.header.map_or(0, |header| header.revision));
        let events: Vec<_> = response.events.into_iter().map(event).collect();
        let (before, last) = (self.reached, events.last().map(|event| event.revision));
        self.reached = before.max(last.unwrap_or(0)).max(progress.unwrap_or(0));
        self.shared.reached[self.number].store(self.reached, Ordering::Relaxed);
        self.record.deliveries.push(Delivery { at: self.shared.clock.now(), progress, events });
        self.reached > before
    }
}
