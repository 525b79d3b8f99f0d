//! Tests of the whole crate, mostly over the simulated disk: a script of records, a model of what they mean, and what must be left
//! of it after each kind of misfortune.

mod damage;
mod directory;
mod faults;
mod properties;
mod writing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::{Entry, Error, Log, LogId, Options, Reader, Recovered, SimFs, Snapshot, State};

const DIR: &str = "/member/wal";
const METADATA: &[u8] = b"member 1 of cluster 2";

fn options(segment_bytes: u32) -> Options {
    Options { segment_bytes, ..Options::default() }
}

fn create(fs: &SimFs, segment_bytes: u32) -> Result<Log, Error> {
    Ok(Log::create(Arc::new(fs.clone()), Path::new(DIR), METADATA, options(segment_bytes))?.0)
}

fn open(fs: &SimFs, segment_bytes: u32) -> Result<(Log, Recovered), Error> {
    Log::open(Arc::new(fs.clone()), Path::new(DIR), options(segment_bytes))
}

/// The segments' paths, oldest first.
fn segments(fs: &SimFs) -> Vec<PathBuf> {
    let names = crate::segment::list(fs, Path::new(DIR)).unwrap();
    names.iter().map(|name| Path::new(DIR).join(name.to_string())).collect()
}

/// An entry whose payload, up to `length` bytes of no zero, tells its term and index.
fn entry(term: u64, index: u64, length: usize) -> Entry {
    let payload: Bytes = format!("{term}:{index}|").bytes().cycle().take(length).collect();
    Entry { term, index, payload }
}

/// One record's worth of change.
#[derive(Debug, Clone)]
enum Op {
    Append(Entry),
    State(State),
    Snapshot(Snapshot),
    Purge(LogId),
}

impl Op {
    fn stage(&self, log: &mut Log) -> Result<(), Error> {
        match self {
            Op::Append(entry) => log.append(entry),
            Op::State(state) => log.save_state(*state),
            Op::Snapshot(snapshot) => log.save_snapshot(snapshot.clone()),
            Op::Purge(upto) => log.purge(*upto),
        }
    }
}

/// What a log is to hold: the plainest thing that could be right.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    entries: BTreeMap<u64, Entry>,
    state: State,
    snapshot: Option<Snapshot>,
    purged: Option<LogId>,
}

impl Model {
    fn next(&self) -> u64 {
        self.last().map_or(0, |last| last.index + 1)
    }

    fn last(&self) -> Option<LogId> {
        self.entries.values().next_back().map(Entry::log_id).or(self.purged)
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Append(entry) => {
                self.entries.split_off(&entry.index);
                self.entries.insert(entry.index, entry.clone());
            }
            Op::State(state) => self.state = *state,
            Op::Snapshot(snapshot) => self.snapshot = Some(snapshot.clone()),
            Op::Purge(upto) if self.purged.is_some_and(|purged| purged.index >= upto.index) => {}
            Op::Purge(upto) => {
                let is_held = self.entries.get(&upto.index).is_some_and(|entry| entry.term == upto.term);
                self.entries.retain(|index, _| is_held && *index > upto.index);
                self.purged = Some(*upto);
            }
        }
    }

    /// As `recovered` would tell it.
    fn seen(&self) -> Self {
        let mut seen = self.clone();
        if let Some(commit) = self.state.commit {
            seen.state.commit = self.last().map(|last| if commit.index > last.index { last } else { commit });
        }
        seen
    }
}

/// What an opened log holds, all entries read back.
fn contents(log: &Log, recovered: &Recovered) -> Model {
    assert_eq!(recovered.metadata, METADATA);
    let entries = read_all(&log.reader());
    let model = Model {
        entries: entries.into_iter().map(|entry| (entry.index, entry)).collect(),
        state: recovered.state,
        snapshot: recovered.snapshot.clone(),
        purged: recovered.purged,
    };
    assert_eq!(recovered.last, model.last());
    model
}

fn read_all(reader: &Reader) -> Vec<Entry> {
    reader.read(reader.range(), usize::MAX).unwrap()
}

/// A state with a vote.
fn voted(term: u64, commit: Option<LogId>) -> State {
    State { term, voted_for: Some(term * 10), is_vote_committed: term.is_multiple_of(2), commit }
}

/// Groups that use every record type, cut several segments of 1 KiB, replace entries and purge: within the
/// log, alone, with another history's entry, and beyond its end.
fn script() -> Vec<Vec<Op>> {
    let append = |term, index| Op::Append(entry(term, index, 20 + usize::try_from(index).unwrap() * 13 % 90));
    let appends = |term, from: u64, to: u64| (from..to).map(move |index| append(term, index));
    let id = |term, index| LogId { term, index };
    let mark =
        |term, index| Op::Snapshot(Snapshot { log_id: id(term, index), data: Bytes::from_static(b"members 1 2 3") });
    vec![
        vec![Op::State(voted(1, None))],
        appends(1, 0, 3).collect(),
        vec![Op::State(voted(1, Some(id(1, 2))))],
        appends(1, 3, 12).collect(),
        vec![Op::State(voted(1, Some(id(1, 5)))), append(1, 12), Op::State(voted(1, Some(id(1, 7))))],
        vec![Op::State(voted(2, Some(id(1, 7))))],
        appends(2, 9, 14).collect(),
        vec![mark(1, 7), append(2, 14)],
        vec![Op::Purge(id(1, 4))],
        vec![Op::State(voted(2, Some(id(2, 12)))), Op::Append(entry(2, 15, 700))],
        appends(2, 16, 24).chain([mark(2, 20), Op::Purge(id(2, 18))]).collect(),
        vec![Op::State(voted(2, Some(id(2, 23))))],
        appends(3, 24, 40).chain([mark(3, 38)]).collect(),
        vec![Op::Purge(id(3, 36))],
        vec![Op::Purge(id(4, 38))],
        vec![mark(5, 60), Op::Purge(id(5, 60)), append(5, 61)],
        vec![Op::State(voted(6, Some(id(5, 61))))],
        appends(6, 62, 75).collect(),
    ]
}

/// A log driven by a script, and all that the model says it has been.
struct Run {
    /// `history[k]` is after k records.
    history: Vec<Model>,
    /// Records that must survive a power cut.
    durable: usize,
    /// Records that must survive the death of the process.
    written: usize,
    log: Option<Log>,
}

impl Run {
    /// Runs `groups` on a new log until one fails.
    fn new(fs: &SimFs, groups: &[Vec<Op>], segment_bytes: u32) -> Self {
        let mut run =
            Run { history: vec![Model::default()], durable: 0, written: 0, log: create(fs, segment_bytes).ok() };
        groups.iter().find(|group| run.commit(group).is_err());
        run
    }

    fn commit(&mut self, group: &[Op]) -> Result<(), Error> {
        let Some(log) = &mut self.log else { return Err(Error::Failed) };
        let mut must_sync = false;
        for op in group {
            let mut model = self.history[self.history.len() - 1].clone();
            must_sync |= match op {
                Op::Append(_) | Op::Snapshot(_) => true,
                Op::State(state) => model.state.must_sync(state),
                Op::Purge(_) => false,
            };
            model.apply(op);
            self.history.push(model);
            op.stage(log)?;
        }
        log.commit()?;
        self.written = self.history.len() - 1;
        if must_sync {
            self.durable = self.written;
        }
        log.delete_purged()
    }

    /// Asserts that the log on `fs` opens and holds what the model held after at least `least` records.
    fn verify(&self, fs: &SimFs, segment_bytes: u32, least: usize, what: &str) {
        let (log, recovered) = match open(fs, segment_bytes) {
            // Creation itself did not succeed.
            Err(Error::NotFound { .. }) if self.log.is_none() => return,
            opened => opened.unwrap_or_else(|error| panic!("{what}: {error}")),
        };
        let found = contents(&log, &recovered);
        let is_one_of = self.history[least..].iter().any(|model| model.seen() == found);
        assert!(is_one_of, "{what}: {} to {} records expected, found {found:#?}", least, self.history.len() - 1);
    }
}
