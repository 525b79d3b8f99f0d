//! Flags of what is about members and their cluster, and of what is about this program.

use clap::{Args, Subcommand};

use super::Words;

#[derive(Debug, Subcommand)]
pub(crate) enum Member {
    /// Lists all members in the cluster
    List(MemberList),
    /// Adds a member into the cluster
    Add(MemberAdd),
    /// Removes a member from the cluster
    Remove(Words),
    /// Updates a member in the cluster
    Update(MemberUpdate),
    /// Promotes a non-voting member in the cluster
    Promote(Words),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct MemberList {
    /// Linearizable(l) or Serializable(s)
    #[arg(long, default_value = "l")]
    pub(crate) consistency: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct MemberAdd {
    #[arg(value_name = "NAME")]
    pub(crate) words: Vec<String>,
    /// Comma separated peer URLs for the new member
    #[arg(long, default_value = "")]
    pub(crate) peer_urls: String,
    /// The new member is a learner
    #[arg(long)]
    pub(crate) learner: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct MemberUpdate {
    #[arg(value_name = "MEMBER_ID")]
    pub(crate) words: Vec<String>,
    /// Comma separated peer URLs for the updated member
    #[arg(long, default_value = "")]
    pub(crate) peer_urls: String,
}

#[derive(Debug, Args)]
pub(crate) struct Endpoint {
    /// Use all endpoints from the cluster member list
    #[arg(long, global = true)]
    pub(crate) cluster: bool,
    #[command(subcommand)]
    pub(crate) task: EndpointTask,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EndpointTask {
    /// Checks the healthiness of endpoints
    Health,
    /// Prints out the status of endpoints
    Status,
    /// Prints the KV history hash for each endpoint
    Hashkv {
        /// Maximum revision to hash (default: latest revision)
        #[arg(long, default_value_t = 0)]
        rev: i64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Alarm {
    /// Lists all alarms
    List,
    /// Disarms all alarms
    Disarm,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Defrag {
    /// Use all endpoints from the cluster member list
    #[arg(long)]
    pub(crate) cluster: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Stores a member's state in a file
    Save(Words),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Check {
    /// Check the performance of the cluster, for a minute
    Perf(Perf),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Perf {
    /// The workload: s(small), m(medium), l(large), xl(xLarge)
    #[arg(long, default_value = "s")]
    pub(crate) load: String,
    /// The prefix for writing the check's keys
    #[arg(long, default_value = "/etcdctl-check-perf/")]
    pub(crate) prefix: String,
    /// Compact storage with last revision after test is finished
    #[arg(long)]
    pub(crate) auto_compact: bool,
    /// Defragment storage after test is finished
    #[arg(long)]
    pub(crate) auto_defrag: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Completion {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}
