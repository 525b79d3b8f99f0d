//! Checksums of the keys, for members to find out whether theirs are the same: asked over the wire, given by the floor above.

use std::sync::Arc;

use futures::future::BoxFuture;
use model::{MemberId, Revision};
use proto::quoratepb as pb;
use tokio::time::Instant;

use crate::ask_leader::until;
use crate::handle::Handle;

/// A checksum of all keys with their history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysHash {
    /// The checksum. Comparable if the compact revisions are equal as well.
    pub hash: u32,
    /// The oldest revision in it; zero if history was never compacted.
    pub compact_revision: Revision,
}

/// Computes checksums of this member's keys.
pub trait HashSource: Send + Sync {
    /// That as of `revision`, once this member has come so far; none if it cannot be read any more, or does not come so far soon.
    fn hash(&self, revision: Revision, deadline: Instant) -> BoxFuture<'static, Option<KeysHash>>;
}

impl Handle {
    /// Names who computes checksums for other members. Until then they get none.
    ///
    /// # Panics
    ///
    /// When named twice.
    pub fn serve_hashes(&self, source: Arc<dyn HashSource>) {
        assert!(self.hash_source().set(source).is_ok(), "one source of checksums");
    }

    /// Asks `member` for its checksum as of `revision`; none when it has none, or did not answer in time.
    pub async fn hash_of(&self, member: MemberId, revision: Revision, deadline: Instant) -> Option<KeysHash> {
        use pb::hash_keys_response::Outcome;
        let peer = self.peers().to(member.get())?;
        let header = Some(self.peers().header(member.get()));
        let answer = peer.hash_keys(pb::HashKeysRequest { header, revision: revision.get() }, until(deadline)).await;
        match self.peers().heed(answer).ok()?.outcome? {
            Outcome::Hash(pb::KeysHash { crc32c, compact_revision }) => {
                Some(KeysHash { hash: crc32c, compact_revision: Revision::new(compact_revision) })
            }
            Outcome::None(pb::NoKeysHash {}) => None,
        }
    }
}
