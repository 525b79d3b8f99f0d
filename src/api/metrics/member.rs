//! Numbers of the member: its store, its leases, its watchers, its log.

use std::fmt;

use node::{Handle, Measured};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::encode::{counter, family, gauge, histogram, labelled, level, signed};

/// What etcd says of a store without a quota.
const NO_QUOTA: i64 = -1;

/// See the top of this file.
#[derive(Debug)]
pub(super) struct MemberCollector(pub(super) Handle);

impl Collector for MemberCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = self.0.status();
        let member = self.0.header().member_id;
        let quota = self.0.config().upkeep.quota_bytes;
        let gauges = [
            ("etcd_server_has_leader", "Whether a leader is known.", i64::from(status.leader.is_some())),
            ("etcd_server_is_leader", "Whether this member leads.", i64::from(status.leader == Some(member))),
            ("etcd_server_is_learner", "Whether this member has no vote.", i64::from(self.0.is_learner())),
            ("etcd_server_quota_backend_bytes", "Live bytes that there may be.", quota.map_or(NO_QUOTA, signed)),
            ("etcd_mvcc_db_total_size_in_bytes", "Bytes that the store takes.", signed(status.size)),
            ("etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes of them that hold data.", signed(status.size_in_use)),
            ("etcd_debugging_mvcc_current_revision", "Revision of the store.", self.0.revision().get()),
            ("etcd_debugging_mvcc_compact_revision", "Oldest revision kept.", self.0.compact_revision().get()),
        ];
        for (name, help, value) in gauges {
            gauge(&mut encoder, name, help, value)?;
        }
        self.encode_alarms(&mut encoder)?;
        encode_counters(&mut encoder, &self.0.measured())?;
        encode_levels(&mut encoder, &self.0.measured())?;
        encode_durations(&mut encoder, &self.0.measured())?;
        let help = "Last log entry known to be committed.";
        counter(&mut encoder, "etcd_server_proposals_committed", help, status.committed.get())?;
        let help = "Last log entry applied here.";
        counter(&mut encoder, "etcd_server_proposals_applied", help, status.applied.get())?;
        let id = format!("{:x}", member.get());
        labelled(&mut encoder, "etcd_server_id", "The member's id.", ("server_id", &id))
    }
}

impl MemberCollector {
    /// Alarms that cannot be read are no reason to show nothing else: the member is about to stop.
    fn encode_alarms(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let alarms = self.0.alarms().unwrap_or_default().into_iter();
        let rows = alarms.map(|alarm| {
            let member = format!("{:x}", alarm.member.get());
            ([("server_id", member), ("alarm_type", alarm.kind.to_string())], 1)
        });
        family(encoder, ("etcd_debugging_server_alarms", "Alarms raised.", MetricType::Gauge), rows, level)
    }
}

fn encode_counters(encoder: &mut DescriptorEncoder<'_>, measured: &Measured) -> Result<(), fmt::Error> {
    for (name, help, value) in [
        ("etcd_server_leader_changes_seen", "How often another leader was seen.", measured.leader_changes),
        ("etcd_server_proposals_failed", "Proposals without an answer.", measured.proposals_failed),
        ("etcd_server_read_indexes_failed", "Linearizable reads that nobody confirmed.", measured.read_indexes_failed),
        ("etcd_mvcc_put", "Keys written.", measured.puts),
        ("etcd_mvcc_delete", "Keys deleted.", measured.deletes),
        ("etcd_mvcc_range", "Ranges read.", measured.ranges),
        ("etcd_mvcc_txn", "Transactions.", measured.txns),
        ("etcd_debugging_lease_granted", "Leases created.", measured.leases_granted),
        ("etcd_debugging_lease_revoked", "Leases ended.", measured.leases_revoked),
        ("etcd_debugging_lease_renewed", "Keepalives while this member led.", measured.leases_renewed),
        ("etcd_debugging_server_lease_expired", "Leases whose time ran out.", measured.leases_expired),
        ("etcd_debugging_mvcc_events", "Events handed to watchers.", measured.watch_events),
    ] {
        counter(encoder, name, help, value)?;
    }
    Ok(())
}

/// Those that etcd calls totals among them, because its names lack the suffix that the format demands of what only grows.
fn encode_levels(encoder: &mut DescriptorEncoder<'_>, measured: &Measured) -> Result<(), fmt::Error> {
    for (name, help, value) in [
        ("etcd_server_proposals_pending", "Proposals under way.", measured.proposals_pending),
        ("etcd_disk_wal_write_bytes_total", "Bytes written to the log.", measured.log_bytes),
        ("etcd_disk_defrag_inflight", "Defragmentations under way.", measured.defragmentations_under_way),
        ("etcd_debugging_mvcc_total_put_size_in_bytes", "Bytes of keys and values written.", measured.put_bytes),
        ("etcd_debugging_mvcc_watch_stream_total", "Watch streams.", measured.watch_streams),
        ("etcd_debugging_mvcc_watcher_total", "Watchers.", measured.watchers),
        ("etcd_debugging_mvcc_slow_watcher_total", "Watchers that read history.", measured.watchers_behind),
    ] {
        gauge(encoder, name, help, signed(value))?;
    }
    Ok(())
}

fn encode_durations(encoder: &mut DescriptorEncoder<'_>, measured: &Measured) -> Result<(), fmt::Error> {
    for (name, help, durations) in [
        ("etcd_disk_wal_fsync_duration_seconds", "How long syncs of the log took.", &measured.log_syncs),
        ("etcd_disk_backend_defrag_duration_seconds", "How long defragmentations took.", &measured.defragmentations),
        ("etcd_mvcc_hash_rev_duration_seconds", "How long checksums of the keys took.", &measured.hashes),
        ("etcd_debugging_lease_ttl_total", "Seconds that leases were granted.", &measured.lease_ttls),
    ] {
        histogram(encoder, name, help, durations)?;
    }
    Ok(())
}
