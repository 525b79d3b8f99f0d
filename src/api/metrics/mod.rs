//! The metrics page: every number under etcd's name, so that its dashboards and alerts work unchanged.
//!
//! Owns the registry. Numbers of requests are counted as they happen; those of the member and the process are looked up when
//! the page is asked for.

mod about;
mod encode;
mod member;
mod raft;

use node::Handle;
use prometheus_client::encoding::text;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use self::about::{ProcessCollector, VersionCollector};
use self::member::MemberCollector;
use self::raft::RaftCollector;
use crate::calls::Calls;
use crate::traffic::Traffic;

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
        metrics.registry.register_collector(Box::new(MemberCollector(handle.clone())));
        metrics.registry.register_collector(Box::new(RaftCollector(handle)));
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
