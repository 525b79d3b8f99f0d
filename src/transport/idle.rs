//! Whether the other side of a stream still does its part: a deadline for the whole call would not tell, as a healthy stream
//! has no end.
//!
//! Time counts only while the other side owes something. One short lock, held to read and write a few words.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// What the other side owes, and since when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Debt {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    owed: u64,
    /// The latest sign of life, or the moment when the debt arose. Absent: nothing is owed.
    since: Option<Instant>,
}

impl Debt {
    /// Each item of `requests` is owed an answer from when it is taken.
    pub(crate) fn of_answers<T>(
        &self,
        requests: impl Stream<Item = T> + Send + 'static,
    ) -> impl Stream<Item = T> + Send + 'static {
        let debt = self.clone();
        requests.inspect(move |_| debt.grow())
    }

    /// Each item of `pieces` is owed that the next one is asked for.
    pub(crate) fn of_taking<T>(
        &self,
        mut pieces: impl Stream<Item = T> + Send + Unpin + 'static,
    ) -> impl Stream<Item = T> + Send + 'static {
        let debt = self.clone();
        futures::stream::poll_fn(move |cx| {
            debt.settle();
            let polled = pieces.poll_next_unpin(cx);
            if let std::task::Poll::Ready(Some(_)) = polled {
                debt.grow();
            }
            polled
        })
    }

    fn grow(&self) {
        let mut state = self.state.lock();
        state.owed += 1;
        state.since.get_or_insert_with(Instant::now);
    }

    /// One thing less is owed; what remains has waited from now on.
    pub(crate) fn settle(&self) {
        let mut state = self.state.lock();
        state.owed = state.owed.saturating_sub(1);
        state.since = (state.owed > 0).then(Instant::now);
    }

    /// Returns when something has been owed for `idle` without a sign of life.
    pub(crate) async fn overdue(self, idle: Duration) {
        loop {
            let since = self.state.lock().since;
            let deadline = since.unwrap_or_else(Instant::now) + idle;
            if since.is_some() && deadline <= Instant::now() {
                return;
            }
            sleep_until(deadline).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, stream};
    use tokio::time::{advance, timeout};

    use super::*;

    const IDLE: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn nothing_owed_is_never_overdue() {
        let debt = Debt::default();
        assert!(timeout(IDLE * 100, debt.clone().overdue(IDLE)).await.is_err());
        debt.grow();
        debt.settle();
        assert!(timeout(IDLE * 100, debt.overdue(IDLE)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_debt_that_arises_while_watched_is_overdue_exactly_then() {
        let debt = Debt::default();
        let mut overdue = Box::pin(debt.clone().overdue(IDLE));
        assert!(overdue.as_mut().now_or_never().is_none());
        advance(IDLE * 3 / 4).await;
        let arisen = Instant::now();
        debt.grow();
        overdue.await;
        assert_eq!(arisen.elapsed(), IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn every_answer_starts_the_time_anew() {
        let debt = Debt::default();
        let begun = Instant::now();
        debt.grow();
        debt.grow();
        let watched = tokio::spawn(debt.clone().overdue(IDLE));
        advance(IDLE * 3 / 4).await;
        debt.settle();
        watched.await.expect("no panic");
        assert_eq!(begun.elapsed(), IDLE * 7 / 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_source_owes_nothing_and_a_slow_taker_does() {
        let debt = Debt::default();
        let mut pieces = debt.of_taking(stream::iter([1]).chain(stream::pending()).boxed());
        let mut overdue = Box::pin(debt.clone().overdue(IDLE));
        assert_eq!(pieces.next().now_or_never(), Some(Some(1)));
        assert!(timeout(IDLE * 2, overdue.as_mut()).await.is_ok(), "one piece was taken, and no other asked for");
        assert!(pieces.next().now_or_never().is_none());
        assert!(timeout(IDLE * 100, debt.overdue(IDLE)).await.is_err(), "the source has nothing");
    }
}
