//! Moving in from etcd, without a member running: a snapshot of it becomes the data directory of a member of a new cluster.
//!
//! Keys keep their revisions and versions, leases their ids and keys. History is kept as far as etcd has not compacted it. Alarms stay
//! behind: they are about members that are no more. A snapshot with auth switched on is refused, because a member without its users
//! would let everybody in. Holds the whole snapshot in memory.

use std::fs;
use std::path::Path;

use bolt::{BoltError, EtcdEvent, EtcdSnapshot};
use bytes::Bytes;
use model::{Event, EventKind, KEY_BYTES_MAX, KeyValue, LeaseId, LogId, LogIndex, Revision, Term};
use state::Rebuild;

use crate::restore::{RestoreConfig, RestoreError, check, make};

/// Size of the pieces in which the state goes into the store, in bytes.
const PIECE_BYTES_MAX: usize = 256 * 1024;

/// What was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtcdImported {
    /// The newest revision.
    pub revision: Revision,
    /// The oldest revision that can be read; zero if history was never compacted.
    pub compact_revision: Revision,
    /// Keys that live at the newest revision.
    pub keys: usize,
    /// Leases.
    pub leases: usize,
    /// Users that were left out: nobody was asked who they are.
    pub users: usize,
    /// Roles that were left out.
    pub roles: usize,
}

/// Makes a data directory from a snapshot of etcd: what `etcdctl snapshot save` wrote, or a copy of a member's `db`. Blocks on the disk.
///
/// # Errors
///
/// [`RestoreError::Etcd`] when the snapshot cannot be used; as [`restore`](crate::restore). Nothing is left behind.
pub fn import_etcd(file: &Path, config: &RestoreConfig) -> Result<EtcdImported, RestoreError> {
    let founding = check(config)?;
    let refused = |reason: String| RestoreError::Etcd { path: file.to_owned(), reason };
    let content = fs::read(file).map_err(|error| refused(format!("it cannot be read: {error}")))?;
    let unusable = |error: BoltError| refused(error.to_string());
    let snapshot = EtcdSnapshot::open(Bytes::from(content)).map_err(unusable)?;
    let auth = snapshot.auth().map_err(unusable)?;
    if auth.is_enabled {
        return Err(refused(
            "auth is switched on in it, and users are not imported in this version: switch it off before the snapshot is saved"
                .to_owned(),
        ));
    }
    let (term, index) = snapshot.applied().map_err(unusable)?;
    let last = LogId { term: Term::new(term.max(1)), index: LogIndex::new(index.max(1)) };
    let compact_revision = Revision::new(snapshot.compact_revision().map_err(unusable)?);
    let leases = snapshot.leases().map_err(unusable)?;
    let mut rebuild = Rebuild::new(compact_revision);
    for lease in &leases {
        rebuild.lease(LeaseId::new(lease.id), lease.ttl, lease.remaining_ttl);
    }
    for event in snapshot.events().map_err(unusable)? {
        let sub = event.sub;
        let event = translate(event).map_err(refused)?;
        rebuild.event(event, sub).map_err(|fault| refused(fault.to_string()))?;
    }
    let imported = EtcdImported {
        revision: rebuild.revision(),
        compact_revision,
        keys: rebuild.keys(),
        leases: leases.len(),
        users: auth.users.len(),
        roles: auth.roles.len(),
    };
    make(config, founding, last, |restoration| {
        for piece in rebuild.pieces(last, PIECE_BYTES_MAX) {
            restoration.write(piece.map_err(consensus::Error::State)?)?;
        }
        Ok(())
    })?;
    Ok(imported)
}

fn translate(event: EtcdEvent) -> Result<Event, String> {
    let EtcdEvent { revision, sub: _, is_delete, kv } = event;
    // As it is stored: a zero byte takes two.
    let length = kv.key.len() + kv.key.iter().filter(|byte| **byte == 0).count();
    if length > KEY_BYTES_MAX {
        return Err(format!(
            "a key of {} bytes: at most {KEY_BYTES_MAX} can be stored (a zero byte counts twice)",
            kv.key.len()
        ));
    }
    let mod_revision = Revision::new(revision);
    if is_delete {
        let kv = KeyValue { key: kv.key, mod_revision, ..KeyValue::default() };
        return Ok(Event { kind: EventKind::Delete, kv, previous: None });
    }
    let kv = KeyValue {
        key: kv.key,
        value: kv.value,
        create_revision: Revision::new(kv.create_revision),
        mod_revision,
        version: kv.version,
        lease: LeaseId::new(kv.lease),
    };
    Ok(Event { kind: EventKind::Put, kv, previous: None })
}
