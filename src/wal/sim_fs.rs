//! A file system in memory that fails on demand and forgets on a power cut: for this crate's tests and for simulations above it.
//!
//! Deterministic: the same calls, faults and seeds give the same bytes. Each call of the `Fs` and `File` ports counts as one, so that
//! a test can fail the n-th for every n. The disk itself is `sim_disk`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::fs::{Access, File, Fs, Lock};
use crate::sim_disk::{Disk, Inode};

pub use crate::sim_disk::Survival;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Input/output error. A write leaves its first half; a sync loses what it should have saved, though later syncs succeed.
    Eio,
    /// No space left on the device; otherwise like `Eio`.
    Enospc,
    /// A write does its first half and says so; other calls are not affected.
    ShortWrite,
    /// The power fails before the call does anything: it and all after it fail until [`SimFs::power_cycle`].
    PowerCut,
}

#[derive(Debug, Default)]
struct Machine {
    disk: Disk,
    locks: BTreeSet<PathBuf>,
    /// Counts restarts: handles of an earlier life are dead.
    life: u64,
    calls: u64,
    plan: Option<(u64, Fault)>,
    is_off: bool,
}

/// The file system. Clones share it; [`SimFs::fork`] copies it.
#[derive(Debug, Clone, Default)]
pub struct SimFs {
    machine: Arc<Mutex<Machine>>,
}

#[derive(Debug)]
struct SimFile {
    machine: Arc<Mutex<Machine>>,
    inode: usize,
    life: u64,
}

#[derive(Debug)]
struct SimLock {
    machine: Arc<Mutex<Machine>>,
    path: PathBuf,
    life: u64,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut machine = self.machine.lock();
        if machine.life == self.life {
            machine.locks.remove(&self.path);
        }
    }
}

impl SimFs {
    /// An empty file system.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls made so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.machine.lock().calls
    }

    /// Lets the call after the next `after` ones fail. One fault is planned at a time.
    pub fn fail_after(&self, after: u64, fault: Fault) {
        let mut machine = self.machine.lock();
        machine.plan = Some((machine.calls + after, fault));
    }

    /// Forgets a planned fault.
    pub fn heal(&self) {
        self.machine.lock().plan = None;
    }

    /// The power fails and comes back: of what was not synced, `survival` decides. Handles and locks are gone.
    pub fn power_cycle(&self, survival: Survival) {
        let mut machine = self.machine.lock();
        machine.disk.lose_power(survival);
        machine.reboot();
    }

    /// The process dies and comes back: the cache stays. Handles and locks are gone.
    pub fn restart(&self) {
        self.machine.lock().reboot();
    }

    /// Changes that a power cut could lose.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.machine.lock().disk.unsynced()
    }

    /// An independent copy of the disk, restarted.
    #[must_use]
    pub fn fork(&self) -> Self {
        let disk = self.machine.lock().disk.clone();
        Self { machine: Arc::new(Mutex::new(Machine { disk, ..Machine::default() })) }
    }

    /// Changes a file behind everyone's back, in the cache and on the platter. An unknown path is left alone.
    pub fn edit(&self, path: &Path, change: impl Fn(&mut Vec<u8>)) {
        let mut machine = self.machine.lock();
        if let Some(inode) = machine.disk.names.get(path).copied() {
            machine.disk.inodes[inode].edit(change);
        }
    }

    /// A file's bytes as a reader would see them.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let machine = self.machine.lock();
        let inode = *machine.disk.names.get(path)?;
        Some(machine.disk.inodes[inode].cached.clone())
    }
}

impl Machine {
    fn reboot(&mut self) {
        self.life += 1;
        self.locks.clear();
        self.plan = None;
        self.is_off = false;
    }

    /// Counts a call and says whether, and how, it fails.
    fn enter(&mut self) -> io::Result<Option<Fault>> {
        let call = self.calls;
        self.calls += 1;
        if self.is_off {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        match self.plan {
            Some((at, fault)) if at == call => {
                self.is_off = fault == Fault::PowerCut;
                Ok(Some(fault))
            }
            _ => Ok(None),
        }
    }

    /// For calls that either happen or do not.
    fn enter_whole(&mut self) -> io::Result<()> {
        match self.enter()? {
            None | Some(Fault::ShortWrite) => Ok(()),
            Some(fault) => Err(os_error(fault)),
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.disk.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn os_error(fault: Fault) -> io::Error {
    match fault {
        Fault::Enospc => io::Error::from_raw_os_error(ENOSPC),
        Fault::Eio | Fault::ShortWrite | Fault::PowerCut => io::Error::from_raw_os_error(EIO),
    }
}

impl Fs for SimFs {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.enter_whole()?;
        machine.disk.dirs.extend(dir.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut machine = self.machine.lock();
        machine.enter_whole()?;
        if !machine.disk.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = machine.disk.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut machine = self.machine.lock();
        machine.enter_whole()?;
        // An existing file is replaced rather than emptied: to one who holds no other handle it is the same.
        let inode = machine.disk.bind(path);
        Ok(Arc::new(SimFile { machine: Arc::clone(&self.machine), inode, life: machine.life }))
    }

    fn open(&self, path: &Path, _access: Access) -> io::Result<Arc<dyn File>> {
        let mut machine = self.machine.lock();
        machine.enter_whole()?;
        let inode = machine.find(path)?;
        Ok(Arc::new(SimFile { machine: Arc::clone(&self.machine), inode, life: machine.life }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.enter_whole()?;
        let inode = machine.find(from)?;
        machine.disk.rename(from, to, inode);
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.enter_whole()?;
        machine.find(path)?;
        machine.disk.unbind(path);
        Ok(())
    }

    fn fsync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.enter_whole()?;
        machine.disk.sync_names(dir);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut machine = self.machine.lock();
        machine.enter_whole()?;
        if machine.find(path).is_err() {
            machine.disk.bind(path);
        }
        if !machine.locks.insert(path.to_path_buf()) {
            return Ok(None);
        }
        let life = machine.life;
        Ok(Some(Box::new(SimLock { machine: Arc::clone(&self.machine), path: path.to_path_buf(), life })))
    }
}

impl SimFile {
    fn call<T>(&self, action: impl FnOnce(&mut Inode, Option<Fault>) -> io::Result<T>) -> io::Result<T> {
        let mut machine = self.machine.lock();
        let fault = machine.enter()?;
        if machine.life != self.life || fault == Some(Fault::PowerCut) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        action(&mut machine.disk.inodes[self.inode], fault)
    }
}

impl File for SimFile {
    fn size(&self) -> io::Result<u64> {
        self.call(|inode, fault| whole(fault).map(|()| inode.cached.len() as u64))
    }

    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        self.call(|inode, fault| {
            whole(fault)?;
            inode.resize(position(bytes)?.max(inode.cached.len()));
            Ok(())
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.call(|inode, fault| {
            let offset = position(offset)?;
            let half = bytes.len().div_ceil(2);
            match fault {
                None => inode.write(offset, bytes),
                Some(Fault::ShortWrite) => {
                    inode.write(offset, &bytes[..half]);
                    return Ok(half);
                }
                Some(fault) => {
                    inode.write(offset, &bytes[..half]);
                    return Err(os_error(fault));
                }
            }
            Ok(bytes.len())
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.call(|inode, fault| {
            whole(fault)?;
            let from = inode.cached.get(position(offset)?..).unwrap_or_default();
            let length = from.len().min(buffer.len());
            buffer[..length].copy_from_slice(&from[..length]);
            Ok(length)
        })
    }

    fn fdatasync(&self) -> io::Result<()> {
        self.call(|inode, fault| match fault {
            None | Some(Fault::ShortWrite) => {
                inode.sync();
                Ok(())
            }
            Some(fault) => {
                inode.fail_sync();
                Err(os_error(fault))
            }
        })
    }
}

fn whole(fault: Option<Fault>) -> io::Result<()> {
    match fault {
        None | Some(Fault::ShortWrite) => Ok(()),
        Some(fault) => Err(os_error(fault)),
    }
}

fn position(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge.into())
}
