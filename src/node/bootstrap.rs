//! The first start of a member: whose data this will be, and with whom.
//!
//! A new cluster is made by its first members together, each from the same list, so that all derive the same ids (etcd's rule). A member
//! that was added to a cluster asks the others who it is. Neither may happen twice under one id: a member that lost its data has also
//! lost its votes, and could give them once more.

use std::collections::BTreeMap;
use std::time::Duration;

use consensus::{MemberInfo, Owner};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use model::{ClusterId, MemberId};
use thiserror::Error;
use transport::{Dialer, Peer};

use crate::config::{ClusterState, Config, InitialCluster};
use crate::ids::{cluster_id, member_id};

/// How long another member may take to say who it is.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a first start is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BootstrapError {
    /// The list of members does not name this one.
    #[error("--initial-cluster does not name this member ({0:?}): add {0}=URL, or set --name")]
    NotListed(String),
    /// The list has other URLs for this member than it advertises.
    #[error("--initial-cluster has {listed} for {name:?}, but --initial-advertise-peer-urls has {advertised}")]
    OtherUrls {
        /// This member.
        name: String,
        /// What the list has.
        listed: String,
        /// What it advertises.
        advertised: String,
    },
    /// Two members have the same URLs.
    #[error("--initial-cluster has two members at {0}: every member needs peer URLs of its own")]
    SharedUrls(String),
    /// The cluster remembers a start of this member, whose data is not here.
    #[error(
        "member {member:x} has already been bootstrapped: its data is not in this data directory. Start it on the data that it \
         had; if that is lost, remove the member and add it again", member = .0.get()
    )]
    AlreadyStarted(MemberId),
    /// None of the other members answered.
    #[error("cannot fetch cluster info from peer urls: no member of the cluster answers at {0}")]
    NobodyAnswers(String),
    /// The cluster has no member at these URLs.
    #[error(
        "the cluster has no member at {urls}: add one first (etcdctl member add NAME --peer-urls={urls}), with exactly these URLs"
    )]
    NotAdded {
        /// What this member advertises.
        urls: String,
    },
}

/// Who this member is, and the members of the cluster that it makes: none when it joins one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Founding {
    pub(crate) identity: Owner,
    pub(crate) members: BTreeMap<MemberId, MemberInfo>,
}

/// Who a member without data is to be.
///
/// # Errors
///
/// [`BootstrapError`]: nothing has happened.
pub(crate) async fn found(config: &Config, dialer: &dyn Dialer) -> Result<Founding, BootstrapError> {
    match config.initial_cluster.state {
        ClusterState::New => make(config, dialer).await,
        ClusterState::Existing => join(config, dialer).await,
    }
}

fn check_own_urls(name: &str, peer_urls: &[String], initial: &InitialCluster) -> Result<(), BootstrapError> {
    let listed = sorted(initial.members.get(name).ok_or_else(|| BootstrapError::NotListed(name.to_owned()))?);
    let advertised = sorted(peer_urls);
    if listed == advertised {
        return Ok(());
    }
    Err(BootstrapError::OtherUrls { name: name.to_owned(), listed: listed.join(","), advertised: advertised.join(",") })
}

/// Who a member with a log of its own was made to be. Its founders are needed once more if it died before its first entry.
pub(crate) fn found_before(config: &Config, identity: Owner) -> Founding {
    let unknown = Founding { identity, members: BTreeMap::new() };
    match config.initial_cluster.state {
        ClusterState::Existing => unknown,
        // Settings of a later day than the foundation may say anything; they count only if they lead to the same ids.
        ClusterState::New => match derive(&config.name, &config.peer_urls, &config.initial_cluster) {
            Ok(founding) if founding.identity == identity => founding,
            Ok(_) | Err(_) => unknown,
        },
    }
}

async fn make(config: &Config, dialer: &dyn Dialer) -> Result<Founding, BootstrapError> {
    let founding = derive(&config.name, &config.peer_urls, &config.initial_cluster)?;
    if let Some(answer) = ask_others(config, dialer).await
        && answer.cluster_id == founding.identity.cluster.get()
    {
        refuse_second_start(&answer, founding.identity.member)?;
    }
    Ok(founding)
}

/// The cluster that `initial` describes, and who in it the member of that name and those peer URLs is.
///
/// # Errors
///
/// [`BootstrapError`]: the list does not fit the member, or itself.
pub(crate) fn derive(name: &str, peer_urls: &[String], initial: &InitialCluster) -> Result<Founding, BootstrapError> {
    check_own_urls(name, peer_urls, initial)?;
    let mut members = BTreeMap::new();
    for urls in initial.members.values() {
        // Names come with each member's own word: all must begin with the very same list.
        let info = MemberInfo { peer_urls: sorted(urls), ..MemberInfo::default() };
        if members.insert(member_id(urls, &initial.token), info).is_some() {
            return Err(BootstrapError::SharedUrls(sorted(urls).join(",")));
        }
    }
    let ids: Vec<_> = members.keys().copied().collect();
    let identity = Owner { cluster: cluster_id(&ids), member: member_id(peer_urls, &initial.token) };
    Ok(Founding { identity, members })
}

async fn join(config: &Config, dialer: &dyn Dialer) -> Result<Founding, BootstrapError> {
    check_own_urls(&config.name, &config.peer_urls, &config.initial_cluster)?;
    let answer = ask_others(config, dialer).await.ok_or_else(|| {
        let others = others(config).map(|urls| urls.join(",")).collect::<Vec<_>>();
        BootstrapError::NobodyAnswers(others.join(","))
    })?;
    let own = sorted(&config.peer_urls);
    let found = answer.members.iter().find(|member| sorted(&member.peer_urls) == own);
    let member = found.ok_or_else(|| BootstrapError::NotAdded { urls: own.join(",") })?;
    let member = MemberId::new(member.id);
    refuse_second_start(&answer, member)?;
    let identity = Owner { cluster: ClusterId::new(answer.cluster_id), member };
    Ok(Founding { identity, members: BTreeMap::new() })
}

fn refuse_second_start(answer: &transport::ProbeResponse, member: MemberId) -> Result<(), BootstrapError> {
    let known = answer.members.iter().find(|known| known.id == member.get());
    if known.is_some_and(|known| !known.client_urls.is_empty()) {
        return Err(BootstrapError::AlreadyStarted(member));
    }
    Ok(())
}

/// The peer URLs of the other members.
fn others(config: &Config) -> impl Iterator<Item = &Vec<String>> {
    let members = config.initial_cluster.members.iter();
    members.filter(|(name, _)| **name != config.name).map(|(_, urls)| urls)
}

/// What the furthest of the other members says; none when none of them answers.
async fn ask_others(config: &Config, dialer: &dyn Dialer) -> Option<transport::ProbeResponse> {
    let probe = |peer: std::sync::Arc<dyn Peer>| async move { peer.probe(PROBE_TIMEOUT).await };
    let mut probes: FuturesUnordered<_> = others(config).map(|urls| probe(dialer.dial(urls))).collect();
    let index = |answer: &transport::ProbeResponse| answer.membership_log_id.map(|id| id.index);
    let mut furthest: Option<transport::ProbeResponse> = None;
    while let Some(answer) = probes.next().await {
        if let Ok(answer) = answer
            && furthest.as_ref().is_none_or(|known| index(known) < index(&answer))
        {
            furthest = Some(answer);
        }
    }
    furthest
}

fn sorted(urls: &[String]) -> Vec<String> {
    let mut urls = urls.to_vec();
    urls.sort();
    urls
}
