//! Who belongs to the cluster, and changing it.

use consensus::{Member, MemberChange, MembersError, TransferError};
use model::MemberId;
use sha1::{Digest, Sha1};
use tokio::time::Instant;

use crate::handle::Handle;

impl Handle {
    /// All members, by ascending id, as of what is applied here.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.inner().consensus.members()
    }

    /// Whether this member does not vote.
    #[must_use]
    pub fn is_learner(&self) -> bool {
        self.inner().consensus.is_learner()
    }

    /// Adds a member at these peer URLs, as voter or learner, and returns its id and all members.
    ///
    /// # Errors
    ///
    /// [`MembersError`].
    pub async fn add_member(
        &self,
        peer_urls: Vec<String>,
        is_learner: bool,
    ) -> Result<(MemberId, Vec<Member>), MembersError> {
        let id = self.new_member_id(&peer_urls);
        let info = consensus::MemberInfo { peer_urls, ..consensus::MemberInfo::default() };
        let members = self.change_members(MemberChange::Add(Member { id, info, is_learner })).await?;
        Ok((id, members))
    }

    /// Changes the membership and returns all members.
    ///
    /// # Errors
    ///
    /// [`MembersError`].
    pub async fn change_members(&self, change: MemberChange) -> Result<Vec<Member>, MembersError> {
        self.inner().consensus.change_members(change, self.deadline()).await
    }

    /// Makes another member the leader; only the leader can.
    ///
    /// # Errors
    ///
    /// [`TransferError`].
    pub async fn move_leader(&self, target: MemberId) -> Result<(), TransferError> {
        self.inner().consensus.move_leader(target, self.deadline()).await
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.config().request_timeout()
    }

    /// An id that no member ever had: from its URLs, as etcd's, but also from a number that is given out once.
    fn new_member_id(&self, peer_urls: &[String]) -> MemberId {
        let mut hash = Sha1::new();
        for url in peer_urls {
            hash.update(url);
        }
        hash.update(self.inner().proposer.ids().proposal().to_be_bytes());
        MemberId::new(crate::ids::first_eight(hash))
    }
}
