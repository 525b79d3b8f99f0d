//! Whether a header is meant for this member: what every served call checks before anything else.
//!
//! Leaves to others whether the sender was removed: only who owns the membership can tell.

use proto::quoratepb::refusal::Reason;
use proto::quoratepb::{Header, Refusal};

use crate::PROTOCOL_VERSION;

/// Who this member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// Id of its cluster.
    pub cluster_id: u64,
    /// Its own id.
    pub member_id: u64,
}

/// Checks that `header` is there, comes from this cluster, means this member, and speaks a version that is understood.
///
/// # Errors
///
/// What is to be sent back. The cluster is named before the member: in another cluster ids mean nothing.
pub fn check(header: Option<&Header>, local: Local) -> Result<(), Refusal> {
    let reason = match header {
        None => Reason::HeaderMissing,
        Some(header) if header.cluster_id != local.cluster_id => Reason::OtherCluster,
        Some(header) if header.to != local.member_id => Reason::OtherMember,
        Some(header) if header.version != PROTOCOL_VERSION => Reason::VersionUnsupported,
        Some(_) => return Ok(()),
    };
    let receiver = Header {
        cluster_id: local.cluster_id,
        from: local.member_id,
        to: header.map_or(0, |header| header.from),
        version: PROTOCOL_VERSION,
        membership_log_id: None,
    };
    Err(Refusal { reason: reason.into(), receiver: Some(receiver) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Local = Local { cluster_id: 7, member_id: 2 };

    fn header() -> Header {
        Header { cluster_id: 7, from: 1, to: 2, version: PROTOCOL_VERSION, membership_log_id: None }
    }

    #[test]
    fn a_header_for_this_member_passes() {
        assert_eq!(check(Some(&header()), LOCAL), Ok(()));
    }

    #[test]
    fn each_mismatch_has_its_reason_and_says_who_refuses() {
        let cases = [
            (None, Reason::HeaderMissing, 0),
            (Some(Header { cluster_id: 8, to: 3, version: 9, ..header() }), Reason::OtherCluster, 1),
            (Some(Header { to: 3, version: 9, ..header() }), Reason::OtherMember, 1),
            (Some(Header { version: PROTOCOL_VERSION + 1, ..header() }), Reason::VersionUnsupported, 1),
            (Some(Header { version: 0, ..header() }), Reason::VersionUnsupported, 1),
        ];
        for (header, reason, to) in cases {
            let refusal = check(header.as_ref(), LOCAL).expect_err("a refusal");
            assert_eq!(refusal.reason(), reason, "{header:?}");
            let receiver = Header { cluster_id: 7, from: 2, to, version: PROTOCOL_VERSION, membership_log_id: None };
            assert_eq!(refusal.receiver, Some(receiver));
        }
    }
}
