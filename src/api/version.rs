//! The versions that clients ask for and choose features by: those of the etcd release whose behaviour is offered.
//!
//! kube-apiserver refuses to watch through a server that does not name a release it knows, so this cannot be our own.

/// Of the server, as in Status and `/version`.
pub(crate) const SERVER: &str = "3.6.14";

/// Of the cluster: what all members can do.
pub(crate) const CLUSTER: &str = "3.6.0";

/// Of the stored data.
pub(crate) const STORAGE: &str = "3.6.0";
