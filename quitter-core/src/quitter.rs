//! [`Quitter`], the handle that programs hold. Thin: all locking is in the tree.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::error::{AddRoutineError, Never, Quitting};
use crate::report::cause::{QuitCause, RequestingRoutine};
use crate::report::failure::RoutineFailure;
use crate::report::timeouts::Timeouts;
use crate::routine::builder::RoutineBuilder;
use crate::routine::current::waiting_routine;
use crate::routine::guard::RoutineGuard;
use crate::routine::handle::RoutineHandle;
use crate::routine::name::name_of;
use crate::routine::outcome::RoutineOutcome;
use crate::routine::quitter::RoutineQuitter;
use crate::routine::record::Place;
use crate::routine::ticks::Ticks;
use crate::tree::{Limits, Node};

/// A node of the tree: it has a name, child quitters and live routines, and it is either running
/// or quitting.
///
/// A quitter quits when it is told to, or when one above it is; never because one below it quits.
/// Once it quits it does so for good, and refuses children and routines.
///
/// This is a cheap handle: a clone is the same quitter. Dropping the last handle quits nothing: the
/// routines go on, supervised by the quitters above. A quitter with neither handle nor live
/// routine nor child is gone from memory.
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
///             // Beat, until told to quit.
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
    /// Makes the root of a tree of its own, without any claim on the process: for libraries and
    /// tests.
    ///
    /// Nothing but its owner tells it to quit, and a failed routine, as its
    /// [`OnFailure`](crate::OnFailure) says. Programs make a [`MainQuitter`](crate::MainQuitter).
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

    /// Makes a child quitter, which quits when this one does, or earlier by itself.
    ///
    /// Names may repeat: reports tell two children of one name apart.
    ///
    /// # Errors
    ///
    /// [`Quitting`] once this quitter was told to quit.
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

    /// Forks a routine: runs `f` on a thread of its own, which carries the routine's name.
    ///
    /// The name is the one under which `#[quitter::routine]` registered the function, else the
    /// function's own, else "closure in" and the function that the closure stands in. Use
    /// [`routine`](Self::routine) to choose a name.
    ///
    /// The routine returns nothing, or a `Result` whose error is recorded as its failure, unless
    /// it is [`Quitting`] or has it as a source. A panic is caught and recorded, too. A failure
    /// makes the root of the tree quit; [`RoutineBuilder::on_failure`] says otherwise.
    ///
    /// The routine is done once `f` has returned and what it captured is dropped. The thread's
    /// thread-local values are dropped after that: at once, or, where dozens of routines end while
    /// somebody waits for the last of them, when that wait is over or up to 100 ms later (100 µs
    /// for each of them); not at all in a program that has ended by then. What must be done before the program ends belongs into `f`.
    ///
    /// # Errors
    ///
    /// [`AddRoutineError::Quitting`] once this quitter was told to quit, and
    /// [`AddRoutineError::Thread`] when the operating system refuses a thread. Both times `f` is
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

    /// Starts to describe a routine: its name here, then stack size and what a failure does;
    /// [`add`](RoutineBuilder::add) forks it.
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
    ///     .on_failure(OnFailure::Record)
    ///     .add(|_| Err::<(), _>("no work"))
    ///     .unwrap();
    /// worker.wait(std::time::Duration::MAX).unwrap();
    /// assert!(!root.has_to_quit());
    /// assert_eq!(root.failures()[0].to_string(), "routine 'worker 1' of main failed: no work");
    /// ```
    pub fn routine(&self, name: impl Into<Cow<'static, str>>) -> RoutineBuilder<'_> {
        RoutineBuilder::new(&self.node, name.into())
    }

    /// Lists the caller's own work as a routine for as long as the guard lives: work that others
    /// forked, a plain call in a test, the body of a `main`.
    ///
    /// The guard is what a routine sees of its quitter. A guard that is dropped by a panic records
    /// a failure, as a routine that panics does. Unlike a forked routine, a guard is waited for
    /// even by a wait on its own thread.
    ///
    /// # Errors
    ///
    /// [`Quitting`] once this quitter was told to quit.
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

    /// Whether this quitter was told to quit, or one above it.
    ///
    /// No lock, whatever the depth: two loads, as long as nobody was told to quit since the last call.
    /// The first call after a quit somewhere in the process looks at the quitters above, too.
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
    /// It never carries a message. After the quit it is closed for ever. A clone of the receiver
    /// closes, too, when the quitter is gone from memory.
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
    pub fn quit_chan(&self) -> &Receiver<Never> {
        self.node.quit_chan()
    }

    /// Blocks until this quitter is told to quit; returns at once when it was.
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

    /// Sleeps for `duration`, or until this quitter is told to quit.
    ///
    /// A duration of zero is one look; [`Duration::MAX`] sleeps until the quit.
    ///
    /// # Errors
    ///
    /// [`Quitting`] when told to quit, before or while it sleeps.
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

    /// Ticks once every `period`, the first time after one period, until told to quit.
    ///
    /// An iterator over the moments at which the ticks were due. When the loop was busy for longer
    /// than a period, the tick that is overdue comes at once, further missed ones are skipped, and
    /// the next ones keep the beat. A period of zero ticks
    /// as fast as the loop goes; [`Duration::MAX`] never ticks, and still ends on quit.
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

    /// Tells this quitter and all below it to quit.
    ///
    /// When this returns, every quitter of the subtree says that it has to quit and refuses
    /// children and routines, seen from any thread. Does not wait. Called again it changes
    /// nothing; the first cause is kept.
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
    /// Does not quit anything: without a quit it waits for the routines to return by themselves.
    /// Afterwards the quitter can get new routines, and be waited for again.
    ///
    /// A `timeout` of zero is one honest look, [`Duration::MAX`] waits for ever. When this quitter or
    /// one above it is told to quit under a [`deadline`](Self::deadline), the wait ends by then; a
    /// deadline that was over before the wait began does not count, but for that of the main
    /// quitter: after it, a wait is one look. Everything done wins a tie with the deadline. Called by a routine, the wait
    /// leaves that routine out; a [guard](Self::guard) it does not leave out.
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

    /// Tells this quitter and all below it to quit, and waits until their routines have returned,
    /// for at most `timeout`.
    ///
    /// As [`send_quit`](Self::send_quit) and [`wait_done`](Self::wait_done) in one, and the routines
    /// learn of the budget: it is their [`deadline`](Self::deadline), unless that is earlier
    /// already. On the main quitter it is the end of the program, which may be forced.
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

    /// When the time to quit ends: `None` while running, or when there is no limit.
    ///
    /// With several limits, such as the main quitter's quit timeout and that of a
    /// [`quit_and_wait`](Self::quit_and_wait) on this quitter, it is the earliest.
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

    /// Why this quitter was told to quit; `None` while it is running. The first cause is kept.
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

    /// The failures of the whole tree so far, in the order in which they happened: the first
    /// thousand.
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

    /// The name that the quitter was made with.
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

pub(crate) fn debug(f: &mut fmt::DebugStruct<'_, '_>, node: &Node) -> fmt::Result {
    f.field("path", &node.path())
        .field("has_to_quit", &node.is_quitting())
        .field("live_routines", &node.live_here())
        .finish()
}

pub(crate) fn sleep(node: &Node, duration: Duration) -> Result<(), Quitting> {
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

pub(crate) fn quit_cause(node: &Node) -> Option<QuitCause> {
    node.quit_info().map(|quit| quit.cause.clone())
}

fn wait_done(node: &Arc<Node>, timeout: Duration) -> Result<(), Timeouts> {
    let from = Instant::now();
    waiting_routine(|except| {
        node.wait_done(Limits {
            except,
            ..Limits::within(timeout)
        })
    })
    .map_err(|live| Timeouts::new(live, from.elapsed()))
}
