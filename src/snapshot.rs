//! `quorate snapshot`: what is done with a saved snapshot while no member runs. Flags are those of etcd's own tool.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use node::{BackupStatus, ClusterState, InitialCluster, RestoreConfig, RevisionBump};

use crate::config::{Url, parse_members};

/// What to do with a snapshot.
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotTask {
    /// Read it to its end and print hash, revision, keys and size.
    Status {
        /// What `etcdctl snapshot save` wrote.
        file: PathBuf,
    },
    /// Make a new data directory from it, of a member of a new cluster. Restore every member of that cluster from the same file, each
    /// with its own name, then start them with the same flags.
    Restore(RestoreFlags),
}

/// Flags of a restore.
#[derive(Clone, Debug, Args)]
pub(crate) struct RestoreFlags {
    /// What `etcdctl snapshot save` wrote
    file: PathBuf,
    /// Human-readable name of the member
    #[arg(long, default_value = "default")]
    name: String,
    /// Where everything will be kept; must not exist [default: NAME.quorate]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Addresses that peers are told; the member's identity is made of them
    #[arg(long, value_delimiter = ',', default_value = "http://localhost:2380")]
    initial_advertise_peer_urls: Vec<String>,
    /// Members of the new cluster, NAME=URL,..., this one among them [default: this member]
    #[arg(long)]
    initial_cluster: Option<String>,
    /// Keeps the new cluster and the one before apart: take another one than that had
    #[arg(long, default_value = "etcd-cluster")]
    initial_cluster_token: String,
    /// Set the revision forward by so much, more than was written since the snapshot: what clients saw then cannot come back with
    /// another meaning
    #[arg(long, default_value_t = 0)]
    bump_revision: u64,
    /// Have all before that revision count as compacted, so that watches from there are told; belongs to --bump-revision
    #[arg(long)]
    mark_compacted: bool,
    /// Not part of this version
    #[arg(long, hide = true)]
    skip_hash_check: bool,
}

impl RestoreFlags {
    fn config(&self) -> Result<RestoreConfig> {
        ensure!(!self.skip_hash_check, "--skip-hash-check is not part of this version");
        ensure!(
            (self.bump_revision > 0) == self.mark_compacted,
            "--bump-revision, above 0, and --mark-compacted belong together"
        );
        ensure!(!self.name.is_empty() && !self.name.contains(['=', ',']), "--name must be set and hold no '=' or ','");
        let members = match &self.initial_cluster {
            None => [(self.name.clone(), self.initial_advertise_peer_urls.clone())].into(),
            Some(list) => parse_members(list)?,
        };
        for url in members.values().flatten().chain(&self.initial_advertise_peer_urls) {
            Url::parse(url).with_context(|| format!("{url:?} is not an address of a peer"))?;
        }
        Ok(RestoreConfig {
            data_dir: self.data_dir.clone().unwrap_or_else(|| format!("{}.quorate", self.name).into()),
            name: self.name.clone(),
            peer_urls: self.initial_advertise_peer_urls.clone(),
            initial_cluster: InitialCluster {
                members,
                token: self.initial_cluster_token.clone(),
                state: ClusterState::New,
            },
            bump: (self.bump_revision > 0).then_some(RevisionBump(self.bump_revision)),
        })
    }
}

/// Does it.
///
/// # Errors
///
/// Flags that contradict each other, a snapshot that cannot be used, a directory that cannot be made.
pub(crate) fn run(task: &SnapshotTask) -> Result<()> {
    match task {
        SnapshotTask::Status { file } => print_status(&node::inspect(file)?),
        SnapshotTask::Restore(flags) => restore(&flags.file, &flags.config()?),
    }
}

fn print_status(status: &BackupStatus) -> Result<()> {
    let mut hash = String::new();
    for byte in status.checksum {
        hash.push_str(&format!("{byte:02x}"));
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "hash      {hash}")?;
    writeln!(out, "revision  {}", status.revision)?;
    writeln!(out, "compacted {}", status.compact_revision)?;
    writeln!(out, "keys      {}", status.keys)?;
    writeln!(out, "size      {}", status.bytes)?;
    Ok(())
}

fn restore(file: &Path, config: &RestoreConfig) -> Result<()> {
    let status = node::restore(file, config)?;
    let (name, data_dir) = (&config.name, config.data_dir.display());
    writeln!(std::io::stdout().lock(), "restored {name} at revision {} into {data_dir}", status.revision)?;
    Ok(())
}

/// What to make a data directory of.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportTask {
    /// A snapshot that was saved from a real etcd, or a copy of its file `member/snap/db`: keys with their revisions and leases.
    EtcdSnapshot(RestoreFlags),
}

/// Makes a member of a new cluster from another program's data.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn import(task: &ImportTask) -> Result<()> {
    let ImportTask::EtcdSnapshot(flags) = task;
    let config = flags.config()?;
    let imported = node::import_etcd(&flags.file, &config)?;
    let (name, data_dir) = (&config.name, config.data_dir.display());
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "imported {} keys and {} leases at revision {} into {data_dir}, as {name}",
        imported.keys, imported.leases, imported.revision
    )?;
    if imported.users > 0 || imported.roles > 0 {
        let (users, roles) = (imported.users, imported.roles);
        writeln!(out, "left out {users} users and {roles} roles, which were not enforced: add them again")?;
    }
    Ok(())
}
