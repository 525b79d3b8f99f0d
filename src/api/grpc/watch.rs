//! Watch: one stream of requests and one of responses, for any number of watchers.
//!
//! The member's hub decides what is sent and when; this is the translation. It guarantees that responses leave in the order
//! in which the hub made them, and that a client that sends requests without reading only ever stops its own stream.

use std::collections::{BTreeSet, VecDeque};

use futures::stream::BoxStream;
use model::{Rejection, Revision};
use node::{Unavailable, WatchEvents, WatchMessage, WatchRequest, WatchStream};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::watch_request::RequestUnion;
use tonic::{Request, Response, Status, Streaming};

use crate::calls::{Method, name_of_code};
use crate::convert;
use crate::credentials::Credentials;
use crate::draining::Draining;
use crate::error::status;
use crate::grpc::conversation::{Conversation, StreamCall, answers};
use crate::grpc::edge::Edge;
use crate::grpc::fragment;
use crate::grpc::leader::RequiredLeader;

/// Messages that may wait for a stream whose client is slow (etcd's figure); beyond, its watchers read from history.
const MESSAGES_MAX: usize = 128;

/// The id under which etcd speaks of all watchers of a stream, and of none.
const NO_WATCHER: i64 = -1;

/// The service.
#[derive(Debug)]
pub(crate) struct Watch {
    edge: Edge,
}

impl Watch {
    pub(crate) fn new(edge: Edge) -> Self {
        Self { edge }
    }
}

#[tonic::async_trait]
impl pb::watch_server::Watch for Watch {
    type WatchStream = BoxStream<'static, Result<pb::WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<pb::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (call, leader) = self.edge.begin_stream(Method::Watch, request.metadata())?;
        let credentials = Credentials::of_call(request.metadata(), request.extensions());
        let session = Session {
            credentials,
            edge: self.edge.clone(),
            requests: request.into_inner(),
            watchers: self.edge.handle().watch(MESSAGES_MAX),
            leader,
            draining: self.edge.draining(),
            asking: None,
            creating: VecDeque::new(),
            fragmented: BTreeSet::new(),
            pieces: VecDeque::new(),
        };
        Ok(Response::new(answers(session, call)))
    }
}

/// What the client asked and the hub was not told yet.
#[derive(Debug)]
enum Asking {
    Create(WatchRequest),
    Cancel(i64),
    Progress,
}

/// How a watcher wants a response that is too large for one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Large {
    Whole,
    Fragmented,
}

/// One stream.
struct Session {
    edge: Edge,
    /// Of who opened the stream: what they may watch is looked at when a watcher is created, and not again.
    credentials: Credentials,
    requests: Streaming<pb::WatchRequest>,
    watchers: WatchStream,
    leader: RequiredLeader,
    draining: Draining,
    asking: Option<Asking>,
    /// Watchers asked for and not yet answered, in order.
    creating: VecDeque<Large>,
    /// Watchers that want large responses in fragments.
    fragmented: BTreeSet<i64>,
    /// What is left of a response in fragments.
    pieces: VecDeque<pb::WatchResponse>,
}

impl Conversation for Session {
    type Answer = pb::WatchResponse;

    async fn next(&mut self, call: &StreamCall) -> Result<Option<pb::WatchResponse>, Status> {
        if let Some(piece) = self.pieces.pop_front() {
            return Ok(Some(piece));
        }
        loop {
            // Requests come before messages, or a watcher that never rests could not be cancelled. They cannot starve the
            // messages: what a request is answered with needs room in the queue, and only reading makes room.
            tokio::select! {
                biased;
                () = self.draining.begun() => return Err(status(Unavailable::Stopped)),
                () = self.leader.lost() => return Err(status(Unavailable::NoLeader)),
                () = ask(&self.watchers, self.asking.as_ref()), if self.asking.is_some() => self.asking = None,
                request = self.requests.message(), if self.asking.is_none() => {
                    let Some(request) = request? else { return Ok(None) };
                    call.received();
                    if let Some(refusal) = self.take(request).await {
                        return Ok(Some(refusal));
                    }
                }
                message = self.watchers.recv() => {
                    let message = message.ok_or_else(|| status(Unavailable::Stopped))?;
                    return Ok(Some(self.response(message)));
                }
            }
        }
    }
}

/// Hands a request over. Dropped before its end it has done nothing, and is called again.
async fn ask(watchers: &WatchStream, asking: Option<&Asking>) {
    match asking {
        Some(Asking::Create(request)) => watchers.create(request.clone()).await,
        Some(Asking::Cancel(id)) => watchers.cancel(*id).await,
        Some(Asking::Progress) => watchers.request_progress().await,
        None => {}
    }
}

impl Session {
    /// Takes a request, or answers it with why it is refused. One of no kind, or of one that is not known, is passed over.
    async fn take(&mut self, request: pb::WatchRequest) -> Option<pb::WatchResponse> {
        self.asking = match request.request_union {
            Some(RequestUnion::CreateRequest(create)) => {
                let watched = convert::watch(&create);
                if let Err(rejection) = self.permit(&watched).await {
                    return Some(self.refusal(rejection));
                }
                self.creating.push_back(if create.fragment { Large::Fragmented } else { Large::Whole });
                Some(Asking::Create(watched))
            }
            Some(RequestUnion::CancelRequest(cancel)) => Some(Asking::Cancel(cancel.watch_id)),
            Some(RequestUnion::ProgressRequest(_)) => Some(Asking::Progress),
            None => None,
        };
        None
    }

    async fn permit(&self, request: &WatchRequest) -> Result<(), Rejection> {
        let handle = self.edge.handle();
        if !handle.is_auth_enabled() {
            return Ok(());
        }
        handle.permit_read(&self.credentials.identify(handle).await?, &request.range)
    }

    /// etcd's answer to who may not watch: the whole error as Go writes it, which its clients match on.
    fn refusal(&self, rejection: Rejection) -> pb::WatchResponse {
        let status = status(rejection);
        let code = name_of_code(status.code());
        pb::WatchResponse {
            created: true,
            canceled: true,
            cancel_reason: format!("rpc error: code = {code} desc = {}", status.message()),
            ..self.about(NO_WATCHER, self.edge.handle().revision())
        }
    }

    fn response(&mut self, message: WatchMessage) -> pb::WatchResponse {
        match message {
            WatchMessage::Created { id, revision } => {
                if self.creating.pop_front() == Some(Large::Fragmented) {
                    self.fragmented.insert(id);
                }
                pb::WatchResponse { created: true, ..self.about(id, revision) }
            }
            WatchMessage::CreateRefused { reason, revision } => {
                self.creating.pop_front();
                pb::WatchResponse {
                    created: true,
                    canceled: true,
                    cancel_reason: reason.to_string(),
                    ..self.about(NO_WATCHER, revision)
                }
            }
            WatchMessage::Events(events) => self.events(&events),
            WatchMessage::Progress { id, revision } => self.about(id.unwrap_or(NO_WATCHER), revision),
            WatchMessage::Canceled { id, revision } => {
                self.fragmented.remove(&id);
                pb::WatchResponse { canceled: true, ..self.about(id, revision) }
            }
            WatchMessage::Compacted { id, compact_revision } => pb::WatchResponse {
                canceled: true,
                compact_revision: compact_revision.get(),
                ..self.about(id, Revision::ZERO)
            },
        }
    }

    fn about(&self, watch_id: i64, revision: Revision) -> pb::WatchResponse {
        pb::WatchResponse { header: Some(self.edge.header(revision)), watch_id, ..Default::default() }
    }

    fn events(&mut self, events: &WatchEvents) -> pb::WatchResponse {
        let wire = events.iter().map(|event| {
            let previous = event.previous.as_ref().filter(|_| events.prev_kv());
            convert::event(event, previous)
        });
        let response = pb::WatchResponse { events: wire.collect(), ..self.about(events.id(), events.revision()) };
        if !self.fragmented.contains(&events.id()) {
            return response;
        }
        self.pieces = fragment::cut(response, self.edge.message_bytes_max());
        self.pieces.pop_front().expect("a response is at least one piece")
    }
}
