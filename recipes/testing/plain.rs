//! The recipes done by hand, as a client of etcd does them: reads, lease calls, and transactions that put if a key is absent.
//!
//! Over a network these steps would race; run one after another they are an oracle. Nothing here uses the crate's queue or
//! expansions, only keys: who holds is found by looking at every key below the prefix.

use bytes::Bytes;
use model::{KeyRange, KeyValue};

use crate::testing::MemoryLedger;
use crate::{
    Acquire, AcquireOutcome, Campaign, Enqueue, Ledger, Proclaim, ProclaimOutcome, Release, ReleaseOutcome, Session,
};

/// What [`Acquire`] does, as etcd's client-side mutex does it.
pub fn acquire(store: &mut MemoryLedger, acquire: &Acquire) -> AcquireOutcome {
    let below = KeyRange::prefix(acquire.prefix.clone());
    let mut key = acquire.prefix.to_vec();
    key.extend(format!("{:x}", acquire.session.lease().get()).bytes());
    let key = Bytes::from(key);
    if let Some(claim) = read(store, &key) {
        return place(store, &below, claim, false);
    }
    match &acquire.session {
        Session::Existing(lease) if store.lease_ttl(*lease).is_none() => return AcquireOutcome::SessionExpired,
        Session::New(open) if !store.grant(open.lease, open.ttl) => return AcquireOutcome::SessionConflict,
        Session::Existing(_) | Session::New(_) => {}
    }
    if let Some(holder) = first(store, &below)
        && let Some(refusal) = refusal(acquire.enqueue, holder, store.range(&below).count() - 1)
    {
        if let Session::New(open) = &acquire.session {
            store.revoke(open.lease);
        }
        return refusal;
    }
    put(store, acquire, &key);
    let claim = read(store, &key).expect("it was put just now");
    place(store, &below, claim, true)
}

/// What [`Release`] does: delete the key if its create revision is the token.
pub fn release(store: &mut MemoryLedger, release: &Release) -> ReleaseOutcome {
    let Some(claim) = read(store, &release.key) else {
        return ReleaseOutcome::NotHeld;
    };
    let current = claim.create_revision;
    if release.token.is_some_and(|token| token != current) {
        return ReleaseOutcome::Stale { current };
    }
    store.delete_range(&KeyRange::Single(release.key.clone()));
    ReleaseOutcome::Released { token: current }
}

/// What [`Campaign`] without a record does, as etcd's client-side election does it: a claim whose value is the candidate's, and
/// `If create_revision(key) == rev Then put` where the key has another value already.
pub fn campaign(store: &mut MemoryLedger, campaign: &Campaign) -> AcquireOutcome {
    let lease = campaign.session.lease();
    let key = Bytes::from([&campaign.prefix[..], format!("{:x}", lease.get()).as_bytes()].concat());
    if read(store, &key).is_some_and(|candidacy| candidacy.value != campaign.value) {
        if store.lease_ttl(lease).is_none() {
            return AcquireOutcome::SessionExpired;
        }
        store.put_all([(key, campaign.value.clone(), lease)]);
    }
    let claim = Acquire {
        prefix: campaign.prefix.clone(),
        session: campaign.session.clone(),
        enqueue: Enqueue::Enqueue { waiting_max: None },
        value: campaign.value.clone(),
    };
    acquire(store, &claim)
}

/// What [`Proclaim`] without a record does: put the leader's key if its create revision is the term.
pub fn proclaim(store: &mut MemoryLedger, proclaim: &Proclaim) -> ProclaimOutcome {
    let leader = first(store, &KeyRange::prefix(proclaim.prefix.clone()));
    let Some(KeyValue { key, lease, .. }) = leader.clone().filter(|leader| leader.create_revision == proclaim.term)
    else {
        return ProclaimOutcome::NotLeader { leader };
    };
    store.put_all([(key.clone(), proclaim.value.clone(), lease)]);
    ProclaimOutcome::Proclaimed { leader: read(store, &key).expect("it was put just now") }
}

/// The key below a prefix that was created first: etcd's range sorted by create revision, of limit 1.
#[must_use]
pub fn first(store: &MemoryLedger, below: &KeyRange) -> Option<KeyValue> {
    store.range(below).min_by_key(|kv| kv.create_revision).cloned()
}

fn read(store: &MemoryLedger, key: &Bytes) -> Option<KeyValue> {
    let Ok(kv) = store.get(key);
    kv
}

/// `If create_revision(key) == 0 Then put`: true, because nobody came between. A session record goes into the same transaction.
fn put(store: &mut MemoryLedger, acquire: &Acquire, key: &Bytes) {
    let lease = acquire.session.lease();
    let record = match &acquire.session {
        Session::Existing(_) => None,
        Session::New(open) => open.record.clone().map(|record| (record.key, record.value, lease)),
    };
    store.put_all(record.into_iter().chain([(key.clone(), acquire.value.clone(), lease)]));
}

fn refusal(enqueue: Enqueue, holder: KeyValue, waiting: usize) -> Option<AcquireOutcome> {
    match enqueue {
        Enqueue::TryOnly => Some(AcquireOutcome::Busy { holder }),
        Enqueue::Enqueue { waiting_max: None } => None,
        Enqueue::Enqueue { waiting_max: Some(max) } => {
            (waiting >= max as usize).then_some(AcquireOutcome::QueueFull { holder, waiting })
        }
    }
}

/// A claim holds when no key below the prefix is older: etcd's wait for every key of a lower create revision.
fn place(store: &MemoryLedger, below: &KeyRange, claim: KeyValue, is_new: bool) -> AcquireOutcome {
    let ahead = store.range(below).filter(|kv| kv.create_revision < claim.create_revision).count();
    match first(store, below).filter(|_| ahead > 0) {
        None => AcquireOutcome::Granted { claim, is_new },
        Some(holder) => AcquireOutcome::Queued { claim, is_new, ahead, holder },
    }
}
