//! The stream of a backup: `etcdctl snapshot save` writes its parts to a file, one after the other.
//!
//! Each part is read when the client has room for it, and none once it is gone. A file that was cut short has no checksum at its end.

use node::{Backup, BackupPart, Unavailable};
use proto::etcdserverpb as pb;
use tonic::Status;

use crate::draining::Draining;
use crate::error::status;
use crate::grpc::conversation::{Conversation, StreamCall};
use crate::grpc::leader::RequiredLeader;
use crate::version;

/// One stream.
pub(crate) struct Parts {
    pub(crate) backup: Backup,
    pub(crate) leader: RequiredLeader,
    pub(crate) draining: Draining,
}

impl Conversation for Parts {
    type Answer = pb::SnapshotResponse;

    async fn next(&mut self, _call: &StreamCall) -> Result<Option<pb::SnapshotResponse>, Status> {
        let part = tokio::select! {
            biased;
            () = self.draining.begun() => return Err(status(Unavailable::Stopped)),
            () = self.leader.lost() => return Err(status(Unavailable::NoLeader)),
            part = self.backup.next() => part.map_err(status)?,
        };
        Ok(part.map(|BackupPart { bytes, remaining }| pb::SnapshotResponse {
            // As with etcd: the parts are not answers about a revision.
            header: None,
            remaining_bytes: remaining,
            blob: bytes,
            version: version::STORAGE.to_owned(),
        }))
    }
}
