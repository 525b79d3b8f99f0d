//! What etcd keeps in its snapshots: events, leases, where it stood, and whether it had auth.
//!
//! The bucket `key` has every event that compaction has left, by revision (`main:u64 5f sub:u64`, a tombstone with a `74` behind it);
//! `lease` the leases by id; `meta` where the log and compaction were; `auth`, `authUsers` and `authRoles` who may what. Integers in
//! keys are big-endian. Behind the file that `etcdctl snapshot save` writes comes the SHA-256 of all of it.

use bytes::Bytes;
use prost::Message;
use proto::authpb::{Role, User};
use proto::mvccpb::KeyValue;
use sha2::{Digest, Sha256};

use crate::{BoltError, Tree};

const CHECKSUM_BYTES: usize = 32;

/// What the length of a file is a multiple of, but for its checksum.
const BLOCK_BYTES: usize = 512;

/// A snapshot, opened.
#[derive(Clone, Debug)]
pub struct EtcdSnapshot {
    tree: Tree,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct EtcdEvent {
    /// Its revision.
    pub revision: i64,
    /// Its place within the revision.
    pub sub: u32,
    /// Whether it deletes the key, which is all that is known of `kv` then.
    pub is_delete: bool,
    /// What it put.
    pub kv: KeyValue,
}

/// A lease.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct EtcdLease {
    /// Its id.
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// Its time to live in seconds.
    #[prost(int64, tag = "2")]
    pub ttl: i64,
    /// What was left of it at the last checkpoint, in seconds; 0 if there was none.
    #[prost(int64, tag = "3")]
    pub remaining_ttl: i64,
}

/// Who may what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EtcdAuth {
    /// Whether it is enforced.
    pub is_enabled: bool,
    /// The revision of users and roles.
    pub revision: u64,
    /// The users, with hashes of their passwords.
    pub users: Vec<User>,
    /// The roles.
    pub roles: Vec<Role>,
}

impl EtcdSnapshot {
    /// Opens a file, and checks the checksum behind it if there is one: a copy of etcd's own `db` has none.
    ///
    /// # Errors
    ///
    /// [`BoltError::Checksum`], [`BoltError::Foreign`].
    pub fn open(mut file: Bytes) -> Result<Self, BoltError> {
        if file.len() % BLOCK_BYTES == CHECKSUM_BYTES {
            let checksum = file.split_off(file.len() - CHECKSUM_BYTES);
            if Sha256::digest(&file)[..] != checksum[..] {
                return Err(BoltError::Checksum);
            }
        }
        Tree::open(file).map(|tree| Self { tree })
    }

    /// All events that compaction has left, by revision.
    ///
    /// # Errors
    ///
    /// [`BoltError::Damaged`].
    pub fn events(&self) -> Result<Vec<EtcdEvent>, BoltError> {
        self.tree.bucket(b"key")?.into_iter().map(|(key, value)| event(&key, value)).collect()
    }

    /// The oldest revision that can be read; 0 if nothing was ever compacted.
    ///
    /// # Errors
    ///
    /// [`BoltError::Damaged`].
    pub fn compact_revision(&self) -> Result<i64, BoltError> {
        let meta = self.tree.bucket(b"meta")?;
        let names: [&[u8]; 2] = [b"scheduledCompactRev", b"finishedCompactRev"];
        let found = meta.iter().filter(|(key, _)| names.contains(&&key[..]));
        let revisions: Vec<_> =
            found.map(|(_, value)| revision(value).map(|(main, _)| main)).collect::<Result<_, _>>()?;
        Ok(revisions.into_iter().max().unwrap_or(0))
    }

    /// Term and index of the last entry of the log whose effects are in it. Before 3.5, the term is not known and 0.
    ///
    /// # Errors
    ///
    /// [`BoltError::Damaged`].
    pub fn applied(&self) -> Result<(u64, u64), BoltError> {
        let meta = self.tree.bucket(b"meta")?;
        let number = |name: &[u8]| {
            let value = meta.iter().find(|(key, _)| key == name).map(|(_, value)| &value[..]);
            value.map_or(Ok(0), big_endian)
        };
        Ok((number(b"term")?, number(b"consistent_index")?))
    }

    /// All leases.
    ///
    /// # Errors
    ///
    /// [`BoltError::Damaged`].
    pub fn leases(&self) -> Result<Vec<EtcdLease>, BoltError> {
        decoded(self.tree.bucket(b"lease")?, "a lease")
    }

    /// Users, roles, and whether they matter.
    ///
    /// # Errors
    ///
    /// [`BoltError::Damaged`].
    pub fn auth(&self) -> Result<EtcdAuth, BoltError> {
        let auth = self.tree.bucket(b"auth")?;
        let value = |name: &[u8]| auth.iter().find(|(key, _)| key == name).map(|(_, value)| &value[..]);
        Ok(EtcdAuth {
            is_enabled: value(b"authEnabled").is_some_and(|value| value == [1]),
            revision: value(b"authRevision").map_or(Ok(0), big_endian)?,
            users: decoded(self.tree.bucket(b"authUsers")?, "a user")?,
            roles: decoded(self.tree.bucket(b"authRoles")?, "a role")?,
        })
    }
}

fn decoded<T: Message + Default>(records: Vec<(Bytes, Bytes)>, what: &'static str) -> Result<Vec<T>, BoltError> {
    records.into_iter().map(|(_, value)| T::decode(value).map_err(|_| BoltError::Damaged(what))).collect()
}

fn event(key: &[u8], value: Bytes) -> Result<EtcdEvent, BoltError> {
    let (place, is_delete) = match key.split_at_checked(17) {
        Some((place, b"")) => (place, false),
        Some((place, b"t")) => (place, true),
        Some(_) | None => return Err(BoltError::Damaged("the key of an event")),
    };
    let (revision, sub) = revision(place)?;
    let kv = KeyValue::decode(value).map_err(|_| BoltError::Damaged("an event"))?;
    if kv.key.is_empty()
        || (!is_delete && (kv.mod_revision != revision || !(1..=revision).contains(&kv.create_revision)))
    {
        return Err(BoltError::Damaged("an event with another revision than its place"));
    }
    Ok(EtcdEvent { revision, sub, is_delete, kv })
}

/// `main:u64 5f sub:u64`, both within what a revision can be.
fn revision(bytes: &[u8]) -> Result<(i64, u32), BoltError> {
    let damaged = BoltError::Damaged("a revision");
    let Some((main, [b'_', sub @ ..])) = bytes.split_at_checked(8) else { return Err(damaged) };
    let (main, sub) = (i64::try_from(big_endian(main)?), u32::try_from(big_endian(sub)?));
    match (main, sub) {
        (Ok(main), Ok(sub)) => Ok((main, sub)),
        (Err(_), _) | (_, Err(_)) => Err(damaged),
    }
}

fn big_endian(bytes: &[u8]) -> Result<u64, BoltError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| BoltError::Damaged("a number of another length"))
}
