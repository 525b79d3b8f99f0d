//! The writer's thread: takes all that is queued as one group, so that the slower the disk, the larger the groups.
//!
//! The queue is bounded: a caller that is faster than the disk waits in [`Writer::submit`]. Should a callback panic, the thread ends, the
//! fault callback has been or is told, and all later requests fail with [`Error::Stopped`].

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::committer::{Committer, Done, OnFault, Request};
use crate::error::Error;
use crate::log::Log;
use crate::record::{Entry, LogId, Snapshot, State};

/// Requests that may wait for the writer; `submit` blocks beyond.
pub const QUEUE_LENGTH: usize = 4096;
/// Payload bytes after which a group is closed, so that nobody waits for too large a sync.
pub const GROUP_BYTES: usize = 4 << 20;

/// A handle on the thread that owns a log. Dropping it lets the thread finish what is queued, and waits for that.
#[derive(Debug)]
pub struct Writer {
    sender: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `on_fault` hears, once and on that thread, of the error that ended the log.
    ///
    /// # Errors
    /// The system's, if it has no thread to give.
    pub fn spawn(log: Log, on_fault: OnFault) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE_LENGTH);
        let on_fault = Arc::new(Mutex::new(Some(on_fault)));
        let guard = PanicGuard { on_fault: Arc::clone(&on_fault) };
        let committer = Committer::new(log, Box::new(move |error| tell(&on_fault, error)));
        let thread = std::thread::Builder::new().name("wal".to_owned()).spawn(move || {
            let _guard = guard;
            run(committer, &receiver);
        })?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    /// Queues a request; blocks while the queue is full. How it went is told to its callback, always, and only there.
    pub fn submit(&self, request: Request) {
        let rejected = match &self.sender {
            Some(sender) => sender.send(request).err().map(|rejected| rejected.0),
            None => Some(request),
        };
        if let Some(request) = rejected {
            request.fail(&Arc::new(Error::Stopped));
        }
    }

    /// Queues [`Request::Append`].
    pub fn append(&self, entries: Vec<Entry>, done: Done) {
        self.submit(Request::Append { entries, done });
    }

    /// Queues [`Request::SaveState`].
    pub fn save_state(&self, state: State, done: Option<Done>) {
        self.submit(Request::SaveState { state, done });
    }

    /// Queues [`Request::SaveSnapshot`].
    pub fn save_snapshot(&self, snapshot: Snapshot, done: Done) {
        self.submit(Request::SaveSnapshot { snapshot, done });
    }

    /// Queues [`Request::Purge`].
    pub fn purge(&self, upto: LogId, done: Done) {
        self.submit(Request::Purge { upto, done });
    }

    /// Queues [`Request::Shutdown`].
    pub fn shutdown(&self, done: Done) {
        self.submit(Request::Shutdown { done });
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // A panic of the thread was told to the fault callback.
            let _ = thread.join();
        }
    }
}

fn run(mut committer: Committer, receiver: &Receiver<Request>) {
    let mut group = Vec::new();
    while let Ok(()) = collect(receiver, &mut group) {
        committer.commit(&mut group);
    }
    committer.finish();
}

/// Waits for a request, then takes what else is there, up to the bounds of a group.
fn collect(receiver: &Receiver<Request>, group: &mut Vec<Request>) -> Result<(), RecvError> {
    let first = receiver.recv()?;
    let mut bytes = first.weight();
    group.push(first);
    while bytes < GROUP_BYTES && group.len() < QUEUE_LENGTH {
        match receiver.try_recv() {
            Ok(request) => {
                bytes += request.weight();
                group.push(request);
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    Ok(())
}

/// Tells the owner if the thread dies of a panic, which would otherwise leave it waiting.
struct PanicGuard {
    on_fault: Arc<Mutex<Option<OnFault>>>,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tell(&self.on_fault, Arc::new(Error::Stopped));
        }
    }
}

fn tell(on_fault: &Mutex<Option<OnFault>>, error: Arc<Error>) {
    let on_fault = on_fault.lock().take();
    if let Some(on_fault) = on_fault {
        on_fault(error);
    }
}
