//! What can be claimed, by name: where the record of a session's claim on it is, and which places a record stands for.

use bytes::Bytes;
use model::LeaseId;
use recipes::{ClaimRecord, Place, contender_key, readers};

/// A thing that sessions claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimable {
    /// A mutex.
    Mutex {
        /// What the keys of its contenders begin with, slash included.
        prefix: Bytes,
    },
    /// A read-write lock.
    ReadWrite {
        /// What its keys begin with, slash included.
        prefix: Bytes,
        /// What the keys of the records of its claims begin with.
        records: Bytes,
    },
    /// A semaphore.
    Semaphore {
        /// What the keys of its claims begin with, slash included.
        prefix: Bytes,
        /// The key of its limit.
        limit: Bytes,
    },
    /// Several mutexes at once.
    Set {
        /// What the keys of the records of its claims begin with.
        records: Bytes,
    },
}

impl Claimable {
    /// The key of the record of a session's claim.
    #[must_use]
    pub fn record_key(&self, lease: LeaseId) -> Bytes {
        match self {
            Self::Mutex { prefix } | Self::Semaphore { prefix, .. } => contender_key(prefix, lease),
            Self::ReadWrite { records, .. } | Self::Set { records } => contender_key(records, lease),
        }
    }

    /// The places of a claim with this record.
    #[must_use]
    pub fn places(&self, record: &ClaimRecord) -> Vec<Place> {
        match self {
            Self::Mutex { prefix } => vec![Place::Mutex { prefix: prefix.clone() }],
            Self::ReadWrite { prefix, .. } => {
                let reads = record.keys.iter().any(|key| key.as_bytes().starts_with(&readers(prefix)));
                let prefix = prefix.clone();
                vec![if reads { Place::Reader { prefix } } else { Place::Writer { prefix } }]
            }
            Self::Semaphore { prefix, limit } => {
                let permits = record.permits.unwrap_or(1).max(1);
                vec![Place::Permits { prefix: prefix.clone(), limit: limit.clone(), permits }]
            }
            Self::Set { .. } => record.keys.iter().filter_map(|key| mutex_of(key)).collect(),
        }
    }
}

/// The mutex that a claim's key is in the line of.
fn mutex_of(key: &str) -> Option<Place> {
    let (line, _) = key.rsplit_once('/')?;
    Some(Place::Mutex { prefix: format!("{line}/").into() })
}
