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
pub struct Owner {
    /// The cluster.
    pub cluster: ClusterId,
    /// The member.
    pub member: MemberId,
}

impl Owner {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LENGTH);
        out.put_u8(FORMAT);
        out.put_u64_le(self.cluster.get());
        out.put_u64_le(self.member.get());
        out
    }

    /// Whom `metadata` names.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] for a format that is not known.
    pub(crate) fn decode(mut metadata: Bytes) -> Result<Self, Error> {
        if metadata.len() != LENGTH || metadata.get_u8() != FORMAT {
            return Err(Error::Corrupt("the log names its owner in an unknown format"));
        }
        let cluster = ClusterId::new(metadata.get_u64_le());
        Ok(Self { cluster, member: MemberId::new(metadata.get_u64_le()) })
    }

    /// Whether `found` is this.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignData`].
    pub(crate) fn check(self, found: Self) -> Result<(), Error> {
        if found == self {
            return Ok(());
        }
        let Self { cluster: found_cluster, member: found_member } = found;
        Err(Error::ForeignData { found_cluster, found_member, cluster: self.cluster, member: self.member })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: Owner = Owner { cluster: ClusterId::new(0x11), member: MemberId::new(0x22) };

    #[test]
    fn metadata_comes_back() {
        assert_eq!(Owner::decode(MINE.encode().into()).unwrap(), MINE);
        MINE.check(MINE).unwrap();
    }

    #[test]
    fn another_owner_is_refused_by_name() {
        let error = MINE.check(Owner { member: MemberId::new(0x33), ..MINE }).unwrap_err();
        assert_eq!(error.to_string(), "data directory of member 33 of cluster 11, started as member 22 of cluster 11");
    }

    #[test]
    fn metadata_that_is_none_is_refused() {
        for bytes in [&b""[..], b"\x02aaaaaaaabbbbbbbb", b"\x01aaaaaaaabbbbbbb"] {
            assert!(matches!(Owner::decode(Bytes::copy_from_slice(bytes)), Err(Error::Corrupt(_))));
        }
    }
}
