//! The claim: one place in one line, or one in each of several at once, for a session.
//!
//! - Who holds is a function of the keys alone (`place.rs`), decided by committed commands in log order. A claim on several lines
//!   holds when each of its places does; all of them are taken in one revision, so two claims never wait for each other.
//! - A session has one claim on a thing. Asking again returns it, place and token unchanged. The first time that it is asked for again
//!   its record is written anew, which is how [`GiveUp`](crate::GiveUp) sees that more than one request knows of it; from then on
//!   asking writes nothing.
//! - The token is the create revision of the claim's first key. Tokens rise in the order of the line, and so of the grants.
//! - A claim that is refused writes nothing, not even the session that was to be opened with it.

use bytes::{BufMut, Bytes, BytesMut};
use model::{KeyValue, LeaseId, Revision};
use serde_json::Value;

use crate::codec::{CodecError, get_bytes, get_option, get_u8, malformed, put_bytes, put_option};
use crate::invalid::{Invalid, check_key};
use crate::{AcquireOutcome, ClaimRecord, Enqueue, Ledger, Outcome, Place, Session, Standing};

/// Most places of one claim.
pub const PLACES_MAX: usize = 64;

/// Most names that a session may hold one claim under.
pub const HOLDS_MAX: usize = 256;

/// Longest name of a hold in bytes.
pub const HOLD_BYTES_MAX: usize = 128;

/// Claims places for a session, or returns the claim that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// For whom.
    pub session: Session,
    /// Where: at least one line, each at most once.
    pub places: Vec<Place>,
    /// Key of the record, where that is one apart; a claim on several lines and one on a read-write lock have one.
    pub record: Option<Bytes>,
    /// What to do when it does not hold at once.
    pub enqueue: Enqueue,
    /// The name of this hold, or nothing: a session that holds already holds once more under a new name.
    pub hold: Bytes,
    /// What the claimant says about itself, as JSON, or nothing. Of a claim that there is it stays as it was.
    pub meta: Bytes,
}

/// A claim that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Its first key.
    pub key: Bytes,
    /// Create revision of that: the fencing token, once the claim holds.
    pub token: Revision,
    /// The session.
    pub lease: LeaseId,
    /// What its record says.
    pub value: Bytes,
    /// How it stands.
    pub standing: Standing,
    /// Who is first in the line that it waits in.
    pub holder: Option<KeyValue>,
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// There is one.
    Claimed {
        /// It.
        claim: Claimed,
        /// Whether this command made it.
        is_new: bool,
    },
    /// It would not hold at once and the claimant would not wait. Nothing was written.
    Busy {
        /// Who is first in the line.
        holder: Option<KeyValue>,
    },
    /// The line is as long as the claimant would accept. Nothing was written.
    QueueFull {
        /// Who is first in the line.
        holder: Option<KeyValue>,
    },
    /// No such session: it expired, was closed, or never was. Nothing was written.
    SessionExpired,
    /// The session to be opened exists and has no such claim. Nothing was written.
    SessionConflict,
    /// The session has another claim on this: in another mode, for other permits, or on one of the lines. Nothing was written.
    OtherClaim,
    /// The session's claim is in pieces, because somebody deleted one of its keys: it has to be given up. Nothing was written.
    Broken,
    /// A semaphore has not so many permits. Nothing was written.
    LimitExceeded {
        /// How many it has.
        limit: u32,
    },
    /// There is no such semaphore. Nothing was written.
    NoLimit,
    /// The session holds under as many names as it may. Nothing was written.
    TooManyHolds,
}

impl From<AcquireOutcome> for ClaimOutcome {
    /// What came of a claim that is one key in a line in which the oldest holds.
    fn from(outcome: AcquireOutcome) -> Self {
        let claimed = |kv: KeyValue, standing, holder| {
            let KeyValue { key, value, create_revision: token, lease, .. } = kv;
            Claimed { key, token, lease, value, standing, holder }
        };
        match outcome {
            AcquireOutcome::Granted { claim, is_new } => {
                Self::Claimed { claim: claimed(claim, Standing::Granted, None), is_new }
            }
            AcquireOutcome::Queued { claim, is_new, ahead, holder } => {
                Self::Claimed { claim: claimed(claim, Standing::Queued { ahead }, Some(holder)), is_new }
            }
            AcquireOutcome::Busy { holder } => Self::Busy { holder: Some(holder) },
            AcquireOutcome::QueueFull { holder, .. } => Self::QueueFull { holder: Some(holder) },
            AcquireOutcome::SessionExpired => Self::SessionExpired,
            AcquireOutcome::SessionConflict => Self::SessionConflict,
        }
    }
}

impl Claim {
    /// The key of the record.
    fn record_key(&self) -> Bytes {
        let first = || self.places.first().map(|place| place.key(self.session.lease())).unwrap_or_default();
        self.record.clone().unwrap_or_else(first)
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.session.check()?;
        let lease = self.session.lease();
        if self.places.is_empty() || self.places.len() > PLACES_MAX {
            return Err(Invalid::PlacesOutOfRange);
        }
        for place in &self.places {
            place.check(lease)?;
        }
        for (at, place) in self.places.iter().enumerate() {
            // A line below another is the same line as far as that one is concerned.
            if self.places[at + 1..].iter().any(|other| overlap(place.line(), other.line())) {
                return Err(Invalid::PlaceTwice);
            }
        }
        let needs_record =
            self.places.len() > 1 || matches!(self.places[0], Place::Writer { .. } | Place::Reader { .. });
        let opened = match &self.session {
            Session::New(open) => open.record.as_ref().map(|record| &record.key),
            Session::Existing(_) => None,
        };
        let beside = self.record.iter().chain(opened);
        if beside.clone().any(|key| self.places.iter().any(|place| key.starts_with(place.line()))) {
            return Err(Invalid::RecordContends);
        }
        if needs_record != self.record.is_some() || self.record.as_ref().is_some_and(|record| Some(record) == opened) {
            return Err(Invalid::RecordMisplaced);
        }
        if self.hold.len() > HOLD_BYTES_MAX || std::str::from_utf8(&self.hold).is_err() {
            return Err(Invalid::HoldName);
        }
        if !self.meta.is_empty() && serde_json::from_slice::<Value>(&self.meta).is_err() {
            return Err(Invalid::Meta);
        }
        check_key(&self.record_key())
    }

    pub(crate) fn apply<L: Ledger>(&self, ledger: &mut L) -> Result<Outcome, L::Fault> {
        let outcome = match ledger.get(&self.record_key())? {
            Some(record) => self.present(record, ledger)?,
            None => self.make(ledger)?,
        };
        Ok(Outcome::Claim(outcome))
    }

    /// The claim that there is.
    fn present<L: Ledger>(&self, record: KeyValue, ledger: &mut L) -> Result<ClaimOutcome, L::Fault> {
        let lease = self.session.lease();
        let mut known = ClaimRecord::read(&record.value);
        let other_permits = self.permits().is_some() && known.permits != self.permits();
        if other_permits || (self.record.is_some() && known.keys != self.keys()) {
            return Ok(ClaimOutcome::OtherClaim);
        }
        let mut claim = None;
        for place in &self.places {
            let Some(kv) = ledger.get(&place.key(lease))?.filter(|kv| kv.lease == record.lease) else {
                return Ok(ClaimOutcome::Broken);
            };
            let standing = standing(place, kv.create_revision, &kv.key, ledger)?;
            worse(&mut claim, (standing, place, kv.create_revision));
        }
        let (standing, place, token) = claim.expect("a claim has at least one place");
        let holder = match standing {
            Standing::Granted => None,
            Standing::Queued { .. } => first_of(place, ledger)?,
        };
        let hold = self.hold();
        let is_same = known.is_held_as(hold);
        if !is_same && known.hold_count() >= HOLDS_MAX {
            return Ok(ClaimOutcome::TooManyHolds);
        }
        let mut value = record.value;
        if !is_same {
            known.add_hold(hold);
            value = known.write();
        }
        if !is_same || record.version == 1 {
            ledger.put(record.key, value.clone(), record.lease)?;
        }
        let key = self.places[0].key(lease);
        Ok(ClaimOutcome::Claimed { claim: Claimed { key, token, lease, value, standing, holder }, is_new: false })
    }

    /// Makes a claim, if session and lines allow.
    fn make<L: Ledger>(&self, ledger: &mut L) -> Result<ClaimOutcome, L::Fault> {
        let (lease, revision) = (self.session.lease(), ledger.revision());
        match (&self.session, ledger.lease_ttl(lease)) {
            (Session::Existing(_), None) => return Ok(ClaimOutcome::SessionExpired),
            (Session::New(_), Some(_)) => return Ok(ClaimOutcome::SessionConflict),
            (Session::Existing(_), Some(_)) | (Session::New(_), None) => {}
        }
        let mut worst = None;
        for place in &self.places {
            let key = place.key(lease);
            if ledger.get(&key)?.is_some() {
                return Ok(ClaimOutcome::OtherClaim);
            }
            if let Some(refusal) = exceeds(place, ledger)? {
                return Ok(refusal);
            }
            let standing = standing(place, revision, &key, ledger)?;
            worse(&mut worst, (standing, place, revision));
        }
        let (standing, place, token) = worst.expect("a claim has at least one place");
        let mut holder = None;
        if let Standing::Queued { .. } = standing {
            holder = first_of(place, ledger)?;
            match self.enqueue {
                Enqueue::TryOnly => return Ok(ClaimOutcome::Busy { holder }),
                Enqueue::Enqueue { waiting_max: Some(max) } if self.waiting(ledger)? >= max as usize => {
                    return Ok(ClaimOutcome::QueueFull { holder });
                }
                Enqueue::Enqueue { .. } => {}
            }
        }
        let value = self.write(ledger)?;
        let key = self.places[0].key(lease);
        Ok(ClaimOutcome::Claimed { claim: Claimed { key, token, lease, value, standing, holder }, is_new: true })
    }

    /// How many wait in the longest of the lines.
    fn waiting<L: Ledger>(&self, ledger: &mut L) -> Result<usize, L::Fault> {
        let mut waiting = 0;
        for place in &self.places {
            waiting = place.census(ledger)?.waiting().max(waiting);
        }
        Ok(waiting)
    }

    /// Writes the claim, its session first if that is new. Returns what its record says.
    fn write<L: Ledger>(&self, ledger: &mut L) -> Result<Bytes, L::Fault> {
        let lease = self.session.lease();
        if let Session::New(open) = &self.session {
            open.write(ledger)?;
        }
        let shown = ClaimRecord {
            permits: self.permits(),
            meta: serde_json::from_slice(&self.meta).ok(),
            ..ClaimRecord::default()
        };
        let holds = ClaimRecord::first_hold(self.hold());
        let Some(record) = &self.record else {
            let value = ClaimRecord { holds, ..shown }.write();
            ledger.put(self.places[0].key(lease), value.clone(), lease)?;
            return Ok(value);
        };
        for place in &self.places {
            ledger.put(place.key(lease), shown.write(), lease)?;
        }
        let value = ClaimRecord { holds, keys: self.keys(), ..shown }.write();
        ledger.put(record.clone(), value.clone(), lease)?;
        Ok(value)
    }

    fn keys(&self) -> Vec<String> {
        let lease = self.session.lease();
        self.places.iter().map(|place| String::from_utf8_lossy(&place.key(lease)).into_owned()).collect()
    }

    /// The permits asked for, by a claim on one semaphore.
    fn permits(&self) -> Option<u32> {
        match &self.places[..] {
            [Place::Permits { permits, .. }] => Some(*permits),
            _ => None,
        }
    }

    fn hold(&self) -> &str {
        std::str::from_utf8(&self.hold).unwrap_or_default()
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        self.session.put(out);
        out.put_u8(u8::try_from(self.places.len()).unwrap_or(u8::MAX));
        self.places.iter().take(u8::MAX.into()).for_each(|place| place.put(out));
        put_option(out, self.record.as_ref(), |out, record| put_bytes(out, record));
        self.enqueue.put(out);
        put_bytes(out, &self.hold);
        put_bytes(out, &self.meta);
    }

    pub(crate) fn get(from: &mut Bytes) -> Result<Self, CodecError> {
        let session = Session::get(from)?;
        let count = usize::from(get_u8(from)?);
        if count > PLACES_MAX {
            return Err(malformed("more places than a claim has"));
        }
        let places = (0..count).map(|_| Place::get(from)).collect::<Result<_, _>>()?;
        let record = get_option(from, get_bytes)?;
        let enqueue = Enqueue::get(from)?;
        Ok(Self { session, places, record, enqueue, hold: get_bytes(from)?, meta: get_bytes(from)? })
    }
}

fn overlap(one: &Bytes, other: &Bytes) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

fn standing<L: Ledger>(place: &Place, token: Revision, key: &[u8], ledger: &mut L) -> Result<Standing, L::Fault> {
    place.standing(ledger, token, key)
}

/// Keeps the place that has most before it, and the token of the first.
fn worse<'a>(
    worst: &mut Option<(Standing, &'a Place, Revision)>,
    (standing, place, token): (Standing, &'a Place, Revision),
) {
    let depth = |standing| match standing {
        Standing::Granted => None,
        Standing::Queued { ahead } => Some(ahead),
    };
    *worst = Some(match *worst {
        Some((known, at, token)) if depth(known) >= depth(standing) => (known, at, token),
        Some((_, _, token)) => (standing, place, token),
        None => (standing, place, token),
    });
}

/// Why a semaphore can never give what is asked for.
fn exceeds<L: Ledger>(place: &Place, ledger: &mut L) -> Result<Option<ClaimOutcome>, L::Fault> {
    let Place::Permits { limit, permits, .. } = place else { return Ok(None) };
    Ok(match crate::Lines::limit(ledger, limit)? {
        None => Some(ClaimOutcome::NoLimit),
        Some(known) if known.limit < *permits => Some(ClaimOutcome::LimitExceeded { limit: known.limit }),
        Some(_) => None,
    })
}

/// The key that is first in the line of a place.
fn first_of<L: Ledger>(place: &Place, ledger: &mut L) -> Result<Option<KeyValue>, L::Fault> {
    match ledger.contenders(place.line())?.head().cloned() {
        Some(head) => ledger.get(&head.key),
        None => Ok(None),
    }
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "claim_history_tests.rs"]
mod history_tests;
