//! Flags of what a member looks after by itself.

use anyhow::Result;
use clap::Args;
use node::{QUOTA_BYTES, Upkeep};

/// See the top of this file.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct UpkeepFlags {
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
}

impl UpkeepFlags {
    /// What they come to.
    ///
    /// # Errors
    ///
    /// One sentence that names the flag and what is wrong with it.
    pub(crate) fn upkeep(&self) -> Result<Upkeep> {
        let quota_bytes = match self.quota_backend_bytes {
            0 => Some(QUOTA_BYTES),
            bytes => u64::try_from(bytes).ok(),
        };
        Ok(Upkeep { quota_bytes, frees_quota_alarm: self.quota_auto_disarm })
    }
}
