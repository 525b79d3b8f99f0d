//! What the kernel says about a process: CPU time and memory, read from `/proc`.
//!
//! CPU time comes in ticks of 10 ms, so it means something over seconds, not over single operations.

use std::fs;
use std::time::Duration;

use crate::sample::Failure;

/// The kernel's view of one process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// User and system time of all its threads since it started.
    pub(crate) cpu: Duration,
    /// Resident memory, KiB.
    pub(crate) rss_kib: u64,
    /// Highest resident memory so far, KiB.
    pub(crate) peak_rss_kib: u64,
}

impl Usage {
    /// Reads the usage of process `pid`.
    ///
    /// # Errors
    /// The process is gone, or `/proc` is not there.
    pub(crate) fn of(pid: u32) -> Result<Self, Failure> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let ticks = cpu_ticks(&stat).ok_or_else(|| unreadable(pid, "stat"))?;
        let tick = Duration::from_secs(1).as_nanos() / u128::from(rustix::param::clock_ticks_per_second());
        let nanos = u128::from(ticks) * tick;
        Ok(Self {
            cpu: Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)),
            rss_kib: status_kib(&status, "VmRSS:").ok_or_else(|| unreadable(pid, "status"))?,
            peak_rss_kib: status_kib(&status, "VmHWM:").ok_or_else(|| unreadable(pid, "status"))?,
        })
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.rss_kib += other.rss_kib;
        self.peak_rss_kib += other.peak_rss_kib;
    }
}

fn unreadable(pid: u32, file: &str) -> Failure {
    Failure::broken(format!("/proc/{pid}/{file} has no figures: the process has probably ended"))
}

/// utime + stime: fields 14 and 15, counted after the command name, which may itself hold spaces and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn status_kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_command_name() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 17 25 0 0 20 0 8 0 1000 0 0";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert_eq!(cpu_ticks("42 (short) S 1"), None);
    }

    #[test]
    fn memory_lines_are_found_by_name() {
        let status = "Name:\tx\nVmHWM:\t   900 kB\nVmRSS:\t   800 kB\n";
        assert_eq!(status_kib(status, "VmRSS:"), Some(800));
        assert_eq!(status_kib(status, "VmHWM:"), Some(900));
        assert_eq!(status_kib(status, "VmSwap:"), None);
    }

    #[test]
    fn our_own_usage_can_be_read_and_a_missing_process_is_an_error() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss_kib > 0 && usage.peak_rss_kib >= usage.rss_kib);
        assert!(Usage::of(u32::MAX).is_err());
    }
}
