//! Waiting until no routine of a quitter, or of one below it, is live.

use std::panic::Location;
use std::time::{Duration, Instant};

use super::Quitter;
use crate::blocking::warn_if_blocking;
use crate::report::timeouts::Timeouts;
use crate::routine::awaiting::Done;
use crate::routine::current::{self, waiting_routine};
use crate::routine::record::Place;
use crate::tree::Limits;

impl Quitter {
    /// Returns a future that is ready when no routine of this quitter, or of one below it, is live.
    ///
    /// The future tells nothing to quit, and no deadline ends it: to limit it, use your executor's timeout.
    /// A routine that awaits it is left out, and counts as one that only waits for others. Dropping the
    /// future leaves nothing behind.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::pin::pin;
    /// use std::task::{Context, Waker};
    ///
    /// let root = quitter::Quitter::root("main");
    /// let guard = root.guard("request").unwrap();
    /// let mut done = pin!(root.done());
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(done.as_mut().poll(&mut cx).is_pending());
    /// drop(guard);
    /// assert!(done.as_mut().poll(&mut cx).is_ready());
    /// ```
    pub fn done(&self) -> impl Future<Output = ()> + Send + Sync + Unpin + use<> {
        Done::new(&self.node)
    }

    /// Blocks until no routine of this quitter, or of one below it, is live, for at most `timeout`.
    ///
    /// This tells nothing to quit: without a quit, it waits for the routines to return on their own.
    /// Afterwards, the quitter can get new routines, and be waited for again.
    ///
    /// A zero `timeout` checks once, and [`Duration::MAX`] waits without a limit. If all routines finish
    /// exactly at the deadline, that counts as done. After any other timeout, the list says what the
    /// threads [stand on](crate::Stands). Finding that out usually takes a millisecond, about 20 ms if one of
    /// them is running (less if the timeout is below 200 ms), and 50 ms at most. Child processes follow, for up
    /// to 20 ms more (less after such a timeout).
    ///
    /// The wait also ends by the [`deadline`](Self::deadline) of a quit, whenever that quit comes. A
    /// deadline that had passed before the wait began does not count, except the main quitter's: after that
    /// one, a wait checks once and returns, so a loop of waits has to end there.
    ///
    /// A wait that a routine makes leaves that routine out. [Guards](Self::guard) are still waited for.
    ///
    /// This blocks the thread, and with it the tasks that an executor polls there: async code should await
    /// [`done`](Self::done) or, with the feature `tokio`, `wait_done_async`.
    ///
    /// # Errors
    ///
    /// [`Timeouts`] lists the routines that were live when the time was up.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// root.routine("waits for the quit").add(|q| q.wait_quit()).unwrap();
    ///
    /// let timeouts = root.wait_done(Duration::from_millis(1)).unwrap_err();
    /// let stuck: Vec<_> = timeouts.routines().map(|r| &r.name[..]).collect();
    /// assert_eq!(stuck, ["waits for the quit"]);
    ///
    /// root.send_quit();
    /// root.wait_done(Duration::MAX).unwrap();
    /// ```
    #[track_caller]
    pub fn wait_done(&self, timeout: Duration) -> Result<(), Timeouts> {
        self.wait_done_by("wait_done", "wait_done_async", timeout, Location::caller())
    }

    /// Returns how many routines of this quitter, and of all below it, are live, including the one that
    /// calls this. Use it to turn a client away when there are too many, as a metric, or in a test that
    /// begins once enough of them run. Routines may come and go meanwhile.
    ///
    /// The count visits the quitters below that have routines or waits, one after the other.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// let clients = root.child("clients").unwrap();
    /// let client = clients.guard("10.0.0.1:5012").unwrap();
    /// assert_eq!((clients.live_routines(), root.live_routines()), (1, 1));
    /// drop(client);
    /// assert_eq!(root.live_routines(), 0);
    /// ```
    #[must_use]
    pub fn live_routines(&self) -> usize {
        self.node.live_routines()
    }

    /// Tells this quitter and all below it to quit, and waits for at most `timeout` until their
    /// routines have returned.
    ///
    /// This is [`send_quit`](Self::send_quit) followed by [`wait_done`](Self::wait_done), and the routines
    /// learn of the timeout: its end becomes their [`deadline`](Self::deadline), unless they have an
    /// earlier one. On the main quitter, this is the end of the program, which may be forced.
    ///
    /// # Errors
    ///
    /// [`Timeouts`] lists the routines that were live when the time was up.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// root.add_routine(|q| {
    ///     q.wait_quit();
    ///     assert!(q.deadline().is_some());
    /// })
    /// .unwrap();
    /// root.quit_and_wait(Duration::from_secs(2)).unwrap();
    /// ```
    #[track_caller]
    pub fn quit_and_wait(&self, timeout: Duration) -> Result<(), Timeouts> {
        self.quit_by_hand(Location::caller(), Some(timeout));
        let async_wait = "quit_and_wait_async";
        self.wait_done_by("quit_and_wait", async_wait, timeout, Location::caller())
    }

    /// Waits for the public method `call`; a warning to a caller that blocks tasks recommends `instead`.
    fn wait_done_by(
        &self,
        call: &'static str,
        instead: &'static str,
        timeout: Duration,
        at: Place,
    ) -> Result<(), Timeouts> {
        let node = &self.node;
        warn_if_blocking(call, instead, at, || {
            let excluded = current::excluded().map(|excluded| excluded.id);
            !timeout.is_zero() && node.owner().look(excluded).is_err()
        });
        let from = Instant::now();
        waiting_routine(|excluding| {
            node.wait_done(Limits {
                excluding,
                ..Limits::within(timeout)
            })
        })
        .map_err(|live| Timeouts::of_wait(live, from.elapsed(), timeout))
    }
}
