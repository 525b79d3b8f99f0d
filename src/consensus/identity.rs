//! Whose log this is: the WAL's metadata, written once when the log is made.
//!
//! ```text
//! metadata = 0x01 cluster:u64 member:u64        integers are little-endian; the first byte is the format
//! ```

use bytes::{Buf, BufMut, Bytes};
use model::{ClusterId, MemberId};

use crate::Error;

const FORMAT: u8 = 1;
const LENGTH: usize = 17;

/// Cluster and member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) cluster: ClusterId,
    pub(crate) member: MemberId,
}

impl Identity {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LENGTH);
        out.put_u8(FORMAT);
        out.put_u64_le(self.cluster.get());
        out.put_u64_le(self.member.get());
        out
    }

    /// Whether `metadata` names this cluster and member.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignData`], or [`Error::Corrupt`] for a format that is not known.
    pub(crate) fn check(self, mut metadata: Bytes) -> Result<(), Error> {
        if metadata.len() != LENGTH || metadata.get_u8() != FORMAT {
            return Err(Error::Corrupt("the log names its owner in an unknown format"));
        }
        let found_cluster = ClusterId::new(metadata.get_u64_le());
        let found_member = MemberId::new(metadata.get_u64_le());
        if (found_cluster, found_member) == (self.cluster, self.member) {
            return Ok(());
        }
        Err(Error::ForeignData { found_cluster, found_member, cluster: self.cluster, member: self.member })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: Identity = Identity { cluster: ClusterId::new(0x11), member: MemberId::new(0x22) };

    #[test]
    fn its_own_metadata_is_accepted() {
        MINE.check(MINE.encode().into()).unwrap();
    }

    #[test]
    fn foreign_metadata_is_refused_by_name() {
        let other = Identity { member: MemberId::new(0x33), ..MINE };
        let error = MINE.check(other.encode().into()).unwrap_err();
        assert_eq!(error.to_string(), "data directory of member 33 of cluster 11, started as member 22 of cluster 11");
    }

    #[test]
    fn metadata_that_is_none_is_refused() {
        for bytes in [&b""[..], b"\x02aaaaaaaabbbbbbbb", b"\x01aaaaaaaabbbbbbb"] {
            assert!(matches!(MINE.check(Bytes::copy_from_slice(bytes)), Err(Error::Corrupt(_))));
        }
    }
}
