//! A place in a line, and when it holds: the one function that the machine decides by and that those who wait are woken by.
//!
//! | line | keys | holds |
//! |---|---|---|
//! | mutex | `<prefix><lease>` | the oldest |
//! | read-write lock | `<prefix>read/<lease>`, `<prefix>write/<lease>` | a writer that is the oldest of all; readers older than every writer |
//! | semaphore | `<prefix><lease>` | those at the front that fit within the limit together |
//!
//! The first two are the layouts of etcd's own clients, who therefore stand in the same lines. They order a read-write lock by
//! mod revision, so its keys are never written twice. A writer that lets readers in keeps its key, and with it its place before
//! the writers that wait; a key `<prefix>shared/<lease>` beside it says so. To etcd's readers it stays a writer: they wait
//! longer than they must, which is safe.
//!
//! Who holds is always the front of the line, whatever its kind: nobody behind one who waits holds.

use bytes::{BufMut, Bytes, BytesMut};
use model::{LeaseId, Revision};

use crate::codec::{CodecError, get_bytes, get_u8, get_u32, malformed, put_bytes};
use crate::invalid::{Invalid, check_key};
use crate::{Contender, Ledger, Queue, SemaphoreLimit, contender_key};

/// A place to be taken in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the line of a mutex.
    Mutex {
        /// What all its keys begin with.
        prefix: Bytes,
    },
    /// Among the writers of a read-write lock.
    Writer {
        /// What all its keys begin with.
        prefix: Bytes,
    },
    /// Among its readers.
    Reader {
        /// What all its keys begin with.
        prefix: Bytes,
    },
    /// In the line of a semaphore.
    Permits {
        /// What all keys of its claims begin with.
        prefix: Bytes,
        /// The key of its limit, outside the line.
        limit: Bytes,
        /// How many permits are asked for: at least one.
        permits: u32,
    },
}

/// How a place stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Granted,
    /// It waits.
    Queued {
        /// How many places are before it in the line, those that hold included: at least one, unless a semaphore has less permits than
        /// the place asks for.
        ahead: usize,
    },
}

/// What decides about places: the machine reads it from its ledger, those who wait follow it.
pub trait Lines {
    /// A local failure.
    type Fault;

    /// The keys below `prefix`.
    ///
    /// # Errors
    ///
    /// A local failure; pass it on.
    fn line(&mut self, prefix: &Bytes) -> Result<&Queue, Self::Fault>;

    /// The limit that a semaphore has; `None` if it was never given one.
    ///
    /// # Errors
    ///
    /// A local failure; pass it on.
    fn limit(&mut self, key: &Bytes) -> Result<Option<SemaphoreLimit>, Self::Fault>;
}

impl<L: Ledger> Lines for L {
    type Fault = L::Fault;

    fn line(&mut self, prefix: &Bytes) -> Result<&Queue, L::Fault> {
        self.contenders(prefix)
    }

    fn limit(&mut self, key: &Bytes) -> Result<Option<SemaphoreLimit>, L::Fault> {
        Ok(self.get(key)?.map(|kv| SemaphoreLimit::read(&kv.value)))
    }
}

/// What the keys of a read-write lock's writers begin with.
#[must_use]
pub fn writers(prefix: &[u8]) -> Bytes {
    [prefix, b"write/"].concat().into()
}

/// What the keys of its readers begin with.
#[must_use]
pub fn readers(prefix: &[u8]) -> Bytes {
    [prefix, b"read/"].concat().into()
}

/// What the keys begin with by which a writer lets readers in.
#[must_use]
pub fn sharers(prefix: &[u8]) -> Bytes {
    [prefix, b"shared/"].concat().into()
}

impl Place {
    /// What all keys of the line begin with.
    #[must_use]
    pub const fn line(&self) -> &Bytes {
        match self {
            Self::Mutex { prefix }
            | Self::Writer { prefix }
            | Self::Reader { prefix }
            | Self::Permits { prefix, .. } => prefix,
        }
    }

    /// The key of a session's place.
    #[must_use]
    pub fn key(&self, lease: LeaseId) -> Bytes {
        match self {
            Self::Mutex { prefix } | Self::Permits { prefix, .. } => contender_key(prefix, lease),
            Self::Writer { prefix } => contender_key(&writers(prefix), lease),
            Self::Reader { prefix } => contender_key(&readers(prefix), lease),
        }
    }

    /// All prefixes whose keys decide about the place.
    #[must_use]
    pub fn lines(&self) -> Vec<Bytes> {
        match self {
            Self::Mutex { prefix } | Self::Permits { prefix, .. } => vec![prefix.clone()],
            Self::Writer { prefix } | Self::Reader { prefix } => vec![prefix.clone(), writers(prefix), sharers(prefix)],
        }
    }

    /// How the place `key` of `create_revision` stands, or would stand if it were taken.
    ///
    /// # Errors
    ///
    /// A local failure; pass it on.
    pub fn standing<L: Lines>(
        &self,
        lines: &mut L,
        create_revision: Revision,
        key: &[u8],
    ) -> Result<Standing, L::Fault> {
        let ahead = match self {
            Self::Mutex { prefix } => lines.line(prefix)?.ahead_of(create_revision, key),
            Self::Writer { prefix } => rank(lines, prefix, create_revision, key)?,
            Self::Reader { prefix } => match barring_writer(lines, prefix)? {
                Some(writer) if (writer.create_revision, &writer.key[..]) < (create_revision, key) => {
                    rank(lines, prefix, create_revision, key)?
                }
                Some(_) | None => 0,
            },
            Self::Permits { prefix, limit, permits } => {
                let limit = lines.limit(limit)?.unwrap_or_default();
                let line = lines.line(prefix)?;
                let through = line.weight_ahead_of(create_revision, key) + u64::from(*permits);
                if create_revision <= limit.settled() || through <= u64::from(limit.limit) {
                    return Ok(Standing::Granted);
                }
                return Ok(Standing::Queued { ahead: line.ahead_of(create_revision, key) });
            }
        };
        Ok(if ahead == 0 { Standing::Granted } else { Standing::Queued { ahead } })
    }

    /// How many places of the line there are, and how many of them hold.
    ///
    /// # Errors
    ///
    /// A local failure; pass it on.
    pub fn census<L: Lines>(&self, lines: &mut L) -> Result<Census, L::Fault> {
        match self {
            Self::Mutex { prefix } => {
                let places = lines.line(prefix)?.len();
                Ok(Census { places, holders: places.min(1) })
            }
            Self::Writer { prefix } | Self::Reader { prefix } => {
                let places = lines.line(prefix)?.len() - lines.line(&sharers(prefix))?.len();
                let holders = match barring_writer(lines, prefix)? {
                    None => places,
                    Some(writer) => rank(lines, prefix, writer.create_revision, &writer.key)?.max(1),
                };
                Ok(Census { places, holders })
            }
            Self::Permits { prefix, limit, .. } => {
                let limit = lines.limit(limit)?.unwrap_or_default();
                let line = lines.line(prefix)?;
                Ok(Census { places: line.len(), holders: limit.holders(line) })
            }
        }
    }

    pub(crate) fn check(&self, lease: LeaseId) -> Result<(), Invalid> {
        if self.line().is_empty() {
            return Err(Invalid::EmptyPrefix);
        }
        if let Self::Permits { prefix, limit, permits } = self {
            check_key(limit)?;
            if limit.starts_with(prefix) {
                return Err(Invalid::RecordContends);
            }
            if *permits == 0 {
                return Err(Invalid::NoPermits);
            }
        }
        check_key(&self.key(lease))
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        let (tag, prefix) = match self {
            Self::Mutex { prefix } => (0, prefix),
            Self::Writer { prefix } => (1, prefix),
            Self::Reader { prefix } => (2, prefix),
            Self::Permits { prefix, .. } => (3, prefix),
        };
        out.put_u8(tag);
        put_bytes(out, prefix);
        if let Self::Permits { limit, permits, .. } = self {
            put_bytes(out, limit);
            out.put_u32_le(*permits);
        }
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let (tag, prefix) = (get_u8(from)?, get_bytes(from)?);
        match tag {
            0 => Ok(Self::Mutex { prefix }),
            1 => Ok(Self::Writer { prefix }),
            2 => Ok(Self::Reader { prefix }),
            3 => Ok(Self::Permits { prefix, limit: get_bytes(from)?, permits: get_u32(from)? }),
            _ => Err(malformed("unknown kind of place")),
        }
    }
}

/// The places of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// How many there are.
    pub places: usize,
    /// How many of them hold: those at the front.
    pub holders: usize,
}

impl Census {
    /// How many wait.
    #[must_use]
    pub const fn waiting(self) -> usize {
        self.places - self.holders
    }
}

/// How many places of a read-write lock are before this one; keys by which a writer lets readers in are no places.
fn rank<L: Lines>(lines: &mut L, prefix: &Bytes, create_revision: Revision, key: &[u8]) -> Result<usize, L::Fault> {
    let keys = lines.line(prefix)?.ahead_of(create_revision, key);
    let others = lines.line(&sharers(prefix))?.ahead_of(create_revision, key);
    Ok(keys - others)
}

/// The first writer of a read-write lock that lets no reader in behind it.
fn barring_writer<L: Lines>(lines: &mut L, prefix: &Bytes) -> Result<Option<Contender>, L::Fault> {
    let (sharers, writers) = (sharers(prefix), writers(prefix));
    let sharer = lines.line(&sharers)?.head().map(|sharer| sharer.key.slice(sharers.len()..));
    let line = lines.line(&writers)?;
    let shares = line.head().is_some_and(|first| Some(&first.key[writers.len()..]) == sharer.as_deref());
    Ok(line.nth(usize::from(shares)).cloned())
}
