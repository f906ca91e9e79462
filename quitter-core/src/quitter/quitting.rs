//! Telling a quitter to quit, and asking it whether, why and by when.

use std::borrow::Cow;
use std::convert::Infallible;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::Quitter;
use crate::blocking::warn_if_blocking;
use crate::error::Quitting;
use crate::futures::QuitFuture;
use crate::report::cause::{QuitCause, RequestingRoutine};
use crate::routine::current;
use crate::routine::record::Place;
use crate::routine::ticks::Ticks;
use crate::tree::{Node, QuitWait};

impl Quitter {
    /// Returns whether this quitter, or one above it, has been told to quit.
    ///
    /// This takes no lock, whatever the depth of the tree. It costs two loads, unless a quitter in the
    /// process was told to quit since the last call: then it checks the quitters above, too.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// let child = root.child("child").unwrap();
    /// assert!(!child.has_to_quit());
    /// root.send_quit();
    /// assert!(child.has_to_quit());
    /// ```
    #[inline]
    #[must_use]
    pub fn has_to_quit(&self) -> bool {
        self.node.is_quitting()
    }

    /// Returns the channel that closes when this quitter is told to quit, for crossbeam's `select!`.
    ///
    /// The channel never carries a message, and once closed it stays closed. A clone of the receiver also
    /// closes when the quitter is freed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use crossbeam_channel::{never, select};
    ///
    /// let root = quitter::Quitter::root("main");
    /// let jobs = never::<u32>();
    /// root.send_quit();
    /// select! {
    ///     recv(jobs) -> job => println!("{job:?}"),
    ///     recv(root.quit_chan()) -> _ => {} // Told to quit.
    /// }
    /// ```
    #[must_use]
    pub fn quit_chan(&self) -> &Receiver<Infallible> {
        self.node.quit_chan()
    }

    /// Blocks until this quitter is told to quit. Returns at once if it already has been.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// let child = root.child("child").unwrap();
    /// let waiter = std::thread::spawn(move || child.wait_quit());
    /// root.send_quit();
    /// waiter.join().unwrap();
    /// ```
    #[track_caller]
    pub fn wait_quit(&self) {
        wait_quit(&self.node);
    }

    /// Returns a future that is ready once this quitter is told to quit: [`wait_quit`](Self::wait_quit) for
    /// async code, on any executor.
    ///
    /// # Examples
    ///
    /// A server that takes a shutdown future, as axum's `with_graceful_shutdown` does:
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// # async fn serve(shutdown: impl Future<Output = ()> + Send + 'static) { shutdown.await }
    /// let root = quitter::Quitter::root("main");
    /// let server = serve(root.quitting());
    /// root.send_quit();
    /// # let mut server = std::pin::pin!(server);
    /// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// # assert!(server.as_mut().poll(&mut cx).is_ready());
    /// ```
    pub fn quitting(&self) -> QuitFuture {
        QuitFuture::new(QuitWait::new(&self.node))
    }

    /// Sleeps for `duration`, or until this quitter is told to quit.
    ///
    /// A zero duration checks once; [`Duration::MAX`] sleeps until the quit.
    ///
    /// This blocks the thread, and with it the tasks that an executor polls there: async code should await
    /// the executor's sleep under [`cancel_on_quit`](Self::cancel_on_quit).
    ///
    /// # Errors
    ///
    /// [`Quitting`] if told to quit, before or during the sleep.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// assert!(root.sleep(Duration::from_millis(1)).is_ok());
    /// root.send_quit();
    /// assert!(root.sleep(Duration::from_secs(3600)).is_err());
    /// ```
    #[track_caller]
    pub fn sleep(&self, duration: Duration) -> Result<(), Quitting> {
        sleep(&self.node, duration)
    }

    /// Ticks once every `period` until told to quit. The first tick comes after one period.
    ///
    /// The iterator yields the moments at which the ticks were due. If the loop was busy for longer than a
    /// period, the overdue tick comes at once, any further missed ticks are skipped, and the beat is kept.
    /// A zero period ticks as fast as the loop runs; [`Duration::MAX`] never ticks, and still ends at the
    /// quit.
    ///
    /// The iterator blocks the thread, as [`sleep`](Self::sleep) does: async code should await the executor's
    /// interval under [`cancel_on_quit`](Self::cancel_on_quit).
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// let mut beats = 0;
    /// for _ in root.ticks(Duration::from_millis(1)) {
    ///     beats += 1;
    ///     if beats == 3 {
    ///         root.send_quit();
    ///     }
    /// }
    /// assert_eq!(beats, 3);
    /// ```
    #[track_caller]
    pub fn ticks(&self, period: Duration) -> Ticks<'_> {
        Ticks::new(&self.node, None, Location::caller(), period)
    }

    /// Tells this quitter and all below it to quit. Does not wait for their routines.
    ///
    /// When this returns, every quitter of the subtree is quitting and refuses children and routines, as
    /// seen from any thread. A second call changes nothing; the first cause is kept.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// let [a, b] = ["a", "b"].map(|name| root.child(name).unwrap());
    /// a.send_quit();
    /// assert!(a.has_to_quit() && !b.has_to_quit() && !root.has_to_quit());
    /// ```
    #[track_caller]
    pub fn send_quit(&self) {
        self.quit_by_hand(Location::caller(), None);
    }

    /// Asks the whole tree to quit, for a reason that the event line and the report show: an `exit`
    /// typed at a prompt, an admin's request.
    ///
    /// Unlike [`send_quit`](Self::send_quit), this does not stop at this quitter: the root quits, and with
    /// it every quitter of the tree. The request is not a failure: the exit code stays 0. If the tree is
    /// already quitting, nothing changes: the first cause is kept. The cause names the routine that calls
    /// this, or the place of the call if no routine does.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{QuitCause, Quitter};
    ///
    /// let root = Quitter::root("main");
    /// let prompt = root.child("prompt").unwrap();
    /// prompt.request_quit("'exit' was typed");
    /// assert!(root.has_to_quit());
    /// let cause = root.quit_cause().unwrap();
    /// assert!(matches!(&cause, QuitCause::Requested { reason, .. } if reason == "'exit' was typed"));
    /// ```
    #[track_caller]
    pub fn request_quit(&self, reason: impl Into<Cow<'static, str>>) {
        let routine = current::get().map(|routine| routine.requesting());
        request_quit(&self.node, reason.into(), routine, Location::caller());
    }

    pub(crate) fn quit_by_hand(&self, at: Place, timeout: Option<Duration>) {
        self.node.quit(QuitCause::SendQuit { at }, timeout);
    }

    /// Returns the moment when the time to quit is up, or `None` while running, or if there is no limit.
    ///
    /// The earliest of several limits counts, such as the main quitter's quit timeout and the timeout of a
    /// [`quit_and_wait`](Self::quit_and_wait) on this quitter.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// assert_eq!(root.deadline(), None);
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.node.deadline()
    }

    /// Returns why this quitter was told to quit, or `None` while it is running. The first cause is kept.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::QuitCause;
    ///
    /// let root = quitter::Quitter::root("main");
    /// assert_eq!(root.quit_cause(), None);
    /// root.send_quit();
    /// assert!(matches!(root.quit_cause(), Some(QuitCause::SendQuit { .. })));
    /// ```
    #[must_use]
    pub fn quit_cause(&self) -> Option<QuitCause> {
        quit_cause(&self.node)
    }
}

#[track_caller]
pub(crate) fn wait_quit(node: &Arc<Node>) {
    let has_to_wait = || !node.is_quitting();
    warn_if_blocking(
        "wait_quit",
        "quitting().await",
        Location::caller(),
        has_to_wait,
    );
    node.wait_quit(None);
}

#[track_caller]
pub(crate) fn sleep(node: &Arc<Node>, duration: Duration) -> Result<(), Quitting> {
    const INSTEAD: &str = "cancel_on_quit(tokio::time::sleep(..)).await";
    let has_to_wait = || !duration.is_zero() && !node.is_quitting();
    warn_if_blocking("sleep", INSTEAD, Location::caller(), has_to_wait);
    if node.wait_quit(Instant::now().checked_add(duration)) {
        Err(Quitting)
    } else {
        Ok(())
    }
}

pub(crate) fn request_quit(
    node: &Arc<Node>,
    reason: Cow<'static, str>,
    routine: Option<RequestingRoutine>,
    at: Place,
) {
    let cause = QuitCause::Requested {
        reason: reason.into_owned(),
        routine,
        at,
    };
    node.root_node().quit(cause, None);
}

pub(crate) fn quit_cause(node: &Arc<Node>) -> Option<QuitCause> {
    node.quit_info().map(|quit| quit.cause.clone())
}
