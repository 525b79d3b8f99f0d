//! Claims of every kind done by hand, as a client of etcd does them: reads of whole lines, and transactions.
//!
//! Over a network these steps would race; run one after another they are an oracle. Who holds is found by looking at every key of a
//! line, without the crate's queue, places' standing or expansions.

use bytes::Bytes;
use model::{KeyRange, KeyValue, LeaseId, Revision};

use crate::testing::MemoryLedger;
use crate::{
    Claim, ClaimOutcome, ClaimRecord, Claimed, Enqueue, Extent, GiveUp, GiveUpOutcome, Ledger, Place, SemaphoreLimit,
    Session, Standing,
};

/// What [`Claim`] does. Of claims with one hold, without meta.
pub fn claim(store: &mut MemoryLedger, claim: &Claim) -> ClaimOutcome {
    let lease = claim.session.lease();
    let keys: Vec<Bytes> = claim.places.iter().map(|place| place.key(lease)).collect();
    let record_key = claim.record.clone().unwrap_or_else(|| keys[0].clone());
    if let Some(record) = read(store, &record_key) {
        let known = ClaimRecord::read(&record.value);
        let listed = known.keys.iter().map(|key| Bytes::from(key.clone())).eq(keys.iter().cloned());
        if (claim.record.is_some() && !listed)
            || permits_of(claim).is_some_and(|permits| known.permits != Some(permits))
        {
            return ClaimOutcome::OtherClaim;
        }
        if keys.iter().any(|key| read(store, key).is_none_or(|kv| kv.lease != record.lease)) {
            return ClaimOutcome::Broken;
        }
        if record.version == 1 {
            store.put_all([(record_key.clone(), record.value.clone(), record.lease)]);
        }
        return state(store, claim, &record_key, false);
    }
    match &claim.session {
        Session::Existing(lease) if store.lease_ttl(*lease).is_none() => return ClaimOutcome::SessionExpired,
        Session::New(_) => unreachable!("these histories open no sessions with claims"),
        Session::Existing(_) => {}
    }
    for (place, key) in claim.places.iter().zip(&keys) {
        if read(store, key).is_some() {
            return ClaimOutcome::OtherClaim;
        }
        if let Place::Permits { limit, permits, .. } = place {
            match read(store, limit).map(|kv| SemaphoreLimit::read(&kv.value).limit) {
                None => return ClaimOutcome::NoLimit,
                Some(limit) if limit < *permits => return ClaimOutcome::LimitExceeded { limit },
                Some(_) => {}
            }
        }
    }
    let before = store.clone();
    write(store, claim, &keys, &record_key);
    let made = state(store, claim, &record_key, true);
    let ClaimOutcome::Claimed { claim: Claimed { standing: Standing::Queued { .. }, holder, .. }, .. } = &made else {
        return made;
    };
    let refusal = match claim.enqueue {
        Enqueue::TryOnly => Some(ClaimOutcome::Busy { holder: holder.clone() }),
        Enqueue::Enqueue { waiting_max: Some(max) } if longest(&before, claim) >= max as usize => {
            Some(ClaimOutcome::QueueFull { holder: holder.clone() })
        }
        Enqueue::Enqueue { .. } => None,
    };
    if let Some(refusal) = refusal {
        *store = before;
        return refusal;
    }
    made
}

/// What [`GiveUp`] does with a whole claim.
pub fn give_up(store: &mut MemoryLedger, give_up: &GiveUp) -> GiveUpOutcome {
    let Some(kv) = read(store, &give_up.record) else { return GiveUpOutcome::NotHeld };
    let record = ClaimRecord::read(&kv.value);
    let first = record.keys.first().and_then(|key| read(store, key.as_bytes())).filter(|first| first.lease == kv.lease);
    let token = first.map_or(kv.create_revision, |first| first.create_revision);
    if give_up.extent == Extent::IfUnseen && kv.version > 1 {
        return GiveUpOutcome::Stays { holds: 1 };
    }
    let own = |key: &String| read(store, key.as_bytes()).filter(|other| other.lease == kv.lease).map(|other| other.key);
    let mut keys: Vec<Bytes> = record.keys.iter().chain(&record.shared).filter_map(own).collect();
    keys.push(kv.key);
    store.delete_all(&keys);
    GiveUpOutcome::Gone { token }
}

/// The claims of a line that hold: at the front, found by going through them one by one.
#[must_use]
pub fn holders(store: &MemoryLedger, place: &Place) -> Vec<KeyValue> {
    let mut line = line(store, place);
    let count = match place {
        Place::Mutex { .. } => line.len().min(1),
        Place::Writer { prefix } | Place::Reader { prefix } => {
            let part = |kv: &KeyValue, part: &str| kv.key[prefix.len()..].starts_with(part.as_bytes());
            let sharer = read_all(store, prefix).into_iter().find(|kv| part(kv, "shared/"));
            let shares = |kv: &KeyValue| {
                sharer.as_ref().is_some_and(|sharer| {
                    sharer.key.rsplit(|b| *b == b'/').next() == kv.key.rsplit(|b| *b == b'/').next()
                })
            };
            let first_writer = line.iter().position(|kv| part(kv, "write/"));
            let bars = |(at, kv): &(usize, &KeyValue)| part(kv, "write/") && !(Some(*at) == first_writer && shares(kv));
            line.iter().enumerate().find(bars).map_or(line.len(), |(at, _)| at.max(1))
        }
        Place::Permits { limit, .. } => {
            let limit = read(store, limit).map(|kv| SemaphoreLimit::read(&kv.value)).unwrap_or_default();
            let mut left = u64::from(limit.limit);
            let fits = |kv: &&KeyValue| {
                let permits = u64::from(ClaimRecord::read(&kv.value).permits.unwrap_or(1));
                let fits = permits <= left;
                left = if fits { left - permits } else { 0 };
                fits
            };
            let within = line.iter().take_while(fits).count();
            within.max(line.iter().filter(|kv| kv.create_revision <= limit.settled()).count())
        }
    };
    line.truncate(count);
    line
}

fn read(store: &MemoryLedger, key: &[u8]) -> Option<KeyValue> {
    let Ok(kv) = store.get(key);
    kv
}

fn read_all(store: &MemoryLedger, prefix: &Bytes) -> Vec<KeyValue> {
    store.range(&KeyRange::prefix(prefix.clone())).cloned().collect()
}

/// The places of a line, oldest first.
fn line(store: &MemoryLedger, place: &Place) -> Vec<KeyValue> {
    let prefix = place.line();
    let mut line = read_all(store, prefix);
    if let Place::Writer { .. } | Place::Reader { .. } = place {
        line.retain(|kv| !kv.key[prefix.len()..].starts_with(b"shared/"));
    }
    line.sort_by_key(|kv| kv.create_revision);
    line
}

fn longest(store: &MemoryLedger, claim: &Claim) -> usize {
    let waiting = claim.places.iter().map(|place| line(store, place).len() - holders(store, place).len());
    waiting.max().unwrap_or(0)
}

fn permits_of(claim: &Claim) -> Option<u32> {
    match &claim.places[..] {
        [Place::Permits { permits, .. }] => Some(*permits),
        _ => None,
    }
}

fn write(store: &mut MemoryLedger, claim: &Claim, keys: &[Bytes], record_key: &Bytes) {
    let lease: LeaseId = claim.session.lease();
    let shown = ClaimRecord { permits: permits_of(claim), ..ClaimRecord::default() };
    let mut puts: Vec<_> = keys.iter().map(|key| (key.clone(), shown.write(), lease)).collect();
    if claim.record.is_some() {
        let keys = keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect();
        puts.push((record_key.clone(), ClaimRecord { keys, ..shown }.write(), lease));
    }
    store.put_all(puts);
}

/// A claim as it stands: by the place that has most before it.
fn state(store: &MemoryLedger, claim: &Claim, record_key: &Bytes, is_new: bool) -> ClaimOutcome {
    let lease = claim.session.lease();
    let mut worst: (Option<usize>, Option<KeyValue>) = (None, None);
    let mut token = Revision::ZERO;
    for (at, place) in claim.places.iter().enumerate() {
        let own = read(store, &place.key(lease)).expect("the place is there");
        if at == 0 {
            token = own.create_revision;
        }
        if holders(store, place).iter().any(|kv| kv.key == own.key) {
            continue;
        }
        let line = line(store, place);
        let ahead = line.iter().filter(|kv| kv.create_revision < own.create_revision).count();
        if worst.0.is_none_or(|known| ahead > known) {
            worst = (Some(ahead), read_all_sorted(store, place).into_iter().next());
        }
    }
    let (standing, holder) = match worst {
        (None, _) => (Standing::Granted, None),
        (Some(ahead), first) => (Standing::Queued { ahead }, first),
    };
    let value = read(store, record_key).expect("the record is there").value;
    let key = claim.places[0].key(lease);
    ClaimOutcome::Claimed { claim: Claimed { key, token, lease, value, standing, holder }, is_new }
}

fn read_all_sorted(store: &MemoryLedger, place: &Place) -> Vec<KeyValue> {
    let mut keys = read_all(store, place.line());
    keys.sort_by_key(|kv| kv.create_revision);
    keys
}
