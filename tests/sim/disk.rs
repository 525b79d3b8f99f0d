//! The disks of one member: what survives its crashes. The log lies on `wal::SimFs`, the state in memory under the same contract.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use consensus::{Execution, LogPlace};
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::time::sleep;
use wal::{SimFs, Survival};

use crate::rng::Rng;

/// Small, so that runs fill several.
const SEGMENT_BYTES: u32 = 64 * 1024;

/// How a disk syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Each sync takes between so many milliseconds.
    Steady(u64, u64),
    /// Nothing is synced until this changes.
    Frozen,
}

/// How fast a disk is when nothing is wrong with it.
pub(crate) const HEALTHY: Pace = Pace::Steady(0, 3);

/// How often a frozen disk is looked at again.
const THAW_INTERVAL: Duration = Duration::from_millis(5);

/// A member's disks.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) fs: SimFs,
    pace: Arc<Mutex<Pace>>,
    rng: Arc<Mutex<Rng>>,
}

/// What a log holds, read back without touching it.
pub(crate) struct LogImage {
    pub(crate) state: wal::State,
    pub(crate) purged: Option<wal::LogId>,
    pub(crate) entries: Vec<wal::Entry>,
}

impl LogImage {
    /// Whether the entry is there, or was and has been purged behind a durable state.
    pub(crate) fn holds(&self, id: wal::LogId) -> bool {
        self.purged.is_some_and(|purged| id.index <= purged.index)
            || self.entries.iter().any(|entry| entry.log_id() == id)
    }

    /// Whether it goes as far as that.
    pub(crate) fn reaches(&self, index: u64) -> bool {
        let last = self.entries.last().map(|entry| entry.index).max(self.purged.map(|purged| purged.index));
        last.is_some_and(|last| last >= index)
    }
}

fn dir() -> PathBuf {
    PathBuf::from("/member/wal")
}

fn options() -> wal::Options {
    wal::Options { segment_bytes: SEGMENT_BYTES, ..wal::Options::default() }
}

impl Disk {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { fs: SimFs::new(), pace: Arc::new(Mutex::new(HEALTHY)), rng: Arc::new(Mutex::new(rng)) }
    }

    /// Where a member finds its log.
    pub(crate) fn log_place(&self) -> LogPlace {
        LogPlace { fs: Arc::new(self.fs.clone()), dir: dir(), options: options(), execution: self.execution() }
    }

    fn execution(&self) -> Execution {
        let disk = self.clone();
        Execution::Inline(Arc::new(move || {
            let disk = disk.clone();
            async move { disk.sync_delay().await }.boxed()
        }))
    }

    async fn sync_delay(&self) {
        loop {
            let pace = *self.pace.lock();
            match pace {
                Pace::Steady(least, most) => {
                    let millis = self.rng.lock().between(least, most);
                    if millis > 0 {
                        sleep(Duration::from_millis(millis)).await;
                    }
                    return;
                }
                Pace::Frozen => sleep(THAW_INTERVAL).await,
            }
        }
    }

    pub(crate) fn set_pace(&self, pace: Pace) {
        *self.pace.lock() = pace;
    }

    /// What a power cut at this moment would leave if nothing survived that was not synced.
    pub(crate) fn platter(&self) -> Option<LogImage> {
        let fs = self.fs.fork();
        fs.power_cycle(Survival::Nothing);
        image(fs)
    }

    /// What the process itself would read.
    pub(crate) fn written(&self) -> Option<LogImage> {
        image(self.fs.fork())
    }
}

/// None before there is a log. A log that cannot be opened is for the member to complain of.
fn image(fs: SimFs) -> Option<LogImage> {
    let fs: Arc<dyn wal::Fs> = Arc::new(fs);
    if !wal::Log::exists(&*fs, Path::new(&dir())).ok()? {
        return None;
    }
    let (log, recovered) = wal::Log::open(fs, &dir(), options()).ok()?;
    let reader = log.reader();
    let entries = reader.read(reader.range(), usize::MAX).ok()?;
    Some(LogImage { state: recovered.state, purged: recovered.purged, entries })
}
