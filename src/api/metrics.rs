//! The metrics page: every number under etcd's name, so that its dashboards and alerts work unchanged.
//!
//! Owns the registry. Numbers of requests are counted as they happen; those of the member and the process are looked up when
//! the page is asked for.

use std::fmt;

use model::DurationCounts;
use node::{Handle, Measured};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::calls::Calls;
use crate::process::{self, Usage};
use crate::traffic::Traffic;
use crate::version;

/// All metrics of a member.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) calls: Calls,
    pub(crate) traffic: Traffic,
    health_success: Gauge,
    health_failures: Gauge,
}

impl Metrics {
    pub(crate) fn new(handle: Handle) -> Self {
        let mut metrics = Self::without_member();
        metrics.registry.register_collector(Box::new(MemberCollector(handle)));
        metrics
    }

    /// Everything but the numbers of the member.
    pub(crate) fn without_member() -> Self {
        let mut registry = Registry::default();
        let (calls, traffic) = (Calls::new(), Traffic::default());
        registry.register_collector(Box::new(calls.clone()));
        traffic.register(&mut registry);
        // Gauges, because etcd's names of these counters lack the suffix that the format demands of one.
        let (health_success, health_failures) = (Gauge::default(), Gauge::default());
        registry.register("etcd_server_health_success", "Health checks that succeeded", health_success.clone());
        registry.register("etcd_server_health_failures", "Health checks that failed", health_failures.clone());
        registry.register_collector(Box::new(VersionCollector));
        registry.register_collector(Box::new(ProcessCollector));
        Self { registry, calls, traffic, health_success, health_failures }
    }

    /// Notes the outcome of a health check.
    pub(crate) fn health_checked(&self, outcome: HealthOutcome) {
        match outcome {
            HealthOutcome::Healthy => self.health_success.inc(),
            HealthOutcome::Unhealthy => self.health_failures.inc(),
        };
    }

    /// The page as of now.
    pub(crate) fn page(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("a string takes everything");
        page
    }
}

/// What a health check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HealthOutcome {
    Healthy,
    Unhealthy,
}

/// Numbers of the member.
#[derive(Debug)]
struct MemberCollector(Handle);

impl Collector for MemberCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = self.0.status();
        let member = self.0.header().member_id;
        let gauges = [
            ("etcd_server_has_leader", "Whether a leader is known.", i64::from(status.leader.is_some())),
            ("etcd_server_is_leader", "Whether this member leads.", i64::from(status.leader == Some(member))),
            ("etcd_server_is_learner", "Whether this member has no vote.", i64::from(self.0.is_learner())),
            ("etcd_mvcc_db_total_size_in_bytes", "Bytes that the store takes.", signed(status.size)),
            ("etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes of them that hold data.", signed(status.size_in_use)),
            ("etcd_debugging_mvcc_current_revision", "Revision of the store.", self.0.revision().get()),
            ("etcd_debugging_mvcc_compact_revision", "Oldest revision kept.", self.0.compact_revision().get()),
        ];
        for (name, help, value) in gauges {
            gauge(&mut encoder, name, help, value)?;
        }
        encode_measured(&mut encoder, &self.0.measured())?;
        let help = "Last log entry known to be committed.";
        counter(&mut encoder, "etcd_server_proposals_committed", help, status.committed.get())?;
        let help = "Last log entry applied.";
        counter(&mut encoder, "etcd_server_proposals_applied", help, status.applied.get())?;
        let id = format!("{:x}", member.get());
        labelled(&mut encoder, "etcd_server_id", "Identity of this member.", ("server_id", &id))
    }
}

/// What the member counts itself.
fn encode_measured(encoder: &mut DescriptorEncoder<'_>, measured: &Measured) -> Result<(), fmt::Error> {
    for (name, help, value) in [
        ("etcd_server_leader_changes_seen", "How often another leader was seen.", measured.leader_changes),
        ("etcd_server_proposals_failed", "Proposals without an answer.", measured.proposals_failed),
        ("etcd_mvcc_put", "Keys written.", measured.puts),
        ("etcd_mvcc_delete", "Keys deleted.", measured.deletes),
        ("etcd_debugging_lease_granted", "Leases created.", measured.leases_granted),
        ("etcd_debugging_lease_revoked", "Leases ended.", measured.leases_revoked),
        ("etcd_debugging_server_lease_expired", "Leases whose time ran out.", measured.leases_expired),
        ("etcd_debugging_mvcc_events", "Events handed to watchers.", measured.watch_events),
    ] {
        counter(encoder, name, help, value)?;
    }
    for (name, help, value) in [
        ("etcd_server_proposals_pending", "Proposals under way.", measured.proposals_pending),
        ("etcd_disk_wal_write_bytes_total", "Bytes written to the log.", measured.log_bytes),
        ("etcd_debugging_mvcc_watch_stream_total", "Watch streams.", measured.watch_streams),
        ("etcd_debugging_mvcc_watcher_total", "Watchers.", measured.watchers),
        ("etcd_debugging_mvcc_slow_watcher_total", "Watchers that read history.", measured.watchers_behind),
    ] {
        gauge(encoder, name, help, signed(value))?;
    }
    let (name, help) = ("etcd_disk_backend_defrag_duration_seconds", "How long defragmentations took.");
    histogram(encoder, name, help, &measured.defragmentations)?;
    histogram(encoder, "etcd_disk_wal_fsync_duration_seconds", "How long syncs of the log took.", &measured.log_syncs)
}

/// What this server is.
#[derive(Debug)]
struct VersionCollector;

impl Collector for VersionCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let label = ("server_version", version::SERVER);
        labelled(&mut encoder, "etcd_server_version", "The etcd release whose behaviour is offered.", label)?;
        let label = ("cluster_version", version::CLUSTER);
        labelled(&mut encoder, "etcd_cluster_version", "What all members can do.", label)
    }
}

/// Numbers of the process, as other Prometheus clients name them.
#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(usage) = Usage::now() {
            counter(&mut encoder, "process_cpu_seconds", "CPU time used.", usage.cpu_seconds)?;
            gauge(&mut encoder, "process_resident_memory_bytes", "Memory.", signed(usage.resident_bytes))?;
            gauge(&mut encoder, "process_virtual_memory_bytes", "Address space.", signed(usage.virtual_bytes))?;
            if let Some(started_at) = usage.started_at() {
                gauge(&mut encoder, "process_start_time_seconds", "When the process began.", started_at)?;
            }
        }
        let files = process::open_files().map(count);
        let files_max = process::open_files_max().map(count);
        for (name, help, value) in [
            ("process_open_fds", "Files open.", files),
            ("process_max_fds", "Files that may be open.", files_max),
            ("os_fd_used", "Files open.", files),
            ("os_fd_limit", "Files that may be open.", files_max),
        ] {
            if let Some(value) = value {
                gauge(&mut encoder, name, help, value)?;
            }
        }
        Ok(())
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn count(things: usize) -> i64 {
    i64::try_from(things).unwrap_or(i64::MAX)
}

fn gauge<N>(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: N) -> Result<(), fmt::Error>
where
    ConstGauge<N>: EncodeMetric,
{
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn histogram(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    durations: &DurationCounts,
) -> Result<(), fmt::Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Histogram)?.encode_histogram::<NoLabelSet>(
        durations.seconds,
        durations.count,
        &durations.buckets,
        None,
    )
}

fn counter<N>(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: N) -> Result<(), fmt::Error>
where
    ConstCounter<N>: EncodeMetric,
{
    ConstCounter::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
}

/// A series that is always 1: its label is what it says.
fn labelled(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: (&str, &str),
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(1i64).encode(family.encode_family(&[label])?)
}
