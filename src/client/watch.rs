//! Watches that go on: when a member or the way to it is lost, from the next revision with another one.

use proto::etcdserverpb::watch_client::WatchClient;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status, Streaming};

use crate::call::Backoff;
use crate::error::Failure;
use crate::token::{is_stale, is_stale_text};
use crate::{Client, Error};

/// Requests that wait to be sent on one stream: its creation, and a request for progress.
const REQUESTS_MAX: usize = 4;

/// Tokens that are got for one watch in a row before the server's word is believed.
const RENEWALS_MAX: usize = 3;

/// The events of a range of keys, in order, each once, without a gap. Dropped, the watch ends.
#[derive(Debug)]
pub struct Watcher {
    client: Client,
    /// What is asked for, its start moved on with what has come.
    request: WatchCreateRequest,
    stream: Option<Stream>,
    ended: Option<Error>,
}

#[derive(Debug)]
struct Stream {
    requests: mpsc::Sender<WatchRequest>,
    responses: Streaming<WatchResponse>,
}

impl Client {
    /// Follows keys. Returns when the server has the watch: what is written after that will be seen.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] when no member can be reached; [`Error::Answer`], [`Error::Compacted`], [`Error::WatchCanceled`].
    pub async fn watch(&self, mut request: WatchCreateRequest) -> Result<Watcher, Error> {
        if request.key.is_empty() && !self.caller.config.namespace.is_empty() {
            request.key = bytes::Bytes::from_static(b"\0");
        }
        self.namespace.range(&mut request.key, &mut request.range_end);
        let mut watcher = Watcher { client: self.clone(), request, stream: None, ended: None };
        let waited = self.caller.config.request_timeout;
        match timeout(waited, watcher.connect()).await {
            Ok(connected) => connected.map(|()| watcher),
            Err(_) => Err(Error::TimedOut { waited, reason: None, is_sent: false }),
        }
    }
}

impl Watcher {
    /// The next response: events of one or more revisions, or progress without events.
    ///
    /// # Errors
    ///
    /// [`Error::Compacted`] when events that were to come are gone; [`Error::WatchCanceled`], [`Error::Answer`]. The same from then on.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<WatchResponse, Error> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let next = self.receive().await;
        if let Err(error) = &next {
            self.ended = Some(error.clone());
            self.stream = None;
        }
        next
    }

    /// Asks how far the watch is. The answer comes through [`Self::next`], without events, unless there is much to catch up with.
    pub fn request_progress(&self) {
        if let Some(stream) = &self.stream {
            let request_union = Some(RequestUnion::ProgressRequest(WatchProgressRequest {}));
            // Full: one is on its way.
            let _ = stream.requests.try_send(WatchRequest { request_union });
        }
    }

    async fn receive(&mut self) -> Result<WatchResponse, Error> {
        loop {
            if self.stream.is_none() {
                self.connect().await?;
            }
            let Some(stream) = &mut self.stream else { continue };
            match stream.responses.message().await {
                Ok(Some(response)) => {
                    if let Some(response) = self.take(response)? {
                        return Ok(response);
                    }
                }
                Ok(None) => self.stream = None,
                Err(status) => {
                    self.stream = None;
                    judge(status)?;
                }
            }
        }
    }

    /// Opens a stream and waits until the server has the watch.
    async fn connect(&mut self) -> Result<(), Error> {
        let mut backoff = Backoff::new();
        let mut renewals = 0;
        loop {
            let (generation, refused) = match self.open().await? {
                Opened::Ready(stream) => {
                    self.stream = Some(stream);
                    return Ok(());
                }
                Opened::Stale { generation, refused } => (generation, refused),
                Opened::Failed => {
                    backoff.wait().await;
                    continue;
                }
            };
            renewals += 1;
            if self.client.caller.config.user.is_none() || renewals > RENEWALS_MAX {
                return Err(refused);
            }
            self.client.caller.renew(generation).await?;
        }
    }

    async fn open(&mut self) -> Result<Opened, Error> {
        let caller = &self.client.caller;
        let (requests, queue) = mpsc::channel(REQUESTS_MAX);
        let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(self.request.clone())) };
        let _ = requests.try_send(create);
        let (mut request, generation) = caller.signed(ReceiverStream::new(queue)).await?;
        if caller.config.require_leader {
            request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        }
        let chosen = caller.choose();
        let client = WatchClient::new(chosen.channel.clone());
        let mut client = client.max_decoding_message_size(caller.config.response_bytes_max);
        let opened = async {
            let mut responses = client.watch(request).await?.into_inner();
            let first = responses.message().await?;
            Ok((responses, first))
        };
        match opened.await {
            Ok((responses, Some(first))) => match self.take(first) {
                Ok(_) => Ok(Opened::Ready(Stream { requests, responses })),
                Err(Error::WatchCanceled(reason)) if is_stale_text(&reason) => {
                    Ok(Opened::Stale { generation, refused: Error::WatchCanceled(reason) })
                }
                Err(error) => Err(error),
            },
            Ok((_, None)) => Ok(Opened::Failed),
            Err(status) if is_stale(&status) => Ok(Opened::Stale { generation, refused: Error::answer(&status) }),
            Err(status) => {
                judge(status)?;
                self.client.caller.avoid(&chosen);
                Ok(Opened::Failed)
            }
        }
    }

    /// Moves the start on; returns what the caller is to see.
    fn take(&mut self, mut response: WatchResponse) -> Result<Option<WatchResponse>, Error> {
        if response.compact_revision != 0 {
            return Err(Error::Compacted { compact_revision: response.compact_revision });
        }
        if response.canceled {
            return Err(Error::WatchCanceled(response.cancel_reason));
        }
        let revision = response.header.as_ref().map_or(0, |header| header.revision);
        if response.created {
            if self.request.start_revision == 0 {
                self.request.start_revision = revision + 1;
            }
            return Ok(None);
        }
        // Progress says that all up to its revision has come. Events say so of their own: behind, the header is ahead of them.
        let seen = response.events.iter().filter_map(|event| event.kv.as_ref()).map(|kv| kv.mod_revision).max();
        let seen = if response.events.is_empty() { revision } else { seen.unwrap_or(0) };
        if !response.fragment {
            self.request.start_revision = self.request.start_revision.max(seen + 1);
        }
        let namespace = &self.client.namespace;
        for event in &mut response.events {
            namespace.strip_all(&mut event.kv);
            namespace.strip_all(&mut event.prev_kv);
        }
        Ok(Some(response))
    }
}

/// What became of an attempt to open a stream.
enum Opened {
    Ready(Stream),
    Stale { generation: u64, refused: Error },
    Failed,
}

/// What ends a watch, and what does not (the rule of etcd's own client).
fn judge(status: Status) -> Result<(), Error> {
    match Failure::of(status) {
        Failure::NeverSent(_) | Failure::Lost(_) => Ok(()),
        Failure::Answer(status) if matches!(status.code(), Code::Unavailable | Code::Internal) || is_stale(&status) => {
            Ok(())
        }
        Failure::Answer(status) => Err(Error::answer(&status)),
    }
}
