//! The disk of `sim_fs`: what is cached, what is on the platter, and what may become of the difference in a power cut.
//!
//! Guarantees no more than the contract in `fs`: every unsynced sector version and every unsynced name survives or not on its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::format::SECTOR;

/// What survives a power cut, of all that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// Everything: as if the disk had no cache.
    Everything,
    /// Each change by the toss of a coin, the same coins for the same seed.
    Random(u64),
    /// The i-th change if bit i is set (changes above 63: not). Sector writes count first, by file and age, then names by age.
    Subset(u64),
}

/// Tosses the coins of a [`Survival`].
#[derive(Debug)]
pub(crate) struct Coins {
    survival: Survival,
    drawn: u64,
}

impl Coins {
    pub(crate) fn new(survival: Survival) -> Self {
        Self { survival, drawn: 0 }
    }

    fn survives(&mut self) -> bool {
        let turn = self.drawn;
        self.drawn += 1;
        match self.survival {
            Survival::Nothing => false,
            Survival::Everything => true,
            Survival::Random(seed) => split_mix(seed, turn) & 1 == 1,
            Survival::Subset(bits) => turn < 64 && bits >> turn & 1 == 1,
        }
    }
}

/// SplitMix64: the `turn`-th number of the stream `seed`.
fn split_mix(seed: u64, turn: u64) -> u64 {
    let mut z = seed.wrapping_add(turn.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[derive(Debug, Clone)]
enum Change {
    Size(usize),
    Sector { start: usize, bytes: Vec<u8> },
}

/// A file's bytes, apart from its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inode {
    /// What a reader sees.
    pub(crate) cached: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

impl Inode {
    pub(crate) fn resize(&mut self, size: usize) {
        if size != self.cached.len() {
            self.cached.resize(size, 0);
            self.unsynced.push(Change::Size(size));
        }
    }

    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        self.resize(end.max(self.cached.len()));
        self.cached[offset..end].copy_from_slice(bytes);
        for start in (offset / SECTOR * SECTOR..end).step_by(SECTOR) {
            let bytes = self.cached[start..(start + SECTOR).min(self.cached.len())].to_vec();
            self.unsynced.push(Change::Sector { start, bytes });
        }
    }

    pub(crate) fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            self.persist(change);
        }
    }

    /// A failed sync: the cache keeps the bytes and calls them clean, the platter never gets them.
    pub(crate) fn fail_sync(&mut self) {
        self.unsynced.clear();
    }

    /// Changes both what is cached and what is durable.
    pub(crate) fn edit(&mut self, change: impl Fn(&mut Vec<u8>)) {
        change(&mut self.cached);
        change(&mut self.durable);
    }

    fn lose_power(&mut self, coins: &mut Coins) {
        for change in std::mem::take(&mut self.unsynced) {
            if coins.survives() {
                self.persist(change);
            }
        }
        self.cached.clone_from(&self.durable);
    }

    fn persist(&mut self, change: Change) {
        match change {
            Change::Size(size) => self.durable.resize(size, 0),
            Change::Sector { start, bytes } => {
                let end = start + bytes.len();
                if self.durable.len() < end {
                    self.durable.resize(end, 0);
                }
                self.durable[start..end].copy_from_slice(&bytes);
            }
        }
    }
}

#[derive(Debug, Clone)]
enum NameChange {
    Bind { path: PathBuf, inode: usize },
    Unbind { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf, inode: usize },
}

impl NameChange {
    fn dir(&self) -> Option<&Path> {
        match self {
            NameChange::Bind { path, .. } | NameChange::Unbind { path } | NameChange::Rename { to: path, .. } => {
                path.parent()
            }
        }
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Bind { path, inode } => {
                names.insert(path, inode);
            }
            NameChange::Unbind { path } => {
                names.remove(&path);
            }
            NameChange::Rename { from, to, inode } => {
                names.remove(&from);
                names.insert(to, inode);
            }
        }
    }
}

/// Names and inodes. Directories are durable at once: the log makes one in its life.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    pub(crate) inodes: Vec<Inode>,
    pub(crate) names: BTreeMap<PathBuf, usize>,
    pub(crate) dirs: BTreeSet<PathBuf>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<NameChange>,
}

impl Disk {
    pub(crate) fn bind(&mut self, path: &Path) -> usize {
        let inode = self.inodes.len();
        self.inodes.push(Inode::default());
        self.change(NameChange::Bind { path: path.to_path_buf(), inode });
        inode
    }

    pub(crate) fn unbind(&mut self, path: &Path) {
        self.change(NameChange::Unbind { path: path.to_path_buf() });
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path, inode: usize) {
        self.change(NameChange::Rename { from: from.to_path_buf(), to: to.to_path_buf(), inode });
    }

    pub(crate) fn sync_names(&mut self, dir: &Path) {
        for change in std::mem::take(&mut self.unsynced_names) {
            if change.dir() == Some(dir) {
                change.apply(&mut self.durable_names);
            } else {
                self.unsynced_names.push(change);
            }
        }
    }

    pub(crate) fn unsynced(&self) -> usize {
        self.inodes.iter().map(|inode| inode.unsynced.len()).sum::<usize>() + self.unsynced_names.len()
    }

    pub(crate) fn lose_power(&mut self, survival: Survival) {
        let mut coins = Coins::new(survival);
        for inode in &mut self.inodes {
            inode.lose_power(&mut coins);
        }
        for change in std::mem::take(&mut self.unsynced_names) {
            if coins.survives() {
                change.apply(&mut self.durable_names);
            }
        }
        self.names.clone_from(&self.durable_names);
    }

    fn change(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.unsynced_names.push(change);
    }
}
