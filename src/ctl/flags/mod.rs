//! The flags of all commands, as etcdctl has them.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::duration;

mod access;
mod cluster;
mod keys;

pub(crate) use access::{Auth, Passwd, Permission, Role, User, UserAdd, UserGet};
pub(crate) use cluster::{
    Alarm, Check, Completion, Defrag, Endpoint, EndpointTask, Member, MemberAdd, MemberList, MemberUpdate, Perf,
    Snapshot,
};
pub(crate) use keys::{Compaction, Del, Elect, Get, KeepAlive, Lease, Lock, MakeMirror, Put, TimeToLive, Txn, Watch};

/// Names of the flags that are on or off, which may be written `--flag=false` too.
const SWITCHES: &[&str] = &[
    "hex",
    "debug",
    "insecure-transport",
    "insecure-skip-tls-verify",
    "insecure-discovery",
    "prefix",
    "from-key",
    "keys-only",
    "count-only",
    "print-value-only",
    "prev-kv",
    "ignore-value",
    "ignore-lease",
    "range",
    "physical",
    "progress-notify",
    "interactive",
    "keys",
    "once",
    "learner",
    "cluster",
    "listen",
    "no-password",
    "detail",
    "no-dest-prefix",
    "dest-insecure-transport",
    "auto-compact",
    "auto-defrag",
];

/// Switches that are on when nothing is said: only `=false` means something.
const ON_BY_ITSELF: &[&str] = &["insecure-transport", "insecure-discovery", "dest-insecure-transport"];

/// A client of etcd's API, as etcdctl is.
#[derive(Debug, Parser)]
#[command(name = "etcdctl", disable_version_flag = true)]
pub struct Ctl {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What all commands take.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// gRPC endpoints
    #[arg(long, global = true, env = "ETCDCTL_ENDPOINTS", value_delimiter = ',', default_value = "127.0.0.1:2379")]
    pub(crate) endpoints: Vec<String>,
    /// How long connecting may take
    #[arg(long, global = true, env = "ETCDCTL_DIAL_TIMEOUT", default_value = "2s", value_parser = duration::parse)]
    pub(crate) dial_timeout: Duration,
    /// How long a short command may take
    #[arg(long, global = true, env = "ETCDCTL_COMMAND_TIMEOUT", default_value = "5s", value_parser = duration::parse)]
    pub(crate) command_timeout: Duration,
    /// How long a connection may be silent before it is tested
    #[arg(long, global = true, env = "ETCDCTL_KEEPALIVE_TIME", default_value = "2s", value_parser = duration::parse)]
    pub(crate) keepalive_time: Duration,
    /// How long that test may take
    #[arg(long, global = true, env = "ETCDCTL_KEEPALIVE_TIMEOUT", default_value = "6s", value_parser = duration::parse)]
    pub(crate) keepalive_timeout: Duration,
    /// Largest request in bytes; 0 is 2 MiB
    #[arg(long, global = true, env = "ETCDCTL_MAX_REQUEST_BYTES", default_value_t = 0)]
    pub(crate) max_request_bytes: usize,
    /// Largest response in bytes; 0 is as much as can be
    #[arg(long, global = true, env = "ETCDCTL_MAX_RECV_BYTES", default_value_t = 0)]
    pub(crate) max_recv_bytes: usize,
    /// Output format: fields, json, protobuf, simple or table
    #[arg(short = 'w', long, global = true, env = "ETCDCTL_WRITE_OUT", default_value = "simple")]
    pub(crate) write_out: String,
    /// Print keys and values in hexadecimal
    #[arg(long, global = true, env = "ETCDCTL_HEX")]
    pub(crate) hex: bool,
    /// Taken for etcdctl's sake; there is nothing more to log
    #[arg(long, global = true, env = "ETCDCTL_DEBUG")]
    pub(crate) debug: bool,
    /// Certificate of this client for TLS, PEM
    #[arg(long, global = true, env = "ETCDCTL_CERT")]
    pub(crate) cert: Option<String>,
    /// Its private key, PEM
    #[arg(long, global = true, env = "ETCDCTL_KEY")]
    pub(crate) key: Option<String>,
    /// Certificates of the authorities that servers' certificates must come from, PEM
    #[arg(long, global = true, env = "ETCDCTL_CACERT")]
    pub(crate) cacert: Option<String>,
    /// Take any certificate of a server: whoever is between can read and alter all
    #[arg(long, global = true, env = "ETCDCTL_INSECURE_SKIP_TLS_VERIFY")]
    pub(crate) insecure_skip_tls_verify: bool,
    /// USER[:PASSWORD]; without a password it is asked for
    #[arg(long, global = true, env = "ETCDCTL_USER")]
    pub(crate) user: Option<String>,
    /// The user's password, when --user does not say it
    #[arg(long, global = true, env = "ETCDCTL_PASSWORD", hide_env_values = true)]
    pub(crate) password: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Gets the key or a range of keys
    Get(Get),
    /// Puts the given key into the store; a value that is not given is read from stdin
    Put(Put),
    /// Removes the specified key or range of keys [key, range_end)
    Del(Del),
    /// Txn processes all the requests in one transaction, from stdin: compares, a blank line, requests on success, a blank line,
    /// requests on failure, a blank line
    Txn(Txn),
    /// Compacts the event history
    Compaction(Compaction),
    /// Watches events stream on keys or prefixes
    Watch(Watch),
    /// Lease related commands
    #[command(subcommand)]
    Lease(Lease),
    /// Membership related commands
    #[command(subcommand)]
    Member(Member),
    /// Endpoint related commands
    Endpoint(Endpoint),
    /// Alarm related commands
    #[command(subcommand)]
    Alarm(Alarm),
    /// Defragments the storage of the members with given endpoints
    Defrag(Defrag),
    /// Manages snapshots
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Transfers leadership to another member
    MoveLeader(Words),
    /// Enable, disable or look at authentication
    #[command(subcommand)]
    Auth(Auth),
    /// User related commands
    #[command(subcommand)]
    User(User),
    /// Role related commands
    #[command(subcommand)]
    Role(Role),
    /// Acquires a named lock, and runs a command while it is held
    Lock(Lock),
    /// Observes and participates in leader election
    Elect(Elect),
    /// Makes a mirror at the destination cluster
    MakeMirror(MakeMirror),
    /// Checks properties of the cluster
    #[command(subcommand)]
    Check(Check),
    /// Prints the version
    Version,
    /// Prints a script for completing commands
    Completion(Completion),
}

/// Arguments alone.
#[derive(Clone, Debug, Args)]
pub(crate) struct Words {
    #[arg(value_name = "ARGUMENT")]
    pub(crate) words: Vec<String>,
}

/// Writes `--switch=true` as `--switch` and leaves `--switch=false` out, up to `--`.
pub(crate) fn without_values_of_switches(arguments: Vec<String>) -> Vec<String> {
    let mut is_over = false;
    let keep = |argument: String| {
        is_over |= argument == "--";
        let Some((name, value)) = argument.strip_prefix("--").and_then(|flag| flag.split_once('=')) else {
            let is_default = argument.strip_prefix("--").is_some_and(|flag| ON_BY_ITSELF.contains(&flag));
            return (is_over || !is_default).then_some(argument);
        };
        // Whether a password is asked for is on by itself, and `--interactive` elsewhere is not.
        if is_over || !SWITCHES.contains(&name) || (name == "interactive" && value == "false") {
            return Some(argument);
        }
        match value {
            "true" | "1" | "t" if !ON_BY_ITSELF.contains(&name) => Some(format!("--{name}")),
            _ => None,
        }
    };
    arguments.into_iter().filter_map(keep).collect()
}
