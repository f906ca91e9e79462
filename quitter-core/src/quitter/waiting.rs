//! How to wait until a quitter has nothing live.

use std::panic::Location;
use std::time::{Duration, Instant};

use super::Quitter;
use crate::blocking;
use crate::report::timeouts::Timeouts;
use crate::routine::awaiting::Done;
use crate::routine::current::{self, waiting_routine};
use crate::routine::record::Place;
use crate::tree::Limits;

impl Quitter {
    /// A future that is ready when no routine of this quitter or of those below it is live.
    ///
    /// It makes nothing quit, and no deadline ends it: put it under your executor's timeout. A routine
    /// that awaits it is left out, and counts as one that only waits for others. Dropping the future
    /// leaves nothing behind.
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

    /// Blocks until no routine of this quitter or of those below it is live, for at most `timeout`.
    ///
    /// Makes nothing quit: without a quit, it waits for the routines to return by themselves.
    /// Afterwards the quitter can get new routines, and be waited for again.
    ///
    /// A zero `timeout` checks once, and [`Duration::MAX`] waits for ever. If all routines finish exactly
    /// at the deadline, that counts as done. When any other timeout is over, the list says what the
    /// threads [stand on](crate::Stands); to find that out takes a millisecond as a rule, about 20 ms if
    /// one of them is running, and 50 ms at most.
    ///
    /// The wait also ends by the [`deadline`](Self::deadline) of a quit, whenever that quit comes. A
    /// deadline that was over before the wait began does not count, except that of the main quitter:
    /// after that one, a wait checks once.
    ///
    /// A wait that a routine calls leaves that routine out. [Guards](Self::guard) are still waited
    /// for.
    ///
    /// It blocks the thread, and with it the tasks that an executor polls there: async code awaits
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

    /// How many routines are live that [`wait_done`](Self::wait_done) would wait for: those of this quitter
    /// and of all below it. To turn a client away if there are too many, for a metric, or for a test that
    /// begins once so many run. Routines may come and go meanwhile.
    ///
    /// It looks at one quitter after the other, of those below that have routines or waits.
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
    /// This is [`send_quit`](Self::send_quit) followed by [`wait_done`](Self::wait_done), and the
    /// routines learn of the budget: it becomes their [`deadline`](Self::deadline), unless they have
    /// an earlier one. On the main quitter, it is the end of the program, which may be forced.
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

    /// Waits by a call of this name.
    fn wait_done_by(
        &self,
        call: &'static str,
        instead: &'static str,
        timeout: Duration,
        at: Place,
    ) -> Result<(), Timeouts> {
        let node = &self.node;
        blocking::say(call, instead, at, || {
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
