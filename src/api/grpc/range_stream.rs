//! A range as a stream of messages: about one largest request in memory for each client, however large the range is.
//!
//! All messages merged are what Range answers. What is said of the whole comes with the last one.

use model::{RangeRequest, Rejection, SortOrder, SortTarget};
use node::{RangePart, RangeStream, Unavailable};
use proto::etcdserverpb as pb;
use tonic::Status;

use crate::convert;
use crate::draining::Draining;
use crate::error::status;
use crate::grpc::conversation::{Conversation, StreamCall};
use crate::grpc::edge::Edge;
use crate::grpc::leader::RequiredLeader;

/// One stream.
pub(crate) struct Parts {
    pub(crate) edge: Edge,
    pub(crate) stream: RangeStream,
    pub(crate) leader: RequiredLeader,
    pub(crate) draining: Draining,
}

impl Conversation for Parts {
    type Answer = pb::RangeStreamResponse;

    async fn next(&mut self, _call: &StreamCall) -> Result<Option<pb::RangeStreamResponse>, Status> {
        let part = tokio::select! {
            biased;
            () = self.draining.begun() => return Err(status(Unavailable::Stopped)),
            () = self.leader.lost() => return Err(status(Unavailable::NoLeader)),
            part = self.stream.next() => part.map_err(status)?,
        };
        Ok(part.map(|RangePart { kvs, end }| {
            let header = end.map(|end| self.edge.header(end.revision));
            let (more, count) = end.map_or((false, 0), |end| (end.more, end.count));
            let range_response = convert::range_part(header, kvs, more, count);
            pb::RangeStreamResponse { range_response: Some(range_response) }
        }))
    }
}

/// The read that `wire` asks for, if it can be answered in parts: what has to be sorted or filtered cannot, before all of it is read.
///
/// # Errors
///
/// As those of Range; then Unimplemented, upon which clients turn to Range.
pub(crate) fn streamable(wire: pb::RangeRequest) -> Result<RangeRequest, Status> {
    let bounds = [wire.min_mod_revision, wire.max_mod_revision, wire.min_create_revision, wire.max_create_revision];
    let range = convert::range(wire).map_err(|rejection: Rejection| status(rejection))?;
    match (range.order, range.target) {
        (SortOrder::None, _) | (SortOrder::Ascend, SortTarget::Key) => {}
        (SortOrder::Ascend | SortOrder::Descend, _) => {
            return Err(Status::unimplemented("RangeStream does not support custom sort orders"));
        }
    }
    if bounds != [0; 4] {
        return Err(Status::unimplemented("RangeStream does not support revision filters"));
    }
    Ok(range)
}
