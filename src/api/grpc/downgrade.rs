//! Going back to an older version of etcd: checked and noted as etcd does. Nothing has to be converted for it.

use proto::etcdserverpb as pb;
use proto::etcdserverpb::downgrade_request::DowngradeAction;
use tonic::{Code, Request, Status};

use crate::error::status;
use crate::grpc::edge::Edge;
use crate::version;

/// Answers a request.
///
/// # Errors
///
/// A version that is none, or not the one before the cluster's; another downgrade under way.
pub(crate) async fn answer(
    edge: &Edge,
    request: Request<pb::DowngradeRequest>,
) -> Result<pb::DowngradeResponse, Status> {
    edge.admit(request.metadata())?;
    let caller = edge.admit_root(request.metadata(), request.extensions()).await?;
    let pb::DowngradeRequest { action, version } = request.into_inner();
    let handle = edge.handle();
    match DowngradeAction::try_from(action) {
        Ok(DowngradeAction::Validate) => {
            check(&version)?;
            handle.confirm_reads().await.map_err(status)?;
            if handle.downgrade_target().is_some() {
                return Err(in_progress());
            }
        }
        Ok(DowngradeAction::Enable) => {
            let target = check(&version)?;
            if handle.set_downgrade_target(caller, Some(target)).await.map_err(status)? {
                return Err(in_progress());
            }
        }
        // Of none as well, as etcd has it since 3.6.
        Ok(DowngradeAction::Cancel) => drop(handle.set_downgrade_target(caller, None).await.map_err(status)?),
        Err(_) => return Err(Status::invalid_argument("unknown action")),
    }
    let (major, minor) = cluster();
    Ok(pb::DowngradeResponse { header: Some(edge.header_now()), version: format!("{major}.{minor}") })
}

/// What Status shows.
pub(crate) fn info(edge: &Edge) -> pb::DowngradeInfo {
    let target = edge.handle().downgrade_target();
    pb::DowngradeInfo { enabled: target.is_some(), target_version: target.unwrap_or_default() }
}

/// The version that may be gone back to, if `text` names it.
fn check(text: &str) -> Result<String, Status> {
    let (major, minor) =
        parse(text).ok_or_else(|| Status::invalid_argument("etcdserver: wrong downgrade target version format"))?;
    let (cluster_major, cluster_minor) = cluster();
    if (major, minor + 1) != (cluster_major, cluster_minor) {
        return Err(Status::invalid_argument("etcdserver: invalid downgrade target version"));
    }
    Ok(format!("{major}.{minor}.0"))
}

/// Major and minor number of "3.5" or "3.5.1".
fn parse(text: &str) -> Option<(u32, u32)> {
    let numbers = text.split('.').map(str::parse).collect::<Result<Vec<u32>, _>>().ok()?;
    match numbers[..] {
        [major, minor] | [major, minor, _] => Some((major, minor)),
        _ => None,
    }
}

fn cluster() -> (u32, u32) {
    parse(version::CLUSTER).expect("the cluster's version is one")
}

fn in_progress() -> Status {
    Status::new(Code::FailedPrecondition, "etcdserver: cluster has a downgrade job in progress")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_before_may_be_gone_back_to() {
        for text in ["3.5", "3.5.0", "3.5.17"] {
            assert_eq!(check(text).expect("the one before"), "3.5.0");
        }
        for (text, refusal) in [
            ("", "etcdserver: wrong downgrade target version format"),
            ("3", "etcdserver: wrong downgrade target version format"),
            ("3.x", "etcdserver: wrong downgrade target version format"),
            ("3.5.0.0", "etcdserver: wrong downgrade target version format"),
            ("3.4", "etcdserver: invalid downgrade target version"),
            ("3.6", "etcdserver: invalid downgrade target version"),
            ("2.5", "etcdserver: invalid downgrade target version"),
        ] {
            let status = check(text).expect_err("another");
            assert_eq!((status.code(), status.message()), (Code::InvalidArgument, refusal), "{text}");
        }
    }
}
