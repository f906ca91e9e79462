//! Async waits with a timeout, by tokio's timers.

use std::future::poll_fn;
use std::panic::Location;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::{Instant as Timers, Sleep, sleep_until};

use crate::quitter::Quitter;
use crate::report::timeouts::Timeouts;
use crate::routine::awaiting::Awaited;
use crate::routine::handle::RoutineHandle;
use crate::routine::record::Record;
use crate::tree::{Limits, Node, Step};

/// The longest time that a timer is set for. Timers overflow on large durations.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl Quitter {
    /// Waits until no routine of this quitter or of those below it is live, for at most `timeout`: the async
    /// form of [`wait_done`](Self::wait_done). The wait begins when the future is first polled.
    ///
    /// The task that awaits it is left out, and counts as one that only waits for others. Dropping the future
    /// leaves nothing behind.
    ///
    /// # Errors
    ///
    /// Returns [`Timeouts`], which lists the routines that were live when the time was up.
    ///
    /// # Panics
    ///
    /// Panics if it has to wait for a limited time and is polled outside a tokio runtime, or in one without
    /// timers (`enable_time`). The [`deadline`](Self::deadline) of a quit limits the time, too, even that of
    /// [`Duration::MAX`]: on other executors, await [`done`](Self::done).
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let root = quitter::Quitter::root("main");
    /// root.routine("waits").add_task(|q| async move { q.quitting().await }).unwrap();
    /// let timeouts = root.wait_done_async(Duration::from_millis(10)).await.unwrap_err();
    /// assert_eq!(timeouts.routines().next().unwrap().name, "waits");
    /// root.send_quit();
    /// root.wait_done_async(Duration::MAX).await.unwrap();
    /// # }
    /// ```
    pub fn wait_done_async(
        &self,
        timeout: Duration,
    ) -> impl Future<Output = Result<(), Timeouts>> + Send + use<> {
        let node = Arc::clone(self.node());
        async move {
            let wait = Awaited::for_subtree(&node, Limits::within(timeout));
            wait_within(wait, timeout).await
        }
    }

    /// Tells this quitter and all below it to quit, and waits for at most `timeout` until their routines have
    /// returned: the async form of [`quit_and_wait`](Self::quit_and_wait). Nothing happens until the future
    /// is first polled.
    ///
    /// # Errors
    ///
    /// Returns [`Timeouts`], which lists the routines that were live when the time was up.
    ///
    /// # Panics
    ///
    /// Panics like [`wait_done_async`](Self::wait_done_async).
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let root = quitter::Quitter::root("main");
    /// root.routine("waits").add_task(|q| async move { q.quitting().await }).unwrap();
    /// root.quit_and_wait_async(Duration::from_secs(2)).await.unwrap();
    /// # }
    /// ```
    #[track_caller]
    pub fn quit_and_wait_async(
        &self,
        timeout: Duration,
    ) -> impl Future<Output = Result<(), Timeouts>> + Send + use<> {
        let at = Location::caller();
        let quitter = self.clone();
        async move {
            quitter.quit_by_hand(at, Some(timeout));
            quitter.wait_done_async(timeout).await
        }
    }
}

impl RoutineHandle {
    /// Waits until the routine is done, for at most `timeout`: the async form of [`wait`](Self::wait), for a
    /// routine of any kind. The wait begins when the future is first polled.
    ///
    /// # Errors
    ///
    /// Returns [`Timeouts`], which lists this one routine, if the time is up.
    ///
    /// # Panics
    ///
    /// Panics like [`Quitter::wait_done_async`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let root = quitter::Quitter::root("main");
    /// let thread = root.routine("job").add(|_| {}).unwrap();
    /// thread.wait_async(Duration::MAX).await.unwrap();
    /// # }
    /// ```
    pub fn wait_async(
        &self,
        timeout: Duration,
    ) -> impl Future<Output = Result<(), Timeouts>> + Send + use<> {
        let (node, record) = (self.node().clone(), Arc::clone(self.record()));
        async move { wait_for(&node, &record, timeout).await }
    }
}

/// Waits for the end of one routine of any kind.
pub(super) async fn wait_for(
    node: &Weak<Node>,
    record: &Arc<Record>,
    timeout: Duration,
) -> Result<(), Timeouts> {
    // A live routine keeps its node alive.
    let Some(node) = node.upgrade() else {
        return Ok(());
    };
    let wait = Awaited::for_one(&node, record, Limits::within(timeout));
    wait_within(wait, timeout).await
}

async fn wait_within(mut wait: Awaited, timeout: Duration) -> Result<(), Timeouts> {
    let from = Instant::now();
    if !timeout.is_zero() && is_done_in_time(&mut wait).await {
        return Ok(());
    }
    let live = wait.look();
    live.map_err(|live| Timeouts::of_wait(live, from.elapsed(), timeout))
}

/// Drives the wait, step by step, until it is over. Returns whether everything ended in time.
///
/// A timer decides when the time is up: tokio's clock may be paused and advanced, as in tests.
async fn is_done_in_time(wait: &mut Awaited) -> bool {
    let (from, from_of_timers) = (Instant::now(), Timers::now());
    let mut timer = pin!(None::<Sleep>);
    // The times at which the timer fires and the wait is over.
    let mut set_for = None;
    poll_fn(|cx| {
        loop {
            let due = match wait.step(cx) {
                Step::Done => return Poll::Ready(true),
                Step::TimeUp => return Poll::Ready(false),
                Step::Pending(None) => return Poll::Pending,
                Step::Pending(Some(due)) => {
                    from_of_timers.checked_add(due.saturating_duration_since(from))
                }
            };
            if set_for.is_none_or(|(_, of)| of != due) {
                let latest = Timers::now() + LONGEST;
                let soon = due.map_or(latest, |due| due.min(latest));
                timer.set(Some(sleep_until(soon)));
                set_for = Some((soon, due));
            }
            if let Some(timer) = timer.as_mut().as_pin_mut() {
                ready!(timer.poll(cx));
            }
            if set_for.take().is_some_and(|(soon, of)| Some(soon) == of) {
                return Poll::Ready(false);
            }
        }
    })
    .await
}
