//! Clusters of real processes under load, while members and the network fail; every client's history is checked afterwards.
//!
//! A [`members::Cluster`] is three processes on loopback ports with their data below a temporary folder. Members are killed,
//! paused, stopped and replaced by their process ids. Between them stands [`network::Network`]: each member advertises the address
//! of a proxy in this process, which knows from `/proc` who dials, so that every direction between two members can be cut,
//! delayed or slowed by itself, without privileges. What a cut holds back arrives when it heals, as it does with TCP.
//!
//! [`load`] is what clients do meanwhile: writes, reads, transactions, watches, leases, locks over REST, compaction. Each scenario
//! ends with [`run::Run::finish`]: all members catch up, have one hash at one revision, and the checks of [`crate::checker`] find
//! nothing. Scenarios are named after the failures of peers that they look for (K-numbers).
//!
//! Clusters take turns, because two of them would disturb each other's timers. With `QUORATE_CLUSTER_OF=etcd` the scenarios run
//! on Debian's etcd 3.4 instead, without locks over REST and without progress notices, which it gets wrong: the proof that the
//! harness is right where etcd is.

mod client;
mod convert;
mod http;
mod load;
mod member;
pub(crate) mod members;
mod network;
mod network_tests;
mod program;
mod run;

mod crashes;
mod disk;
mod leases;
mod membership;
mod partitions;
mod pauses;
mod queues;
mod restarts;
mod snapshots;
mod tools;
mod upkeep;
