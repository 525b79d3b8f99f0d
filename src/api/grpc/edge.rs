//! What all services share: the member, the counters, and the rules of metadata and headers.

use std::sync::Arc;

use model::{Identity, Revision};
use node::{Handle, Unavailable};
use proto::etcdserverpb::ResponseHeader;
use tonic::metadata::MetadataMap;
use tonic::{Code, Extensions, Status};

use crate::calls::{Calls, Method};
use crate::credentials::Credentials;
use crate::draining::Draining;
use crate::error::status;
use crate::grpc::conversation::StreamCall;
use crate::grpc::leader::RequiredLeader;

/// Metadata of a client that would rather hear at once that there is no leader than wait for one.
const REQUIRE_LEADER: &str = "hasleader";

/// Metadata that names the client's version.
const CLIENT_VERSION: &str = "client-api-version";

/// Shared by all services. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    handle: Handle,
    calls: Calls,
    draining: Draining,
    message_bytes_max: usize,
}

impl Edge {
    pub(crate) fn new(handle: Handle, calls: Calls, draining: Draining, message_bytes_max: usize) -> Self {
        Self { shared: Arc::new(Shared { handle, calls, draining, message_bytes_max }) }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.shared.handle
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.shared.calls
    }

    pub(crate) fn draining(&self) -> Draining {
        self.shared.draining.clone()
    }

    /// Waits for `answer`, but not beyond the word to stop. Dropping the answer gives up what it stands for.
    ///
    /// # Errors
    ///
    /// What the answer says; etcd's `server stopped`.
    pub(crate) async fn unless_stopping<T>(
        &self,
        answer: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let mut draining = self.draining();
        tokio::select! {
            answer = answer => answer,
            () = draining.begun() => Err(status(Unavailable::Stopped)),
        }
    }

    /// Where a fragmented watch response is cut, in bytes.
    pub(crate) fn message_bytes_max(&self) -> usize {
        self.shared.message_bytes_max
    }

    /// On whose behalf a call is made, as its metadata and the connection that it came over say. While authentication is off it is
    /// nobody's in particular; while it is on, nobody is who said nothing, and is refused where that matters.
    ///
    /// # Errors
    ///
    /// `invalid auth token`.
    pub(crate) async fn caller(&self, metadata: &MetadataMap, extensions: &Extensions) -> Result<Identity, Status> {
        if !self.handle().is_auth_enabled() {
            return Ok(Identity::default());
        }
        Credentials::of_call(metadata, extensions).identify(self.handle()).await.map_err(status)
    }

    /// Refuses a call that is not made on behalf of root, while authentication is on.
    ///
    /// # Errors
    ///
    /// As [`Edge::caller`]; `user name is empty`, `permission denied`.
    pub(crate) async fn admit_root(&self, metadata: &MetadataMap, extensions: &Extensions) -> Result<Identity, Status> {
        let caller = self.caller(metadata, extensions).await?;
        self.handle().permit_root(&caller).map_err(status)?;
        Ok(caller)
    }

    /// Refuses a call that is not made on behalf of any user, while authentication is on.
    ///
    /// # Errors
    ///
    /// As [`Edge::admit_root`].
    pub(crate) async fn admit_user(&self, metadata: &MetadataMap, extensions: &Extensions) -> Result<Identity, Status> {
        let caller = self.caller(metadata, extensions).await?;
        self.handle().permit_user(&caller).map_err(status)?;
        Ok(caller)
    }

    /// The header of an answer whose store stood at `revision`.
    pub(crate) fn header(&self, revision: Revision) -> ResponseHeader {
        let header = self.handle().header();
        ResponseHeader {
            cluster_id: header.cluster_id.get(),
            member_id: header.member_id.get(),
            revision: revision.get(),
            raft_term: header.term.get(),
        }
    }

    /// The header of an answer that is not about a revision: the current one is named.
    pub(crate) fn header_now(&self) -> ResponseHeader {
        self.header(self.handle().revision())
    }

    /// Refuses a call whose metadata say that it must be, and any on a learner: clients are to find another member.
    ///
    /// # Errors
    ///
    /// As [`Edge::admit_also_learner`]; `rpc not supported for learner`.
    pub(crate) fn admit(&self, metadata: &MetadataMap) -> Result<(), Status> {
        self.admit_also_learner(metadata)?;
        if self.handle().is_learner() {
            return Err(Status::new(Code::FailedPrecondition, "etcdserver: rpc not supported for learner"));
        }
        Ok(())
    }

    /// Refuses a call whose metadata say that it must be.
    ///
    /// # Errors
    ///
    /// A client version that is not text; no leader, for a client that requires one.
    pub(crate) fn admit_also_learner(&self, metadata: &MetadataMap) -> Result<(), Status> {
        check_client_version(metadata)?;
        if requires_leader(metadata) && !self.has_leader() {
            return Err(status(Unavailable::NoLeader));
        }
        Ok(())
    }

    /// Begins a stream. Its leader, if the client requires one, is looked after as long as it lasts.
    ///
    /// # Errors
    ///
    /// As [`Edge::admit`].
    pub(crate) fn begin_stream(
        &self,
        method: Method,
        metadata: &MetadataMap,
    ) -> Result<(StreamCall, RequiredLeader), Status> {
        let call = self.calls().stream(method);
        let admitted = if method.suits_learner() { self.admit_also_learner(metadata) } else { self.admit(metadata) };
        match admitted {
            Ok(()) if requires_leader(metadata) => Ok((call, RequiredLeader::required(self.handle().clone()))),
            Ok(()) => Ok((call, RequiredLeader::NotRequired)),
            Err(status) => {
                call.end(status.code());
                Err(status)
            }
        }
    }

    fn has_leader(&self) -> bool {
        self.handle().status().leader.is_some()
    }
}

/// Metadata may hold any bytes of value 32 and above; etcd wants UTF-8 here.
fn check_client_version(metadata: &MetadataMap) -> Result<(), Status> {
    match metadata.get(CLIENT_VERSION) {
        Some(version) if std::str::from_utf8(version.as_bytes()).is_err() => {
            Err(Status::new(Code::InvalidArgument, "etcdserver: invalid client api version"))
        }
        Some(_) | None => Ok(()),
    }
}

fn requires_leader(metadata: &MetadataMap) -> bool {
    metadata.get(REQUIRE_LEADER).is_some_and(|value| value.as_bytes() == b"true")
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn metadata(name: &'static str, value: &[u8]) -> MetadataMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_bytes(value).expect("a value of a header"));
        MetadataMap::from_headers(headers)
    }

    #[test]
    fn a_client_version_must_be_text() {
        assert!(check_client_version(&MetadataMap::new()).is_ok());
        for text in [&b"3.6"[..], "3.6-\u{e4}".as_bytes()] {
            assert!(check_client_version(&metadata("client-api-version", text)).is_ok());
        }
        let status = check_client_version(&metadata("client-api-version", b"3.6\xff")).expect_err("not UTF-8");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "etcdserver: invalid client api version");
    }

    #[test]
    fn a_leader_is_required_by_exactly_true() {
        assert!(requires_leader(&metadata("hasleader", b"true")));
        assert!(!requires_leader(&metadata("hasleader", b"True")));
        assert!(!requires_leader(&MetadataMap::new()));
    }
}
