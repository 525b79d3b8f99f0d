//! The cluster that a member founds or joins, and where its peers are.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use node::{InitialCluster, PeerListen};

use super::{ClusterState, ServerFlags, Url};

/// Where peers are listened for when nothing else is said (etcd's port).
const DEFAULT_PEER_URL: &str = "http://localhost:2380";

impl ServerFlags {
    /// Whether the members are those of this one alone is said at a first start only: a later one does not look at them.
    ///
    /// # Errors
    ///
    /// A list that is none, or a URL in it.
    pub(super) fn initial_cluster(&self, has_tls: bool) -> Result<InitialCluster> {
        let members = match &self.initial_cluster {
            None => BTreeMap::from([(self.name.clone(), self.initial_advertise_peer_urls.clone())]),
            Some(list) => parse_members(list)?,
        };
        for url in members.values().flatten() {
            check_peer_url(url, has_tls).context("--initial-cluster")?;
        }
        Ok(InitialCluster {
            members,
            token: self.initial_cluster_token.clone(),
            state: self.initial_cluster_state.into(),
        })
    }

    /// A cluster of one that was told nothing about peers may have somebody else on the default port.
    pub(super) fn peer_listen(&self) -> PeerListen {
        let is_alone = self.initial_cluster.is_none() && self.initial_cluster_state == ClusterState::New;
        match (self.listen_peer_urls.is_empty(), is_alone) {
            (false, _) => PeerListen::At(self.listen_peer_urls.clone()),
            (true, true) => PeerListen::IfFree(vec![DEFAULT_PEER_URL.to_owned()]),
            (true, false) => PeerListen::At(vec![DEFAULT_PEER_URL.to_owned()]),
        }
    }
}

/// Refuses what is no URL of a peer, and one with TLS where there is none.
///
/// # Errors
///
/// What is wrong with `url`.
pub(super) fn check_peer_url(url: &str, has_tls: bool) -> Result<()> {
    let parsed = Url::parse(url).with_context(|| format!("{url:?} is not an address of a peer"))?;
    let needed = "needs --peer-cert-file, --peer-key-file and --peer-trusted-ca-file, or --peer-auto-tls";
    ensure!(has_tls || !parsed.is_tls, "{url:?} {needed}");
    Ok(())
}

/// The members in `NAME=URL,...`; one with several URLs is there several times.
///
/// # Errors
///
/// What is not of this form.
pub(crate) fn parse_members(list: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let mut members = BTreeMap::<String, Vec<String>>::new();
    for member in list.split(',') {
        let (name, url) = member
            .split_once('=')
            .with_context(|| format!("--initial-cluster: {member:?} is not of the form NAME=URL"))?;
        members.entry(name.to_owned()).or_default().push(url.to_owned());
    }
    Ok(members)
}
