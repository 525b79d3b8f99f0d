//! The scenarios: what is done to a server, one module per family.
//!
//! Owns the list and its names, and what all of them share: the plan of a run, connections, and loading keys.

mod bulk;
mod kv;
mod lease;
mod lock;
mod preload;
mod txn;
mod watch;

use std::fmt;

use crate::connection::Connections;
use crate::keys::KeySpace;
use crate::load::Window;
use crate::sample::{Failure, Sample};
use crate::servers::Server;

/// How much of everything a run does; the same for every server.
#[derive(Clone)]
pub(crate) struct Plan {
    /// When operations are sent, and which count.
    pub(crate) window: Window,
    /// HTTP/2 connections that the clients of a scenario share; never more than there are clients.
    pub(crate) connections: usize,
    /// The keys of all scenarios but the bulk one.
    pub(crate) keys: KeySpace,
    /// Keys of the bulk scenario.
    pub(crate) bulk_keys: usize,
    /// Seed of everything random.
    pub(crate) seed: u64,
}

impl Plan {
    /// Opens the connections for `clients` clients.
    async fn connect(&self, server: &Server, clients: usize) -> Result<Connections, Failure> {
        Connections::open(&server.all_addresses(), self.connections.min(clients)).await
    }
}

/// What a get promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// The latest value.
    Linearizable,
    /// A value that this member had.
    Serializable,
}

/// The API that a lock is taken through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockFace {
    /// The best that the server has: REST on Quorate, the lock service of gRPC on etcd.
    Native,
    /// The lock service of gRPC.
    Grpc,
}

/// One scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Single puts.
    Put {
        /// Concurrent clients.
        clients: usize,
    },
    /// Single gets.
    Get {
        /// Concurrent clients.
        clients: usize,
        /// What each promises.
        consistency: Consistency,
    },
    /// Ranges of 100 keys.
    Range,
    /// Four gets to each put.
    Mixed,
    /// Transactions that compare and put.
    CompareAndSet,
    /// Granting leases.
    LeaseGrant,
    /// Keeping leases alive.
    LeaseKeepAlive,
    /// Locks without contention.
    OwnLock(LockFace),
    /// One lock with many contenders.
    HotLock(LockFace),
    /// Many watchers of one key.
    WatchFanOut,
    /// Many watchers of a key each.
    WatcherMemory,
    /// Many keys: loading, memory, restart.
    Bulk,
}

impl Scenario {
    /// Every scenario, in the order in which they run.
    pub(crate) const ALL: [Self; 19] = [
        Self::Put { clients: 1 },
        Self::Put { clients: 64 },
        Self::Put { clients: 256 },
        Self::Get { clients: 1, consistency: Consistency::Linearizable },
        Self::Get { clients: 64, consistency: Consistency::Linearizable },
        Self::Get { clients: 256, consistency: Consistency::Linearizable },
        Self::Get { clients: 64, consistency: Consistency::Serializable },
        Self::Range,
        Self::Mixed,
        Self::CompareAndSet,
        Self::LeaseGrant,
        Self::LeaseKeepAlive,
        Self::OwnLock(LockFace::Native),
        Self::OwnLock(LockFace::Grpc),
        Self::HotLock(LockFace::Native),
        Self::HotLock(LockFace::Grpc),
        Self::WatchFanOut,
        Self::WatcherMemory,
        Self::Bulk,
    ];

    /// What it does, in one line.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Put { .. } => "single puts of 256 B to random keys",
            Self::Get { consistency: Consistency::Linearizable, .. } => "linearizable gets of random keys",
            Self::Get { consistency: Consistency::Serializable, .. } => "serializable gets of random keys",
            Self::Range => "linearizable ranges of 100 keys, 64 clients",
            Self::Mixed => "80 % linearizable gets, 20 % puts, 64 clients",
            Self::CompareAndSet => "compare mod_revision and put, a key per client, 64 clients",
            Self::LeaseGrant => "lease grants, 64 clients",
            Self::LeaseKeepAlive => "keep-alives, a lease and a stream per client, 64 clients",
            Self::OwnLock(LockFace::Native) => {
                "lock and unlock, a lock per client, 64 clients; etcd over v3lock, Quorate over REST"
            }
            Self::OwnLock(LockFace::Grpc) => "lock and unlock, a lock per client, 64 clients, over the v3lock RPC",
            Self::HotLock(LockFace::Native) => "one lock, 16 contenders; etcd over v3lock, Quorate over REST",
            Self::HotLock(LockFace::Grpc) => "one lock, 16 contenders, over the v3lock RPC",
            Self::WatchFanOut => "1,000 watchers of one key",
            Self::WatcherMemory => "10,000 watchers of a key each",
            Self::Bulk => "many keys of 256 B: load, memory, restart",
        }
    }

    /// Whether the floor, which knows put and range only, can take part.
    pub(crate) fn suits_floor(self) -> bool {
        matches!(self, Self::Put { .. } | Self::Get { .. } | Self::Range | Self::Mixed)
    }

    /// Runs once against a server that has just been started on an empty data directory.
    ///
    /// # Errors
    /// The server does not offer what is needed, or fails.
    pub(crate) async fn run(self, server: &mut Server, plan: &Plan) -> Result<Sample, Failure> {
        match self {
            Self::Put { clients } => kv::put(server, plan, clients).await,
            Self::Get { clients, consistency } => kv::get(server, plan, clients, consistency).await,
            Self::Range => kv::range(server, plan).await,
            Self::Mixed => kv::mixed(server, plan).await,
            Self::CompareAndSet => txn::compare_and_set(server, plan).await,
            Self::LeaseGrant => lease::grant(server, plan).await,
            Self::LeaseKeepAlive => lease::keep_alive(server, plan).await,
            Self::OwnLock(face) => lock::own(server, plan, face).await,
            Self::HotLock(face) => lock::hot(server, plan, face).await,
            Self::WatchFanOut => watch::fan_out(server, plan).await,
            Self::WatcherMemory => watch::memory(server, plan).await,
            Self::Bulk => bulk::run(server, plan).await,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { clients } => write!(formatter, "put-{clients}"),
            Self::Get { clients, consistency: Consistency::Linearizable } => write!(formatter, "get-{clients}"),
            Self::Get { clients, consistency: Consistency::Serializable } => {
                write!(formatter, "get-serializable-{clients}")
            }
            Self::Range => formatter.write_str("range-100"),
            Self::Mixed => formatter.write_str("mixed"),
            Self::CompareAndSet => formatter.write_str("cas"),
            Self::LeaseGrant => formatter.write_str("lease-grant"),
            Self::LeaseKeepAlive => formatter.write_str("lease-keepalive"),
            Self::OwnLock(LockFace::Native) => formatter.write_str("own-lock"),
            Self::OwnLock(LockFace::Grpc) => formatter.write_str("own-lock-v3lock"),
            Self::HotLock(LockFace::Native) => formatter.write_str("hot-lock"),
            Self::HotLock(LockFace::Grpc) => formatter.write_str("hot-lock-v3lock"),
            Self::WatchFanOut => formatter.write_str("watch-fan-out"),
            Self::WatcherMemory => formatter.write_str("watchers-10k"),
            Self::Bulk => formatter.write_str("keys-1m"),
        }
    }
}
