//! What operators do with a member: status, hashes, alarms, snapshots.

use proto::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::etcdserverpb::{
    AlarmRequest, AlarmResponse, DefragmentRequest, DefragmentResponse, DowngradeRequest, DowngradeResponse,
    HashKvRequest, HashKvResponse, MoveLeaderRequest, MoveLeaderResponse, SnapshotRequest, SnapshotResponse,
    StatusRequest, StatusResponse,
};

use tonic::Streaming;

use crate::error::Failure;
use crate::{Client, Error};

impl Client {
    /// How the member asked is: version, sizes, leader, progress. Use [`Self::only`] to choose which.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub async fn status(&self) -> Result<StatusResponse, Error> {
        let request = StatusRequest {};
        self.read(request, |channel, request| async move { MaintenanceClient::new(channel).status(request).await })
            .await
    }

    /// The hash of all keys up to a revision (0: the newest) on the member asked.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub async fn hash_kv(&self, revision: i64) -> Result<HashKvResponse, Error> {
        let request = HashKvRequest { revision };
        self.read(request, |channel, request| async move { MaintenanceClient::new(channel).hash_kv(request).await })
            .await
    }

    /// Has the member asked give back what its store does not need.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn defragment(&self) -> Result<DefragmentResponse, Error> {
        let request = DefragmentRequest {};
        self.write(request, |channel, request| async move { MaintenanceClient::new(channel).defragment(request).await })
            .await
    }

    /// Looks at alarms, raises or clears one.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn alarm(&self, request: AlarmRequest) -> Result<AlarmResponse, Error> {
        self.write(request, |channel, request| async move { MaintenanceClient::new(channel).alarm(request).await })
            .await
    }

    /// Has the leader, which must be the member asked, hand over to another.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn move_leader(&self, target_id: u64) -> Result<MoveLeaderResponse, Error> {
        let request = MoveLeaderRequest { target_id };
        self.write(
            request,
            |channel, request| async move { MaintenanceClient::new(channel).move_leader(request).await },
        )
        .await
    }

    /// Checks, enables or cancels a downgrade of the cluster.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn downgrade(&self, request: DowngradeRequest) -> Result<DowngradeResponse, Error> {
        self.write(request, |channel, request| async move { MaintenanceClient::new(channel).downgrade(request).await })
            .await
    }
}

/// The state of a member as one file, part by part. Comes from one member alone: when that fails, all begins anew.
#[derive(Debug)]
pub struct Snapshot(Streaming<SnapshotResponse>);

impl Client {
    /// Begins to read the state of the member asked.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        let send = |channel, request| async move { MaintenanceClient::new(channel).snapshot(request).await };
        self.read(SnapshotRequest {}, send).await.map(Snapshot)
    }
}

impl Snapshot {
    /// The next part; none after the last.
    ///
    /// # Errors
    ///
    /// [`Error::Answer`]; [`Error::Interrupted`]: the file is not whole.
    pub async fn next(&mut self) -> Result<Option<SnapshotResponse>, Error> {
        self.0.message().await.map_err(|status| Failure::of(status).into_error())
    }
}
