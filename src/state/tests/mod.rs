//! The machine against the rules, against a reference model, and against crashes, on both storages.

mod auth;
mod auth_programs;
mod crashes;
mod facts;
mod installs;
mod pieces;
mod places;
mod programs;
mod readers;
mod rebuilds;
mod reference;
mod rig;
mod rules_alarm;
mod rules_kv;
mod rules_lease;
mod rules_txn;
mod storages;
