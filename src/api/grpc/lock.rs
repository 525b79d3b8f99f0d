//! v3lock: etcd's lock as a service, on the same claims as the REST API, so that all who lock stand in one line.
//!
//! - A lock is granted only while the caller's own key is there; a session that ends while it waits is told so at once.
//! - A call that is given up while it waits gives its place back.
//! - Unlocking deletes the key of a claim and nothing else: a key that does not carry the name of its lease was never one.
//! - Refusals have etcd's texts under the code Unknown, as its service sends them, because it passes on what its own client said.

use bytes::Bytes;
use model::{Compare, CompareResult, DeleteRequest, KeyRange, LeaseId, Op, Operand, Rejection, TxnRequest};
use node::{ClaimOutcome, ClaimRequest, OnTimeout, SessionRequest};
use proto::v3lockpb as pb;
use tonic::{Request, Response, Status};

use crate::calls::Method;
use crate::grpc::edge::Edge;
use crate::grpc::recipe::{AS_LONG_AS_IT_TAKES, claimant, prefix_of, status};

/// What etcd's client says when its own key is gone after waiting.
const SESSION_EXPIRED: &str = "mutex: session is expired";

/// The service.
#[derive(Debug)]
pub(crate) struct Lock {
    edge: Edge,
}

impl Lock {
    pub(crate) fn new(edge: Edge) -> Self {
        Self { edge }
    }

    async fn answer_lock(&self, request: Request<pb::LockRequest>) -> Result<pb::LockResponse, Status> {
        self.edge.admit(request.metadata())?;
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let pb::LockRequest { name, lease } = request.into_inner();
        let session = claimant(&self.edge, caller.clone(), lease).await?;
        let request = ClaimRequest {
            wait: AS_LONG_AS_IT_TAKES,
            on_timeout: OnTimeout::Leave,
            ..ClaimRequest::mutex(prefix_of(&name), SessionRequest::Existing(session))
        };
        match self.edge.handle().claim(caller, request).await.map_err(status)? {
            ClaimOutcome::Held { claim, .. } => {
                Ok(pb::LockResponse { header: Some(self.edge.header(claim.revision)), key: claim.key })
            }
            ClaimOutcome::SessionNotFound => Err(status(Rejection::LeaseNotFound)),
            ClaimOutcome::Lost => Err(Status::unknown(SESSION_EXPIRED)),
            ClaimOutcome::WaitTimeout { .. } | ClaimOutcome::Queued { .. } => {
                Err(Status::deadline_exceeded("context deadline exceeded"))
            }
            ClaimOutcome::OtherClaim
            | ClaimOutcome::Broken
            | ClaimOutcome::LimitExceeded { .. }
            | ClaimOutcome::NoSemaphore
            | ClaimOutcome::TooManyHolds
            | ClaimOutcome::Busy { .. }
            | ClaimOutcome::QueueFull { .. } => {
                unreachable!("the claim is one key and stands in a line without bound")
            }
        }
    }

    async fn answer_unlock(&self, request: Request<pb::UnlockRequest>) -> Result<pb::UnlockResponse, Status> {
        self.edge.admit(request.metadata())?;
        let caller = self.edge.caller(request.metadata(), request.extensions()).await?;
        let key = request.into_inner().key;
        let Some(lease) = lease_in(&key) else {
            return Ok(pb::UnlockResponse { header: Some(self.edge.header_now()) });
        };
        let done = self.edge.handle().txn(caller, delete_of(key, lease)).await.map_err(status)?;
        Ok(pb::UnlockResponse { header: Some(self.edge.header(done.revision)) })
    }
}

/// The lease whose claim a key would be: its last part, as etcd's clients write it.
fn lease_in(key: &[u8]) -> Option<LeaseId> {
    let slash = key.iter().rposition(|byte| *byte == b'/')?;
    let name = std::str::from_utf8(&key[slash + 1..]).ok()?;
    let lease = i64::from_str_radix(name, 16).ok().filter(|lease| *lease > 0)?;
    (format!("{lease:x}") == name).then_some(LeaseId::new(lease))
}

/// Deletes a key if it is attached to the lease that it is named after.
fn delete_of(key: Bytes, lease: LeaseId) -> TxnRequest {
    let range = KeyRange::Single(key);
    let is_claim = Compare { range: range.clone(), result: CompareResult::Equal, operand: Operand::Lease(lease.get()) };
    let delete = Op::Delete(DeleteRequest { range, prev_kv: false });
    TxnRequest { compares: vec![is_claim], success: vec![delete], failure: vec![] }
}

#[tonic::async_trait]
impl pb::lock_server::Lock for Lock {
    async fn lock(&self, request: Request<pb::LockRequest>) -> Result<Response<pb::LockResponse>, Status> {
        let call = self.edge.calls().unary(Method::Lock);
        call.answer(self.edge.unless_stopping(self.answer_lock(request)).await)
    }

    async fn unlock(&self, request: Request<pb::UnlockRequest>) -> Result<Response<pb::UnlockResponse>, Status> {
        let call = self.edge.calls().unary(Method::Unlock);
        call.answer(self.answer_unlock(request).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_claim_ends_in_its_lease() {
        assert_eq!(lease_in(b"lk/694da2079b008040"), Some(LeaseId::new(0x694d_a207_9b00_8040)));
        assert_eq!(lease_in(b"a/b/7"), Some(LeaseId::new(7)));
        for key in [&b""[..], b"7", b"lk/", b"lk/0", b"lk/07", b"lk/F", b"lk/-1", b"lk/+1", b"lk/x", b"lk/\xff"] {
            assert_eq!(lease_in(key), None, "{key:?}");
        }
    }
}
