//! What this server is, and what its process takes.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::encode::{count, counter, gauge, labelled, signed};
use crate::process::{self, Usage};
use crate::version;

/// What this server is.
#[derive(Debug)]
pub(super) struct VersionCollector;

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
pub(super) struct ProcessCollector;

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
