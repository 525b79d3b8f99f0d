//! The members of the cluster.

use proto::etcdserverpb::cluster_client::ClusterClient;
use proto::etcdserverpb::{
    MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse, MemberPromoteRequest,
    MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse, MemberUpdateRequest, MemberUpdateResponse,
};

use crate::{Client, Error};

impl Client {
    /// Lists the members; linearizable or as the member asked knows them.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub async fn member_list(&self, request: MemberListRequest) -> Result<MemberListResponse, Error> {
        self.read(request, |channel, request| async move { ClusterClient::new(channel).member_list(request).await })
            .await
    }

    /// Adds a member, a voter or a learner, that will be found at its peer URLs.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn member_add(&self, request: MemberAddRequest) -> Result<MemberAddResponse, Error> {
        self.write(request, |channel, request| async move { ClusterClient::new(channel).member_add(request).await })
            .await
    }

    /// Removes a member by its id.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn member_remove(&self, id: u64) -> Result<MemberRemoveResponse, Error> {
        let request = MemberRemoveRequest { id };
        self.write(request, |channel, request| async move { ClusterClient::new(channel).member_remove(request).await })
            .await
    }

    /// Changes where a member is found.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn member_update(&self, request: MemberUpdateRequest) -> Result<MemberUpdateResponse, Error> {
        self.write(request, |channel, request| async move { ClusterClient::new(channel).member_update(request).await })
            .await
    }

    /// Makes a learner a voter.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn member_promote(&self, id: u64) -> Result<MemberPromoteResponse, Error> {
        let request = MemberPromoteRequest { id };
        self.write(request, |channel, request| async move { ClusterClient::new(channel).member_promote(request).await })
            .await
    }
}
