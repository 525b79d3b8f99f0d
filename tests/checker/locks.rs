//! Locks: a claim that is told to hold exists and is the oldest of its lock at that revision; its token is its create revision;
//! tokens rise in the order of grants; and no two clients believe at one time that they hold one lock. What a lock guards is written in the order
//! of tokens, whatever its holders believe.

use std::collections::BTreeMap;

use super::Violation;
use super::history::{History, Hold, Revision};
use super::log::Log;

/// Holds every hold against the log and against the others.
pub(crate) fn check(history: &History, log: &Log, violations: &mut Vec<Violation>) {
    let mut by_lock: BTreeMap<&str, Vec<&Hold>> = BTreeMap::new();
    for hold in &history.holds {
        by_lock.entry(&hold.prefix).or_default().push(hold);
    }
    check_guarded(history, log, violations);
    for (prefix, mut holds) in by_lock {
        let claims = Claim::all(prefix, log);
        let unfounded = holds.iter().filter_map(|hold| unfounded(hold, &claims));
        violations.extend(unfounded.map(|what| Violation { check: "lock", what: format!("{prefix}: {what}") }));
        holds.sort_by_key(|hold| hold.from);
        for pair in holds.windows(2) {
            let [first, second] = [pair[0], pair[1]];
            if second.token <= first.token || second.from < first.until {
                let what = format!("{prefix}: {first:?} and {second:?} are out of order or overlap");
                violations.push(Violation { check: "lock", what });
            }
        }
    }
}

/// Writes that show their token come in the order of tokens.
fn check_guarded(history: &History, log: &Log, violations: &mut Vec<Violation>) {
    let mut highest: BTreeMap<&str, Revision> = BTreeMap::new();
    let puts = log.iter().flat_map(|(_, events)| events).filter_map(|event| event.put.as_ref());
    for put in puts.filter(|put| history.guarded.contains(&put.key)) {
        let token = put.value.split(':').next().and_then(|token| token.parse().ok()).unwrap_or(0);
        let highest = highest.entry(&put.key).or_insert(token);
        if token < *highest {
            let what = format!("{put:?} after a write with token {highest}");
            violations.push(Violation { check: "lock", what });
        }
        *highest = token.max(*highest);
    }
}

/// The life of one claim's key.
struct Claim<'a> {
    key: &'a str,
    created: Revision,
    deleted: Option<Revision>,
}

impl<'a> Claim<'a> {
    /// All claims that a lock ever had.
    fn all(prefix: &str, log: &'a Log) -> Vec<Self> {
        let mut claims: Vec<Self> = Vec::new();
        for (revision, events) in log.iter() {
            for event in events.iter().filter(|event| event.key.starts_with(prefix)) {
                let alive = claims.iter_mut().rev().find(|claim| claim.key == event.key && claim.deleted.is_none());
                match (alive, &event.put) {
                    (Some(claim), None) => claim.deleted = Some(revision),
                    (None, Some(_)) => claims.push(Claim { key: &event.key, created: revision, deleted: None }),
                    (Some(_), Some(_)) | (None, None) => {}
                }
            }
        }
        claims
    }

    fn exists_at(&self, revision: Revision) -> bool {
        self.created <= revision && self.deleted.is_none_or(|deleted| deleted > revision)
    }
}

/// What is wrong with a grant at the revision at which it was told.
fn unfounded(hold: &Hold, claims: &[Claim<'_>]) -> Option<String> {
    let oldest = claims.iter().filter(|claim| claim.exists_at(hold.revision)).min_by_key(|claim| claim.created);
    match oldest {
        Some(claim) if claim.key == hold.key && claim.created == hold.token => None,
        Some(claim) => Some(format!("{hold:?}, but the oldest claim is {} of revision {}", claim.key, claim.created)),
        None => Some(format!("{hold:?}, but no claim exists at that revision")),
    }
}
