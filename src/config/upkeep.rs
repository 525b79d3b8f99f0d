//! Flags of what a member looks after by itself.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use node::{QUOTA_BYTES, Upkeep};

use super::duration::parse_duration;

/// See the top of this file.
#[derive(Clone, Debug, Args)]
pub(super) struct UpkeepFlags {
    /// Bytes of live keys and values that there may be; 0 is 2 GiB, less is any number
    #[arg(long, env = "ETCD_QUOTA_BACKEND_BYTES", allow_negative_numbers = true, default_value_t = 0)]
    quota_backend_bytes: i64,
    /// End the alarm that the quota raised once there is space again
    #[arg(
        long,
        env = "QUORATE_QUOTA_AUTO_DISARM",
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true"
    )]
    quota_auto_disarm: bool,
    /// How often the leader compares the data of all members; 0 is never
    #[arg(long, alias = "experimental-corrupt-check-time", env = "ETCD_CORRUPT_CHECK_TIME", default_value = "0s")]
    corrupt_check_time: String,
    /// Compare this member's data with the others' before serving
    #[arg(
        long,
        alias = "experimental-initial-corrupt-check",
        env = "ETCD_INITIAL_CORRUPT_CHECK",
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    initial_corrupt_check: bool,
}

impl UpkeepFlags {
    /// What they come to.
    ///
    /// # Errors
    ///
    /// One sentence that names the flag and what is wrong with it.
    pub(super) fn upkeep(&self) -> Result<Upkeep> {
        let quota_bytes = match self.quota_backend_bytes {
            0 => Some(QUOTA_BYTES),
            bytes => u64::try_from(bytes).ok(),
        };
        let every = parse_duration(&self.corrupt_check_time).context("--corrupt-check-time")?;
        Ok(Upkeep {
            quota_bytes,
            frees_quota_alarm: self.quota_auto_disarm,
            corrupt_check_interval: Some(every).filter(|every| *every > Duration::ZERO),
            checks_at_start: self.initial_corrupt_check,
        })
    }
}
