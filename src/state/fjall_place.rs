//! A place on disk: stores in numbered directories, and a small file that says which of them is current.
//!
//! ```text
//! current       number of the current store, in decimal, with a line feed
//! lock          locked by the process that uses this place
//! 1, 2, ...     stores; each of its own number for ever, because an open one looks for its files where it was opened
//! ```
//!
//! Only `current` decides. A store is built in a directory of a new number and synced; then `current` is replaced by write, sync,
//! rename and sync of the directory, so that a crash at any moment leaves the one number or the other, and a whole store behind
//! either. The place itself is made aside and renamed into place, so that one without `current` is never ours.
//!
//! The directory of a store that is not current goes with the last handle and view of it, on whichever thread that is: a read that
//! was under way when another store was put in its place ends as it began. What a crash leaves of it, or of one that was being built,
//! goes at the next opening.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::Fault;
use crate::fjall::FjallStorage;
use crate::place::{Place, Staging};
use crate::storage::{Edit, Storage};

const POINTER: &str = "current";
const LOCK: &str = "lock";

/// Number of the first store.
const FIRST: u64 = 1;

/// The directory of a store, held by all that use it.
pub(crate) struct Directory {
    path: PathBuf,
    is_kept: AtomicBool,
    /// Of the whole place.
    _lock: Option<Arc<File>>,
}

impl Directory {
    fn new(path: PathBuf, is_kept: bool, lock: Option<Arc<File>>) -> Arc<Self> {
        Arc::new(Self { path, is_kept: AtomicBool::new(is_kept), _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn keep(&self, is_kept: bool) {
        self.is_kept.store(is_kept, Ordering::Release);
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !*self.is_kept.get_mut() {
            // If this fails, the next opening does it.
            let _ = remove(&self.path);
        }
    }
}

/// Stores in a directory. One process at a time.
pub struct FjallPlace {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    lock: Arc<File>,
    numbers: Mutex<Numbers>,
}

#[derive(Default)]
struct Numbers {
    /// The highest given out.
    last: u64,
    /// That of the only store that may be published.
    staged: Option<u64>,
    /// Directories that may be in use.
    used: BTreeMap<u64, Weak<Directory>>,
}

impl Numbers {
    fn note(&mut self, number: u64, directory: &Arc<Directory>) {
        self.used.retain(|_, used| used.strong_count() > 0);
        self.used.insert(number, Arc::downgrade(directory));
    }
}

impl Inner {
    fn directory(&self, number: u64, is_kept: bool) -> Arc<Directory> {
        Directory::new(numbered(&self.root, number), is_kept, Some(Arc::clone(&self.lock)))
    }

    /// Removes all stores that nobody uses, but for one.
    fn clear(&self, numbers: &Numbers, current: u64) -> io::Result<()> {
        let is_used = |number| numbers.used.get(&number).is_some_and(|used| used.strong_count() > 0);
        for file in fs::read_dir(&self.root)? {
            let file = file?;
            if number_of(&file.file_name()).is_some_and(|number| number != current && !is_used(number)) {
                remove(&file.path())?;
            }
        }
        Ok(())
    }
}

impl FjallPlace {
    /// Takes the directory at `path`, or creates it with those above: it must be absent, empty or such a place. Waits for nobody.
    ///
    /// # Errors
    ///
    /// [`Fault::Locked`], [`Fault::ForeignDirectory`], and [`Fault::Storage`] when it cannot be written.
    pub fn at(path: impl AsRef<Path>) -> Result<Self, Fault> {
        let root = path.as_ref().to_owned();
        if !root.join(POINTER).is_file() {
            create(&root)?;
        }
        let lock = Arc::new(lock(&root)?);
        Ok(Self { inner: Arc::new(Inner { root, lock, numbers: Mutex::default() }) })
    }
}

impl Place for FjallPlace {
    fn open(&self) -> Result<Arc<dyn Storage>, Fault> {
        let mut numbers = self.inner.numbers.lock();
        let current = read_pointer(&self.inner.root)?;
        let directory = self.inner.directory(current, true);
        let storage = FjallStorage::open(Arc::clone(&directory))?;
        numbers.note(current, &directory);
        self.inner.clear(&numbers, current).map_err(Fault::storage)?;
        (numbers.last, numbers.staged) = (numbers.last.max(current), None);
        Ok(Arc::new(storage))
    }

    fn stage(&self) -> Result<Box<dyn Staging>, Fault> {
        let mut numbers = self.inner.numbers.lock();
        let number = numbers.last.max(highest(&self.inner.root).map_err(Fault::storage)?) + 1;
        (numbers.last, numbers.staged) = (number, Some(number));
        let directory = self.inner.directory(number, false);
        let storage = Arc::new(FjallStorage::create(Arc::clone(&directory))?);
        numbers.note(number, &directory);
        Ok(Box::new(FjallStaging { place: Arc::clone(&self.inner), number, storage, directory }))
    }
}

impl std::fmt::Debug for FjallPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FjallPlace").field("root", &self.inner.root).finish_non_exhaustive()
    }
}

struct FjallStaging {
    place: Arc<Inner>,
    number: u64,
    storage: Arc<FjallStorage>,
    directory: Arc<Directory>,
}

impl Staging for FjallStaging {
    fn ingest(&mut self, group: &mut dyn Iterator<Item = Edit>) -> Result<(), Fault> {
        self.storage.ingest(group)
    }

    fn publish(self: Box<Self>) -> Result<Arc<dyn Storage>, Fault> {
        let Inner { root, numbers, .. } = &*self.place;
        let mut numbers = numbers.lock();
        if numbers.staged != Some(self.number) {
            return Err(Fault::Superseded);
        }
        let before = read_pointer(root)?;
        sync_tree(self.directory.path()).and_then(|()| sync(root)).map_err(Fault::storage)?;
        // From here on it may be the current one, even if what follows fails.
        self.directory.keep(true);
        write_pointer(root, self.number).map_err(Fault::storage)?;
        numbers.staged = None;
        match numbers.used.get(&before).and_then(Weak::upgrade) {
            Some(used) => used.keep(false),
            // If this fails, the next opening does it.
            None => drop(remove(&numbered(root, before))),
        }
        Ok(self.storage)
    }
}

/// Creates a place aside and moves it to where it belongs, so that a crash on the way leaves nothing that looks like one.
fn create(root: &Path) -> Result<(), Fault> {
    let foreign = |found| Fault::ForeignDirectory { path: root.to_owned(), found };
    if root.exists() && fs::read_dir(root).map_err(Fault::storage)?.next().is_some() {
        return Err(foreign("it holds other files"));
    }
    let aside = root.with_added_extension("new");
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(Fault::storage)?;
    }
    fs::create_dir_all(&aside).map_err(Fault::storage)?;
    drop(FjallStorage::create(Directory::new(numbered(&aside, FIRST), true, None))?);
    let moved = write_pointer(&aside, FIRST).and_then(|()| sync_tree(&aside)).and_then(|()| {
        fs::rename(&aside, root)?;
        root.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync)
    });
    moved.map_err(Fault::storage)
}

fn lock(root: &Path) -> Result<File, Fault> {
    let file =
        File::options().create(true).truncate(false).write(true).open(root.join(LOCK)).map_err(Fault::storage)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Fault::Locked(root.to_owned())),
        Err(TryLockError::Error(error)) => Err(Fault::storage(error)),
    }
}

fn numbered(root: &Path, number: u64) -> PathBuf {
    root.join(number.to_string())
}

fn number_of(name: &OsStr) -> Option<u64> {
    name.to_str()?.parse().ok()
}

fn read_pointer(root: &Path) -> Result<u64, Fault> {
    let content = fs::read_to_string(root.join(POINTER)).map_err(Fault::storage)?;
    let number = content.strip_suffix('\n').and_then(|digits| digits.parse().ok());
    number.ok_or(Fault::Damaged("which store is current"))
}

fn write_pointer(root: &Path, number: u64) -> io::Result<()> {
    let aside = root.join(POINTER).with_added_extension("new");
    let mut file = File::create(&aside)?;
    file.write_all(format!("{number}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, root.join(POINTER))?;
    sync(root)
}

/// The highest number that a directory has.
fn highest(root: &Path) -> io::Result<u64> {
    let mut highest = 0;
    for file in fs::read_dir(root)? {
        highest = highest.max(number_of(&file?.file_name()).unwrap_or(0));
    }
    Ok(highest)
}

/// Removes a store, unless somebody else did.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Syncs a directory with all that is in it. Files that go meanwhile are not missed: the store merges tables on its own, and syncs
/// what it writes itself.
fn sync_tree(path: &Path) -> io::Result<()> {
    for file in fs::read_dir(path)? {
        let file = file?;
        if file.file_type()?.is_dir() {
            sync_tree(&file.path())?;
        } else {
            match sync(&file.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
    }
    sync(path)
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
