//! Numbers of the consensus and of the calls between members.

use std::fmt;

use node::{Handle, PeerMeasured, TransfersMeasured};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::encode::{counter, family, growing, histogram, level, spread};

/// See the top of this file.
#[derive(Debug)]
pub(super) struct RaftCollector(pub(super) Handle);

impl Collector for RaftCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let encoder = &mut encoder;
        let measured = self.0.raft_measured();
        let (name, help) = ("etcd_disk_backend_commit_duration_seconds", "How long flushes of the state took.");
        histogram(encoder, name, help, &measured.flushes)?;
        // Entries are applied in groups, so that no single operation has a duration of its own.
        let labels = [("version", "v3"), ("op", "Group"), ("success", "true")].map(|(name, is)| (name, is.to_owned()));
        let described = ("etcd_server_apply_duration_seconds", "How long applying took.", MetricType::Histogram);
        family(encoder, described, [(labels, &measured.applies)], spread)?;
        counter(encoder, "etcd_server_slow_apply", "Groups that took over 100 ms to apply.", measured.slow_applies)?;
        let failed = measured.peers.iter().map(|peer| peer.heartbeats_failed).sum::<u64>();
        counter(encoder, "etcd_server_heartbeat_send_failures", "Heartbeats that failed.", failed)?;
        let local = format!("{:x}", self.0.header().member_id.get());
        encode_known(encoder, &self.0, &local)?;
        encode_traffic(encoder, &measured.peers)?;
        encode_snapshots(encoder, "send", "To", &measured.peers, |peer| &peer.snapshots_sent)?;
        encode_snapshots(encoder, "receive", "From", &measured.peers, |peer| &peer.snapshots_received)
    }
}

fn encode_known(encoder: &mut DescriptorEncoder<'_>, handle: &Handle, local: &str) -> Result<(), fmt::Error> {
    let members = handle.members().into_iter().map(|member| format!("{:x}", member.id.get()));
    let others = members.filter(|member| member != local);
    let rows = others.map(|remote| ([("Local", local.to_owned()), ("Remote", remote)], 1));
    family(encoder, ("etcd_network_known_peers", "Other members.", MetricType::Gauge), rows, level)
}

fn encode_traffic(encoder: &mut DescriptorEncoder<'_>, peers: &[PeerMeasured]) -> Result<(), fmt::Error> {
    type Pick = fn(&PeerMeasured) -> u64;
    let counters: [(&str, &str, &'static str, Pick); 4] = [
        ("etcd_network_peer_sent_bytes", "Bytes of messages to members.", "To", |peer| peer.sent_bytes),
        ("etcd_network_peer_received_bytes", "Bytes of messages from members.", "From", |peer| peer.received_bytes),
        ("etcd_network_peer_sent_failures", "Calls to members that failed.", "To", |peer| peer.sent_failures),
        ("etcd_network_peer_received_failures", "Calls from members that failed.", "From", |peer| {
            peer.received_failures
        }),
    ];
    for (name, help, label, pick) in counters {
        let rows = peers.iter().map(|peer| (of(label, peer), pick(peer)));
        family(encoder, (name, help, MetricType::Counter), rows, growing)?;
    }
    let rows = peers.iter().map(|peer| (of("To", peer), &peer.round_trips));
    let described = ("etcd_network_peer_round_trip_time_seconds", "How long heartbeats took.", MetricType::Histogram);
    family(encoder, described, rows, spread)
}

fn encode_snapshots(
    encoder: &mut DescriptorEncoder<'_>,
    way: &str,
    label: &'static str,
    peers: &[PeerMeasured],
    pick: fn(&PeerMeasured) -> &TransfersMeasured,
) -> Result<(), fmt::Error> {
    type Number = fn(&TransfersMeasured) -> u64;
    let numbers: [(&str, &str, Number); 3] = [
        ("success", "Snapshots that arrived.", |transfers| transfers.succeeded),
        ("failures", "Snapshots that were given up.", |transfers| transfers.failed),
        ("inflights_total", "Snapshots under way.", |transfers| transfers.under_way),
    ];
    for (suffix, help, number) in numbers {
        let rows = peers.iter().map(|peer| (of(label, peer), number(pick(peer))));
        // Levels, as with etcd's other names without the suffix of what only grows.
        family(encoder, (&format!("etcd_network_snapshot_{way}_{suffix}"), help, MetricType::Gauge), rows, level)?;
    }
    let rows = peers.iter().map(|peer| (of(label, peer), &pick(peer).took));
    let name = format!("etcd_network_snapshot_{way}_total_duration_seconds");
    family(encoder, (&name, "How long snapshots took.", MetricType::Histogram), rows, spread)
}

fn of(label: &'static str, peer: &PeerMeasured) -> [(&'static str, String); 1] {
    [(label, format!("{:x}", peer.member.get()))]
}
