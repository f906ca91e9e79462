//! [`Quitter`], the handle that programs hold. It is thin: all locking is in the tree.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::error::{AddRoutineError, Quitting};
use crate::futures::QuitFuture;
use crate::report::cause::{QuitCause, RequestingRoutine};
use crate::report::failure::{FailuresWhileQuitting, OnFailure, RoutineFailure};
use crate::report::timeouts::Timeouts;
use crate::routine::builder::RoutineBuilder;
use crate::routine::current::{self, waiting_routine};
use crate::routine::guard::RoutineGuard;
use crate::routine::handle::RoutineHandle;
use crate::routine::name::name_of;
use crate::routine::outcome::RoutineOutcome;
use crate::routine::quitter::RoutineQuitter;
use crate::routine::record::Place;
use crate::routine::ticks::Ticks;
use crate::tree::{DoneWait, Limits, Node, QuitWait};

/// A node of the tree: it has a name, child quitters and live routines, and it is either running
/// or quitting.
///
/// A quitter quits when it, or a quitter above it, is told to; never because one below it quits. A
/// quit is for good: from then on the quitter refuses children and routines.
///
/// This is a cheap handle, and a clone is the same quitter. Dropping the last handle quits nothing:
/// the routines go on, supervised by the quitters above. A quitter without handle, live routine and
/// child is gone from memory.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::Quitter;
///
/// let root = Quitter::root("main");
/// let child = root.child("childQuitter").unwrap();
/// child
///     .add_routine(|q| {
///         for _ in q.ticks(Duration::from_millis(10)) {
///             // Beat until told to quit.
///         }
///     })
///     .unwrap();
///
/// child.quit_and_wait(Duration::from_secs(2)).unwrap();
/// assert!(child.has_to_quit());
/// assert!(!root.has_to_quit());
/// ```
pub struct Quitter {
    node: Arc<Node>,
}

impl Clone for Quitter {
    fn clone(&self) -> Self {
        self.node.add_quitter();
        Self::of_new(Arc::clone(&self.node))
    }
}

impl Drop for Quitter {
    #[inline]
    fn drop(&mut self) {
        self.node.drop_quitter();
    }
}

impl Quitter {
    /// Creates the root of a separate tree, without any claim on the process. For libraries and
    /// tests; programs create a [`MainQuitter`](crate::MainQuitter).
    ///
    /// It quits when its owner tells it to, or when a routine fails whose
    /// [`OnFailure`](crate::OnFailure) says so.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("my library");
    /// assert_eq!(root.path(), "my library");
    /// ```
    #[must_use]
    pub fn root(name: impl Into<Cow<'static, str>>) -> Self {
        Self::of_new(Node::root(name.into(), None))
    }

    pub(crate) fn of_new(node: Arc<Node>) -> Self {
        Self { node }
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Creates a child quitter, which quits when this one does, or earlier by itself.
    ///
    /// A name is a literal, or a `String` where it is made at run time. Names may repeat: reports list
    /// two children with the same name separately. The child starts
    /// with this quitter's [`on_failure`](Self::on_failure) and
    /// [`failures_while_quitting`](Self::failures_while_quitting).
    ///
    /// # Errors
    ///
    /// [`Quitting`] if this quitter has been told to quit.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// let child = root.child("childQuitter").unwrap();
    /// assert_eq!(child.path(), "main/childQuitter");
    /// ```
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> Result<Self, Quitting> {
        Ok(Self::of_new(self.node.child(name.into())?))
    }

    /// Starts a routine: runs `f` on a thread of its own, which carries the routine's name.
    ///
    /// The name is the one under which `#[quitter::routine]` registered the function, or else the
    /// function's own. A closure in `main` is named "closure in main". Use
    /// [`routine`](Self::routine) to choose a name.
    ///
    /// The routine returns nothing, or a `Result`. An error is recorded as its failure, unless it is
    /// [`Quitting`] or has that as a source. A panic is caught and recorded, too. By default, a
    /// failure makes the root of the tree quit; see [`OnFailure`](crate::OnFailure).
    ///
    /// A panic that `f` catches itself is not a failure. There is one exception: if the program's
    /// panic hooks take longer than 8 seconds, as when stderr is a pipe that nobody reads, the main
    /// quitter no longer waits to see whether the panic is caught.
    ///
    /// The routine is done once `f` has returned and what `f` captured is dropped. The thread's
    /// thread-local values are dropped after that: at once, or up to 100 ms later where 32 and more
    /// routines that somebody waits for end at the same time, or not at all in a program that has ended
    /// by then. Work that must be done before the program ends belongs in `f`.
    ///
    /// # Errors
    ///
    /// [`AddRoutineError::Quitting`] if this quitter has been told to quit, and
    /// [`AddRoutineError::Thread`] if the operating system refuses a thread. In both cases `f` is
    /// dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    /// use quitter::{Quitter, Quitting, RoutineQuitter};
    ///
    /// fn flusher(q: &RoutineQuitter) -> Result<(), Quitting> {
    ///     loop {
    ///         q.sleep(Duration::from_secs(60))?;
    ///         // Flush.
    ///     }
    /// }
    ///
    /// let root = Quitter::root("main");
    /// let handle = root.add_routine(flusher).unwrap();
    /// assert_eq!(handle.name(), "flusher");
    /// root.quit_and_wait(Duration::from_secs(2)).unwrap();
    /// assert!(root.failures().is_empty());
    /// ```
    #[track_caller]
    pub fn add_routine<F, R>(&self, f: F) -> Result<RoutineHandle, AddRoutineError>
    where
        F: FnOnce(&RoutineQuitter) -> R + Send + 'static,
        R: RoutineOutcome,
    {
        self.routine(name_of::<F>()).add(f)
    }

    /// Begins the description of a routine with its name: a literal, or a `String` where it is made at
    /// run time. Stack size and response to a failure may follow; [`add`](RoutineBuilder::add) starts it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{OnFailure, Quitter};
    ///
    /// let root = Quitter::root("main");
    /// let worker = root
    ///     .routine("worker 1")
    ///     .stack_size(256 * 1024)
    ///     .on_failure(OnFailure::FailAtExit)
    ///     .add(|_| Err::<(), _>("no work"))
    ///     .unwrap();
    /// worker.wait(std::time::Duration::MAX).unwrap();
    /// assert!(!root.has_to_quit());
    /// assert_eq!(root.failures()[0].to_string(), "routine 'worker 1' of main failed: no work");
    /// ```
    pub fn routine(&self, name: impl Into<Cow<'static, str>>) -> RoutineBuilder<'_> {
        RoutineBuilder::new(&self.node, name.into())
    }

    /// Tracks work started elsewhere as a routine for as long as the guard lives: a thread of a
    /// library's, a job in a pool, a plain call in a test.
    ///
    /// The guard is a routine's view of this quitter. A guard that is dropped by a panic records a
    /// failure, as a routine that panics does. Unlike a routine of a thread, a guard is waited for
    /// even by a wait on its own thread.
    ///
    /// # Errors
    ///
    /// [`Quitting`] if this quitter has been told to quit.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// let guard = root.guard("request 17").unwrap();
    /// assert!(root.wait_done(Duration::ZERO).is_err());
    /// drop(guard);
    /// assert!(root.wait_done(Duration::ZERO).is_ok());
    /// ```
    #[track_caller]
    pub fn guard(&self, name: impl Into<Cow<'static, str>>) -> Result<RoutineGuard, Quitting> {
        self.routine(name).guard()
    }

    /// Sets how the program responds to failures of routines from now on, here and below.
    /// [`OnFailure::QuitMain`] otherwise.
    ///
    /// A routine's own [`RoutineBuilder::on_failure`] takes precedence, and then the nearest quitter on
    /// which this was called.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    /// use quitter::{OnFailure, Quitter};
    ///
    /// let root = Quitter::root("main");
    /// let connections = root.child("connections").unwrap();
    /// connections.on_failure(OnFailure::Report);
    /// connections.add_routine(|_| Err::<(), _>("connection reset")).unwrap();
    /// root.wait_done(Duration::MAX).unwrap();
    /// assert!(!root.has_to_quit());
    /// ```
    pub fn on_failure(&self, on_failure: OnFailure) {
        self.node.set_on_failure(on_failure);
    }

    /// Sets how the program responds, from now on, to failures of routines whose quitter is quitting,
    /// here and below.
    ///
    /// The nearest quitter on which this was called counts. Without one it is
    /// [`MainQuitterBuilder::failures_while_quitting`](crate::MainQuitterBuilder::failures_while_quitting).
    /// Failures under [`OnFailure::Report`] change no exit code in any case.
    ///
    /// # Examples
    ///
    /// A sender whose receiver may be gone by the time it quits, beside a store that has to be flushed:
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    /// use quitter::{FailuresWhileQuitting, MainQuitter, QuitSource};
    ///
    /// let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
    /// let [metrics, store] = ["metrics", "store"].map(|name| main.child(name).unwrap());
    /// metrics.failures_while_quitting(FailuresWhileQuitting::ListOnly);
    /// metrics.routine("sender").add(|q| {
    ///     q.wait_quit();
    ///     Err::<(), _>("the receiver is gone")
    /// })
    /// .unwrap();
    /// store.routine("flusher").add(|q| q.wait_quit()).unwrap();
    /// main.send_quit();
    /// let report = main.exit();
    /// assert_eq!((report.exit_code, report.failures.len()), (0, 1));
    /// ```
    pub fn failures_while_quitting(&self, policy: FailuresWhileQuitting) {
        self.node.set_failures_while_quitting(policy);
    }

    /// Whether this quitter, or one above it, has been told to quit.
    ///
    /// Takes no lock, whatever the depth. It costs two loads, unless something in the process was
    /// told to quit since the last call: then it looks at the quitters above, too.
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

    /// The channel that closes when this quitter is told to quit, for crossbeam's `select!`.
    ///
    /// It never carries a message, and once closed it stays closed. A clone of the receiver also
    /// closes when the quitter is gone from memory.
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

    /// Blocks until this quitter is told to quit. Returns at once if it has been.
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
    pub fn wait_quit(&self) {
        self.node.wait_quit(None);
    }

    /// A future that is ready once this quitter is told to quit: what [`wait_quit`](Self::wait_quit)
    /// is to threads, on any executor.
    ///
    /// # Examples
    ///
    /// A server that takes the future of its end, as axum's `with_graceful_shutdown` does:
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

    /// A future that is ready when no routine of this quitter and those below it is live.
    ///
    /// It quits nothing, and no deadline ends it: put it under your executor's timeout. A routine that
    /// awaits it is left out. Dropping it leaves nothing behind.
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
        DoneWait::new(
            &self.node,
            Limits {
                excluding: current::excluded(),
                ignore_deadlines: true,
                ..Limits::default()
            },
        )
    }

    /// Sleeps for `duration`, or until this quitter is told to quit.
    ///
    /// A zero duration checks once; [`Duration::MAX`] sleeps until the quit.
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
    pub fn sleep(&self, duration: Duration) -> Result<(), Quitting> {
        sleep(&self.node, duration)
    }

    /// Ticks once every `period` until told to quit. The first tick comes after one period.
    ///
    /// The iterator yields the moments at which the ticks were due. If the loop was busy for longer
    /// than a period, the overdue tick comes at once, further missed ticks are skipped, and the beat
    /// is kept. A zero period ticks as fast as the loop runs; [`Duration::MAX`] never ticks, and
    /// still ends on quit.
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
    pub fn ticks(&self, period: Duration) -> Ticks<'_> {
        Ticks::new(&self.node, None, period)
    }

    /// Tells this quitter and all below it to quit. Does not wait for their routines.
    ///
    /// When this returns, every quitter of the subtree has to quit and refuses children and
    /// routines, as seen from any thread. A second call changes nothing; the first cause is kept.
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
    /// Unlike [`send_quit`](Self::send_quit) this does not stop at this quitter: the root quits, and
    /// with it every quitter of the tree. It is no failure: the exit code stays 0. If the tree quits
    /// already, nothing happens: the first cause is kept.
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
        request_quit(&self.node, reason.into(), None, Location::caller());
    }

    fn quit_by_hand(&self, at: Place, timeout: Option<Duration>) {
        self.node.quit(QuitCause::SendQuit { at }, timeout);
    }

    /// Blocks until no routine of this quitter and those below it is live, for at most `timeout`.
    ///
    /// Does not quit anything: without a quit, it waits for the routines to return by themselves.
    /// Afterwards the quitter can get new routines, and be waited for again.
    ///
    /// A zero `timeout` checks once, and [`Duration::MAX`] waits for ever. If all finish exactly at
    /// the deadline, that counts as done.
    ///
    /// The wait also ends by the [`deadline`](Self::deadline) of a quit, whenever that quit comes. A
    /// deadline that was over before the wait began does not count, except for that of the main
    /// quitter: after it, a wait checks once.
    ///
    /// A wait that a routine calls leaves that routine out. [Guards](Self::guard) are still waited
    /// for.
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
    pub fn wait_done(&self, timeout: Duration) -> Result<(), Timeouts> {
        wait_done(&self.node, timeout)
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
        self.wait_done(timeout)
    }

    /// When the time to quit is up. `None` while running, or if there is no limit.
    ///
    /// Of several limits the earliest counts, such as the main quitter's quit timeout and that of a
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

    /// Why this quitter was told to quit. `None` while it is running. The first cause is kept.
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

    /// The failures of the whole tree so far, in the order in which they happened: the first thousand,
    /// and the one that made the root quit. Those of routines under [`OnFailure::Report`] are left out.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// root.routine("disk").add(|_| Err::<(), _>("disk full")).unwrap();
    /// root.wait_done(Duration::MAX).unwrap();
    /// assert!(root.has_to_quit());
    /// assert_eq!(root.failures()[0].name, "disk");
    /// ```
    #[must_use]
    pub fn failures(&self) -> Vec<RoutineFailure> {
        self.node.failures().listed
    }

    /// The name that the quitter was created with.
    #[must_use]
    pub fn name(&self) -> &str {
        self.node.name()
    }

    /// The names from the root down to this quitter, joined with slashes: `main/childQuitter`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// assert_eq!(root.child("a").unwrap().child("b").unwrap().path(), "main/a/b");
    /// ```
    #[must_use]
    pub fn path(&self) -> String {
        self.node.path()
    }
}

impl fmt::Debug for Quitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(&mut f.debug_struct("Quitter"), &self.node)
    }
}

pub(crate) fn debug(f: &mut fmt::DebugStruct<'_, '_>, node: &Arc<Node>) -> fmt::Result {
    f.field("path", &node.path())
        .field("has_to_quit", &node.is_quitting())
        .field("live_routines", &node.live_here())
        .finish()
}

pub(crate) fn sleep(node: &Arc<Node>, duration: Duration) -> Result<(), Quitting> {
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

fn wait_done(node: &Arc<Node>, timeout: Duration) -> Result<(), Timeouts> {
    let from = Instant::now();
    waiting_routine(|excluding| {
        node.wait_done(Limits {
            excluding,
            ..Limits::within(timeout)
        })
    })
    .map_err(|live| Timeouts::new(live, from.elapsed()))
}
