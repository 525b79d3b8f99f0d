//! Flags of what is about keys: reads, writes, watches, leases, locks, mirrors.

use clap::{Args, Subcommand};

use super::Words;

#[derive(Clone, Debug, Args)]
pub(crate) struct Get {
    #[arg(value_name = "KEY [RANGE_END]")]
    pub(crate) words: Vec<String>,
    /// Linearizable(l) or Serializable(s)
    #[arg(long, default_value = "l")]
    pub(crate) consistency: String,
    /// Order of results; ASCEND or DESCEND (ASCEND by default)
    #[arg(long, default_value = "")]
    pub(crate) order: String,
    /// Sort target; CREATE, KEY, MODIFY, VALUE, or VERSION
    #[arg(long, default_value = "")]
    pub(crate) sort_by: String,
    /// Maximum number of results
    #[arg(long, default_value_t = 0)]
    pub(crate) limit: i64,
    /// Get keys with matching prefix
    #[arg(long)]
    pub(crate) prefix: bool,
    /// Get keys that are greater than or equal to the given key using byte compare
    #[arg(long)]
    pub(crate) from_key: bool,
    /// Specify the kv revision
    #[arg(long, default_value_t = 0)]
    pub(crate) rev: i64,
    /// Get only the keys
    #[arg(long)]
    pub(crate) keys_only: bool,
    /// Get only the count
    #[arg(long)]
    pub(crate) count_only: bool,
    /// Only write values when using the "simple" output format
    #[arg(long)]
    pub(crate) print_value_only: bool,
    /// Least mod revision of results
    #[arg(long, default_value_t = 0)]
    pub(crate) min_mod_rev: i64,
    /// Greatest mod revision of results
    #[arg(long, default_value_t = 0)]
    pub(crate) max_mod_rev: i64,
    /// Least create revision of results
    #[arg(long, default_value_t = 0)]
    pub(crate) min_create_rev: i64,
    /// Greatest create revision of results
    #[arg(long, default_value_t = 0)]
    pub(crate) max_create_rev: i64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Put {
    #[arg(value_name = "KEY [VALUE]")]
    pub(crate) words: Vec<String>,
    /// Lease ID (in hexadecimal) to attach to the key
    #[arg(long, default_value = "0")]
    pub(crate) lease: String,
    /// Return the previous key-value pair before modification
    #[arg(long)]
    pub(crate) prev_kv: bool,
    /// Updates the key using its current value
    #[arg(long)]
    pub(crate) ignore_value: bool,
    /// Updates the key using its current lease
    #[arg(long)]
    pub(crate) ignore_lease: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Del {
    #[arg(value_name = "KEY [RANGE_END]")]
    pub(crate) words: Vec<String>,
    /// Delete keys with matching prefix
    #[arg(long)]
    pub(crate) prefix: bool,
    /// Return deleted key-value pairs
    #[arg(long)]
    pub(crate) prev_kv: bool,
    /// Delete keys that are greater than or equal to the given key using byte compare
    #[arg(long)]
    pub(crate) from_key: bool,
    /// Say that two keys are a range and not two keys
    #[arg(long)]
    pub(crate) range: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Txn {
    #[arg(hide = true)]
    pub(crate) words: Vec<String>,
    /// Say what is read next
    #[arg(short, long)]
    pub(crate) interactive: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Compaction {
    #[arg(value_name = "REVISION")]
    pub(crate) words: Vec<String>,
    /// Wait for compaction to physically remove all old revisions
    #[arg(long)]
    pub(crate) physical: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Watch {
    #[arg(value_name = "KEY [RANGE_END]")]
    pub(crate) words: Vec<String>,
    /// What to run for each event
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) exec: Vec<String>,
    /// Interactive mode: lines of "watch KEY ..." and "progress" from stdin
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Watch on a prefix
    #[arg(long)]
    pub(crate) prefix: bool,
    /// Revision to start watching
    #[arg(long, default_value_t = 0)]
    pub(crate) rev: i64,
    /// Get the previous key-value pair before the event happens
    #[arg(long)]
    pub(crate) prev_kv: bool,
    /// Get periodic watch progress notification from server
    #[arg(long)]
    pub(crate) progress_notify: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Lease {
    /// Creates leases
    Grant(Words),
    /// Revokes leases
    Revoke(Words),
    /// Get lease information
    Timetolive(TimeToLive),
    /// List all active leases
    List,
    /// Keeps leases alive (renew)
    KeepAlive(KeepAlive),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TimeToLive {
    #[arg(value_name = "LEASE_ID")]
    pub(crate) words: Vec<String>,
    /// Get keys attached to this lease
    #[arg(long)]
    pub(crate) keys: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct KeepAlive {
    #[arg(value_name = "LEASE_ID")]
    pub(crate) words: Vec<String>,
    /// Renew once and end
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Lock {
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// What to run while it is held
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) exec: Vec<String>,
    /// Timeout for session
    #[arg(long, default_value_t = 10)]
    pub(crate) ttl: i64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Elect {
    #[arg(value_name = "NAME [PROPOSAL]")]
    pub(crate) words: Vec<String>,
    /// Observation mode
    #[arg(short, long)]
    pub(crate) listen: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct MakeMirror {
    #[arg(value_name = "DESTINATION")]
    pub(crate) words: Vec<String>,
    /// Key-value prefix to mirror
    #[arg(long, default_value = "")]
    pub(crate) prefix: String,
    /// The revision of the source to start from
    #[arg(long, default_value_t = 0)]
    pub(crate) rev: i64,
    /// Most operations in a transaction on the destination
    #[arg(long, default_value_t = 128)]
    pub(crate) max_txn_ops: usize,
    /// Mirror the prefix to a different one in the destination cluster
    #[arg(long, default_value = "")]
    pub(crate) dest_prefix: String,
    /// Mirror key-values to the root of the destination cluster
    #[arg(long)]
    pub(crate) no_dest_prefix: bool,
    /// Destination USER[:PASSWORD]
    #[arg(long)]
    pub(crate) dest_user: Option<String>,
    /// Destination password
    #[arg(long)]
    pub(crate) dest_password: Option<String>,
    /// Certificate for the destination, PEM
    #[arg(long)]
    pub(crate) dest_cert: Option<String>,
    /// Its private key, PEM
    #[arg(long)]
    pub(crate) dest_key: Option<String>,
    /// Authorities of the destination's certificates, PEM
    #[arg(long)]
    pub(crate) dest_cacert: Option<String>,
}
