//! What runs the tasks of the consensus: tokio, and within a simulation tokio under the simulation's control.
//!
//! A simulation runs each member inside a [`SimLife`]. Whatever is spawned inside it stays inside: it draws its randomness from the
//! life's seed and ends with the life, at whatever point it waits, as the tasks of a killed process do. Outside of one (always, in a
//! server) this is plain tokio with plain randomness.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::TokioRuntime;
use openraft::async_runtime::AsyncRuntime;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{SeedableRng, make_rng};
use tokio::task::{AbortHandle, JoinHandle};

tokio::task_local! {
    static LIFE: SimLife;
}

/// Tasks noted before those that have ended are forgotten for the first time.
const NOTED_MIN: usize = 64;

/// One life of a simulated member, from a start to a crash. Clones are the same life.
#[derive(Clone, Debug)]
pub struct SimLife {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// State of the generator that seeds all others. Simulations have one thread, so that the order of draws is theirs.
    seed: AtomicU64,
    tasks: Mutex<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks {
    noted: Vec<AbortHandle>,
    /// Length of `noted` at which the ended ones are forgotten.
    forget_at: usize,
    is_over: bool,
}

impl SimLife {
    /// A life whose randomness follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let tasks = Tasks { forget_at: NOTED_MIN, ..Tasks::default() };
        Self { shared: Arc::new(Shared { seed: AtomicU64::new(seed), tasks: Mutex::new(tasks) }) }
    }

    /// Whether both are the same life.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Polls `future` inside this life. Its own end is up to the caller.
    pub fn run<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        LIFE.scope(self.clone(), future)
    }

    /// Spawns a task inside this life; none once it is over.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let handle = tokio::spawn(LIFE.scope(self.clone(), future));
        let mut tasks = self.shared.tasks.lock();
        if tasks.is_over {
            handle.abort();
        } else {
            tasks.note(handle.abort_handle());
        }
        handle
    }

    /// Ends all tasks spawned inside this life, and all that would be spawned later. They are gone when the runtime's thread has come
    /// round once.
    pub fn end(&self) {
        let noted = {
            let mut tasks = self.shared.tasks.lock();
            tasks.is_over = true;
            std::mem::take(&mut tasks.noted)
        };
        noted.iter().for_each(AbortHandle::abort);
    }

    /// The next seed: SplitMix64.
    fn draw(&self) -> u64 {
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.shared.seed.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Tasks {
    fn note(&mut self, task: AbortHandle) {
        if self.noted.len() >= self.forget_at {
            self.noted.retain(|task| !task.is_finished());
            self.forget_at = (2 * self.noted.len()).max(NOTED_MIN);
        }
        self.noted.push(task);
    }
}

/// Spawns a task, inside the life of whoever spawns it if there is one.
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match LIFE.try_with(SimLife::clone) {
        Ok(life) => life.spawn(future),
        Err(_outside) => tokio::spawn(future),
    }
}

/// The runtime that openraft is configured with.
#[derive(Debug)]
pub(crate) struct Runtime {
    tokio: TokioRuntime,
}

impl AsyncRuntime for Runtime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: Send + 'static> = JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + Send> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = SmallRng;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = <TokioRuntime as AsyncRuntime>::Watch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: Send + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> JoinHandle<T::Output>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + Send>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + Send>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(error)
    }

    fn thread_rng() -> SmallRng {
        match LIFE.try_with(SimLife::draw) {
            Ok(seed) => SmallRng::seed_from_u64(seed),
            Err(_outside) => make_rng(),
        }
    }

    fn new(threads: usize) -> Self {
        Self { tokio: TokioRuntime::new(threads) }
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.tokio.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::RngExt;

    use super::*;

    /// What openraft draws where, in one task and in those that it spawns.
    async fn drawn() -> Vec<u64> {
        let mut drawn = vec![Runtime::thread_rng().random()];
        for _ in 0..3 {
            drawn.push(Runtime::spawn(async { Runtime::thread_rng().random() }).await.unwrap());
        }
        let config = openraft::Config { election_timeout_min: 1, election_timeout_max: 1 << 40, ..Default::default() };
        drawn.push(config.new_rand_election_timeout::<Runtime>());
        drawn
    }

    #[tokio::test]
    async fn randomness_follows_the_seed_of_a_life_and_nothing_else() {
        let first = SimLife::new(7).run(drawn()).await;
        let again = SimLife::new(7).run(drawn()).await;
        let other = SimLife::new(8).run(drawn()).await;
        assert_eq!(first, again);
        assert!(first.iter().zip(&other).all(|(one, other)| one != other), "{first:?} {other:?}");
        assert_ne!(drawn().await, drawn().await, "without a life it is not predictable");
    }

    #[tokio::test(start_paused = true)]
    async fn a_life_that_ends_takes_all_its_tasks_along() {
        let life = SimLife::new(1);
        let (alive, mut count) = tokio::sync::mpsc::channel::<()>(1);
        let started = life.spawn(async move {
            let tasks: Vec<_> = (0..200)
                .map(|_| {
                    let alive = alive.clone();
                    spawn(async move {
                        tokio::time::sleep(Duration::from_secs(3600)).await;
                        drop(alive);
                    })
                })
                .collect();
            drop(alive);
            for task in tasks {
                let _ = task.await;
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!started.is_finished());

        let before = tokio::time::Instant::now();
        life.end();
        assert_eq!(count.recv().await, None, "a task outlived the life");
        assert!(started.await.unwrap_err().is_cancelled());
        assert_eq!(before.elapsed(), Duration::ZERO);
        assert!(life.spawn(async {}).await.unwrap_err().is_cancelled(), "nothing begins after the end");
    }
}
