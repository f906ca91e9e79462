//! What a routine sees of its quitter.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::builder::RoutineBuilder;
use super::guard::RoutineGuard;
use super::handle::RoutineHandle;
use super::name::name_of;
use super::outcome::RoutineOutcome;
use super::record::Record;
use super::ticks::Ticks;
use crate::error::{AddRoutineError, Never, Quitting};
use crate::quitter::{Quitter, debug, quit_cause, request_quit, sleep};
use crate::report::cause::{QuitCause, RequestingRoutine};
use crate::tree::Node;

/// What a routine sees of its quitter: everything but telling it to quit and waiting for it, which
/// a routine should not do to itself.
///
/// Each call leaves a trace that reports show as "last seen": the place of the call, and the time
/// where the call may block. It is `Send` and `'static`, so a clone can be handed to helpers; a
/// clone that outlives its routine keeps nothing live.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::RoutineQuitter;
///
/// fn heartbeat(q: &RoutineQuitter) {
///     for _ in q.ticks(Duration::from_secs(1)) {
///         println!("Heartbeat from '{}'", q.name());
///     }
/// }
///
/// let root = quitter::Quitter::root("main");
/// root.add_routine(heartbeat).unwrap();
/// root.quit_and_wait(Duration::from_secs(2)).unwrap();
/// ```
#[derive(Clone)]
pub struct RoutineQuitter {
    node: Arc<Node>,
    record: Arc<Record>,
}

impl RoutineQuitter {
    pub(crate) fn new(node: Arc<Node>, record: Arc<Record>) -> Self {
        Self { node, record }
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Makes a child of the routine's quitter. As [`Quitter::child`].
    ///
    /// # Errors
    ///
    /// [`Quitting`] once the quitter was told to quit.
    #[track_caller]
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> Result<Quitter, Quitting> {
        self.record.seen(Location::caller());
        Ok(Quitter::of_new(self.node.child(name.into())?))
    }

    /// Forks a routine beside this one. As [`Quitter::add_routine`].
    ///
    /// # Errors
    ///
    /// As [`Quitter::add_routine`].
    #[track_caller]
    pub fn add_routine<F, R>(&self, f: F) -> Result<RoutineHandle, AddRoutineError>
    where
        F: FnOnce(&RoutineQuitter) -> R + Send + 'static,
        R: RoutineOutcome,
    {
        self.routine(name_of::<F>()).add(f)
    }

    /// Starts to describe a routine beside this one. As [`Quitter::routine`].
    #[track_caller]
    pub fn routine(&self, name: impl Into<Cow<'static, str>>) -> RoutineBuilder<'_> {
        self.record.seen(Location::caller());
        RoutineBuilder::new(&self.node, name.into())
    }

    /// Lists work as a routine beside this one. As [`Quitter::guard`].
    ///
    /// # Errors
    ///
    /// [`Quitting`] once the quitter was told to quit.
    #[track_caller]
    pub fn guard(&self, name: impl Into<Cow<'static, str>>) -> Result<RoutineGuard, Quitting> {
        self.routine(name).guard()
    }

    /// Whether the routine was told to quit: two loads, and one store of the caller's place. As
    /// [`Quitter::has_to_quit`].
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn has_to_quit(&self) -> bool {
        self.record.seen(Location::caller());
        self.node.is_quitting()
    }

    /// The channel that closes when the routine is told to quit. As [`Quitter::quit_chan`].
    #[must_use]
    #[track_caller]
    pub fn quit_chan(&self) -> &Receiver<Never> {
        self.record.seen(Location::caller());
        self.node.quit_chan()
    }

    /// Blocks until the routine is told to quit. As [`Quitter::wait_quit`].
    #[track_caller]
    pub fn wait_quit(&self) {
        self.record.seen_now(Location::caller());
        self.node.wait_quit(None);
    }

    /// Sleeps for `duration`, or until the routine is told to quit. As [`Quitter::sleep`].
    ///
    /// # Errors
    ///
    /// [`Quitting`] when told to quit, before or while it sleeps. A routine may return it: it has
    /// not failed then.
    #[track_caller]
    pub fn sleep(&self, duration: Duration) -> Result<(), Quitting> {
        self.record.seen_now(Location::caller());
        sleep(&self.node, duration)
    }

    /// Ticks once every `period` until the routine is told to quit. As [`Quitter::ticks`].
    #[track_caller]
    pub fn ticks(&self, period: Duration) -> Ticks<'_> {
        Ticks::new(&self.node, Some((&self.record, Location::caller())), period)
    }

    /// When the time to quit ends. As [`Quitter::deadline`].
    #[must_use]
    #[track_caller]
    pub fn deadline(&self) -> Option<Instant> {
        self.record.seen(Location::caller());
        self.node.deadline()
    }

    /// Why the routine was told to quit. As [`Quitter::quit_cause`].
    #[must_use]
    #[track_caller]
    pub fn quit_cause(&self) -> Option<QuitCause> {
        self.record.seen(Location::caller());
        quit_cause(&self.node)
    }

    /// Says what the routine is at, such as "flushing 3/10". Shown in reports while the routine is
    /// live; the last one counts.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// let guard = root.guard("flusher").unwrap();
    /// guard.set_status("flushing 3/10");
    /// let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    /// let flusher = timeouts.routines().next().unwrap();
    /// assert_eq!(flusher.status.as_deref(), Some("flushing 3/10"));
    /// ```
    #[track_caller]
    pub fn set_status(&self, text: impl Into<Cow<'static, str>>) {
        self.record.seen(Location::caller());
        self.record.set_status(text.into());
    }

    /// Asks the whole tree to quit, for a reason that the event line and the report show, with this
    /// routine's name. As [`Quitter::request_quit`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    /// use quitter::{MainQuitter, QuitSource};
    ///
    /// let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::all_done()]);
    /// main.routine("keyboard").add(|q| {
    ///     q.request_quit("the key q");
    ///     q.wait_quit();
    /// })
    /// .unwrap();
    /// let report = main.exit();
    /// assert_eq!(report.cause.to_string(), "routine 'keyboard' of main: the key q");
    /// assert_eq!(report.exit_code, 0);
    /// ```
    #[track_caller]
    pub fn request_quit(&self, reason: impl Into<Cow<'static, str>>) {
        let at = Location::caller();
        self.record.seen(at);
        let routine = RequestingRoutine {
            path: self.path(),
            name: self.record.name.to_string(),
            id: self.record.id,
        };
        request_quit(&self.node, reason.into(), Some(routine), at);
    }

    /// The routine's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// The routine's number, unique in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.record.id
    }

    /// The path of the routine's quitter. As [`Quitter::path`].
    #[must_use]
    pub fn path(&self) -> String {
        self.node.path()
    }
}

impl fmt::Debug for RoutineQuitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("RoutineQuitter");
        f.field("name", &self.record.name)
            .field("id", &self.record.id);
        debug(&mut f, &self.node)
    }
}
