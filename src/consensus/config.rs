//! Settings of the consensus, and what they become for openraft. Several of openraft's defaults lose data, availability or
//! linearizability; each is overruled here and nowhere else, and a test holds this file to it.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{ClusterId, MemberId};
use openraft::{SnapshotPolicy, StepDownPolicy};

use crate::{Error, MemberInfo, Reconfiguration};

/// Log entries kept behind a snapshot, so that a member that was away briefly catches up without one (etcd's number).
pub const CATCH_UP_ENTRIES: u64 = 5_000;

/// Entries that become purgeable before the log is purged once more.
const PURGE_BATCH: u64 = 1_000;

/// Requests that may wait for the raft task; admission keeps proposals below it, reads are one at a time.
const API_CHANNEL: u64 = 8_192;

/// Entries in one message to a peer.
const PAYLOAD_ENTRIES_MAX: u64 = 1_024;

/// Milliseconds that a leader voted out keeps leading, so that its followers learn of it.
const REMOVED_LEADER_STEP_DOWN_MS: u64 = 150;

/// Heartbeats in an election timeout, at least (etcd's rule).
const HEARTBEATS_MIN: u32 = 5;

/// Settings of the consensus of one member.
#[derive(Clone, Debug)]
pub struct Config {
    /// Identity of the cluster; written to the WAL at the first start and compared at every later one.
    pub cluster: ClusterId,
    /// Identity of this member; written and compared like the cluster's.
    pub member: MemberId,
    /// Members of a cluster that is being created, this one among them; none when this one joins a cluster that exists. Ignored once
    /// there is an entry or a vote.
    pub members: BTreeMap<MemberId, MemberInfo>,
    /// Time between heartbeats of a leader (`--heartbeat-interval`); default 100 ms.
    pub heartbeat: Duration,
    /// Time within which a crashed leader is replaced (`--election-timeout`); default 1 s.
    pub election_timeout: Duration,
    /// Entries applied before the state is flushed and the log behind it may be purged (`--snapshot-count`); default 10,000.
    pub snapshot_count: u64,
    /// Bytes of entries applied before the same happens; default 64 MiB, one WAL segment.
    pub snapshot_bytes: u64,
    /// Log entries kept behind a snapshot; default [`CATCH_UP_ENTRIES`].
    pub catch_up_entries: u64,
    /// Proposals that may be under way, from admission until applied; default 5,000 (etcd's distance of committed from applied).
    pub proposals_max: usize,
    /// Bytes of proposals that may be under way; default 64 MiB.
    pub proposal_bytes_max: usize,
    /// What is refused when the membership is to change; default: what could cost the quorum, and a second learner.
    pub reconfiguration: Reconfiguration,
}

impl Config {
    /// The settings of a member with the defaults for all that is tuning.
    #[must_use]
    pub fn new(cluster: ClusterId, member: MemberId, members: BTreeMap<MemberId, MemberInfo>) -> Self {
        Self {
            cluster,
            member,
            members,
            heartbeat: Duration::from_millis(100),
            election_timeout: Duration::from_secs(1),
            snapshot_count: 10_000,
            catch_up_entries: CATCH_UP_ENTRIES,
            snapshot_bytes: 64 << 20,
            proposals_max: 5_000,
            proposal_bytes_max: 64 << 20,
            reconfiguration: Reconfiguration { strict: true, learners_max: 1 },
        }
    }

    /// The longest time a follower waits for its leader before it stands for election; a leader that no quorum answered for as long
    /// may have been replaced. Half a heartbeat above the shortest, at least, so that members do not all stand at once.
    pub(crate) fn lease(&self) -> Duration {
        (self.election_timeout * 3 / 10).max(self.shortest_timeout() + self.heartbeat / 2)
    }

    /// The shortest such time: with one heartbeat late by half its interval the leader is still followed.
    fn shortest_timeout(&self) -> Duration {
        (self.election_timeout / 5).max(self.heartbeat * 3 / 2)
    }

    /// What openraft is told.
    ///
    /// A follower waits for the leader's lease, which is the longest timeout, and then for a timeout drawn between shortest and
    /// longest: it bears half of etcd's `--election-timeout` of silence, and replaces a crashed leader soon after.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the timeouts contradict each other.
    pub(crate) fn raft(&self) -> Result<openraft::Config, Error> {
        if self.election_timeout < self.heartbeat * HEARTBEATS_MIN {
            return Err(Error::Config(format!(
                "an election timeout of {:?} is shorter than {HEARTBEATS_MIN} heartbeats of {:?}",
                self.election_timeout, self.heartbeat
            )));
        }
        let heartbeat = milliseconds(self.heartbeat);
        let (shortest, longest) = (milliseconds(self.shortest_timeout()), milliseconds(self.lease()));
        let config = openraft::Config {
            cluster_name: self.cluster.to_string(),
            heartbeat_interval: heartbeat,
            heartbeat_min_interval: Some(heartbeat_suppression(heartbeat, shortest)),
            election_timeout_min: shortest,
            election_timeout_max: longest,
            // A leader that restarts within its term would append anew at indexes whose lost entries were committed by others:
            // two members with different entries under one log id, for ever. It must stand for election like anyone.
            enable_leader_restore: Some(false),
            // A member that was cut off asks before it raises the term, so that its return deposes nobody.
            enable_pre_vote: Some(true),
            // Without it a leader that reaches one peer only keeps that peer from electing another (no quorum, no leader).
            quorum_loss_probe_interval: Some(2 * longest),
            // A log that went backwards is a lost disk; forgiving it loses acknowledged entries.
            allow_log_reversion: None,
            // The state decides when it is flushed (`snapshot`): a snapshot is its last flush and costs nothing.
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: self.catch_up_entries,
            purge_batch_size: PURGE_BATCH.min(self.catch_up_entries),
            removed_leader_step_down: StepDownPolicy::After(REMOVED_LEADER_STEP_DOWN_MS),
            api_channel_size: Some(API_CHANNEL),
            max_payload_entries: PAYLOAD_ENTRIES_MAX,
            broadcast_submitted_on_append: Some(true),
            ..openraft::Config::default()
        };
        #[cfg(seeded_bugs)]
        let config = openraft::Config {
            enable_leader_restore: Some(model::seeded_bug("restored leader")),
            enable_pre_vote: Some(!model::seeded_bug("election without a pre-vote")),
            ..config
        };
        config.validate().map_err(|error| Error::Config(error.to_string()))
    }
}

/// How long an acknowledged message spares the next heartbeat: at most one interval, and never so long that interval, sparing and
/// openraft's tick (13/64 of an interval) together reach the shortest election timeout.
fn heartbeat_suppression(heartbeat: u64, shortest: u64) -> u64 {
    let gap = heartbeat + heartbeat * 13 / 64 + 1;
    shortest.saturating_sub(gap + 1).min(heartbeat)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::new(ClusterId::new(1), MemberId::new(2), BTreeMap::new())
    }

    #[test]
    fn the_settings_that_guard_data_are_what_the_design_demands() {
        let raft = config().raft().unwrap();
        assert_eq!(raft.enable_leader_restore, Some(false), "lost entries could be written anew in the same term");
        assert_eq!(raft.enable_pre_vote, Some(true));
        assert_eq!(raft.allow_log_reversion, None);
        assert_eq!(raft.quorum_loss_probe_interval, Some(600));
        assert_eq!(raft.snapshot_policy, SnapshotPolicy::Never);
        assert_eq!(raft.max_in_snapshot_log_to_keep, 5_000);
        assert!(raft.enable_tick && raft.enable_heartbeat && raft.enable_elect);
    }

    #[test]
    fn etcds_flags_become_a_failover_within_the_election_timeout() {
        let raft = config().raft().unwrap();
        assert_eq!((raft.heartbeat_interval, raft.election_timeout_min, raft.election_timeout_max), (100, 200, 300));
        assert_eq!(raft.heartbeat_min_interval, Some(78));
    }

    #[test]
    fn every_timing_that_etcd_accepts_is_accepted() {
        // etcd demands five heartbeats in an election timeout and at most 50 s.
        for (heartbeat, election) in [(1, 5), (10, 50), (100, 500), (100, 50_000), (10_000, 50_000), (7, 36)] {
            let config = Config {
                heartbeat: Duration::from_millis(heartbeat),
                election_timeout: Duration::from_millis(election),
                ..config()
            };
            let result = config.raft();
            assert!(result.is_ok() || heartbeat == 1, "{heartbeat}/{election}: {result:?}");
        }
    }

    #[test]
    fn contradicting_timeouts_are_refused() {
        let config = Config { election_timeout: Duration::from_millis(300), ..config() };
        assert!(matches!(config.raft(), Err(Error::Config(_))));
    }
}
