//! The election service: the server queues, this waits. [`crate::Claim`] does the same with keys alone, and knows when it is lost.

use bytes::Bytes;
use proto::v3electionpb::election_client::ElectionClient;
use proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest, ProclaimResponse,
    ResignRequest, ResignResponse,
};

use crate::{Client, Error};

impl Client {
    /// Waits until this leads the election of this name, for as long as the lease lives. Dropping the future gives the candidacy up.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn campaign(
        &self,
        name: impl Into<Bytes>,
        lease: i64,
        value: impl Into<Bytes>,
    ) -> Result<CampaignResponse, Error> {
        let mut name = name.into();
        self.namespace.key(&mut name);
        let request = CampaignRequest { name, lease, value: value.into() };
        let send = |channel, request| async move { ElectionClient::new(channel).campaign(request).await };
        let mut response = self.wait(request, send).await?;
        if let Some(leader) = &mut response.leader {
            self.namespace.strip(&mut leader.key);
            self.namespace.strip(&mut leader.name);
        }
        Ok(response)
    }

    /// Changes what the leader says.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn proclaim(&self, leader: LeaderKey, value: impl Into<Bytes>) -> Result<ProclaimResponse, Error> {
        let request = ProclaimRequest { leader: Some(self.leader_key(leader)), value: value.into() };
        let send = |channel, request| async move { ElectionClient::new(channel).proclaim(request).await };
        self.write(request, send).await
    }

    /// Who leads, and what it says.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub async fn leader(&self, name: impl Into<Bytes>) -> Result<LeaderResponse, Error> {
        let mut name = name.into();
        self.namespace.key(&mut name);
        let send = |channel, request| async move { ElectionClient::new(channel).leader(request).await };
        let mut response = self.read(LeaderRequest { name }, send).await?;
        self.namespace.strip_all(&mut response.kv);
        Ok(response)
    }

    /// Gives leadership up.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn resign(&self, leader: LeaderKey) -> Result<ResignResponse, Error> {
        let request = ResignRequest { leader: Some(self.leader_key(leader)) };
        self.write(request, |channel, request| async move { ElectionClient::new(channel).resign(request).await }).await
    }

    fn leader_key(&self, mut leader: LeaderKey) -> LeaderKey {
        self.namespace.key(&mut leader.key);
        self.namespace.key(&mut leader.name);
        leader
    }
}
