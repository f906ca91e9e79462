//! A routine's view of its quitter.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::builder::RoutineBuilder;
use super::guard::RoutineGuard;
use super::handle::RoutineHandle;
use super::name::describe;
use super::outcome::RoutineOutcome;
use super::panics;
use super::record::Record;
use super::ticks::Ticks;
use crate::error::{AddRoutineError, Quitting};
use crate::futures::QuitFuture;
use crate::quitter::{Quitter, debug, quit_cause, request_quit, sleep, wait_quit};
use crate::report::cause::{QuitCause, RequestingRoutine};
use crate::report::failure::{FailuresWhileQuitting, OnFailure};
use crate::tree::{Node, QuitWait};

/// A routine's view of its quitter. It cannot tell the quitter to quit or wait for it, which a routine should
/// not do to itself. To end the whole program, a routine calls [`request_quit`](Self::request_quit).
///
/// Each call but [`name`](Self::name), [`id`](Self::id) and [`path`](Self::path) records where it was made;
/// reports show that place as "last seen". Calls that may block record the time, too. What a call returns to
/// be used later, such as [`ticks`](Self::ticks), counts when it is used, with the place where it was made. A
/// `RoutineQuitter` is `Send` and `'static`, so a clone can be handed to other threads; a clone that outlives
/// its routine keeps nothing live.
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

    /// The quitter's node. Unlike [`record_call`](Self::record_call), this records no call.
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Records where the routine calls its quitter.
    #[inline]
    #[track_caller]
    pub(crate) fn record_call(&self) -> &Arc<Node> {
        self.record.record_call(Location::caller());
        &self.node
    }

    /// Records where and when the routine makes a blocking call, or returns from one.
    #[track_caller]
    pub(crate) fn record_timed_call(&self) -> &Arc<Node> {
        self.record.record_timed_call(Location::caller());
        // The routine goes on, so any panic of its thread was caught.
        panics::forget_last();
        &self.node
    }

    /// Creates a child of the routine's quitter, like [`Quitter::child`].
    ///
    /// # Errors
    ///
    /// [`Quitting`] if the quitter has been told to quit.
    #[track_caller]
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> Result<Quitter, Quitting> {
        Ok(Quitter::of_new(self.record_call().child(name.into())?))
    }

    /// Starts a routine beside this one, like [`Quitter::add_routine`].
    ///
    /// # Errors
    ///
    /// Those of [`Quitter::add_routine`].
    #[track_caller]
    pub fn add_routine<F, R>(&self, f: F) -> Result<RoutineHandle, AddRoutineError>
    where
        F: FnOnce(&RoutineQuitter) -> R + Send + 'static,
        R: RoutineOutcome,
    {
        describe::<F>(self.record_call()).add(f)
    }

    /// Returns a builder for a routine beside this one, like [`Quitter::routine`].
    #[track_caller]
    pub fn routine(&self, name: impl Into<Cow<'static, str>>) -> RoutineBuilder<'_> {
        RoutineBuilder::new(self.record_call(), name.into())
    }

    /// Tracks work started elsewhere as a routine beside this one, like [`Quitter::guard`].
    ///
    /// # Errors
    ///
    /// [`Quitting`] if the quitter has been told to quit.
    #[track_caller]
    pub fn guard(&self, name: impl Into<Cow<'static, str>>) -> Result<RoutineGuard, Quitting> {
        self.routine(name).guard()
    }

    /// Sets the response to failures of routines at this routine's quitter and below it, like
    /// [`Quitter::on_failure`].
    ///
    /// This includes the routines beside this one. To set the response only for routines that this one
    /// starts, start them at a [`child`](Self::child) and set it there.
    #[track_caller]
    pub fn on_failure(&self, on_failure: OnFailure) {
        self.record_call().set_on_failure(on_failure);
    }

    /// Sets the response to failures while quitting, for routines at this routine's quitter and below it,
    /// like [`Quitter::failures_while_quitting`].
    #[track_caller]
    pub fn failures_while_quitting(&self, policy: FailuresWhileQuitting) {
        self.record_call().set_failures_while_quitting(policy);
    }

    /// Returns whether the routine has been told to quit, like [`Quitter::has_to_quit`]. Costs two loads,
    /// and the stores that record the call.
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn has_to_quit(&self) -> bool {
        self.record_call().is_quitting()
    }

    /// Returns the channel that closes when the routine is told to quit, like [`Quitter::quit_chan`].
    #[must_use]
    #[track_caller]
    pub fn quit_chan(&self) -> &Receiver<Infallible> {
        self.record_call().quit_chan()
    }

    /// Blocks until the routine is told to quit, like [`Quitter::wait_quit`].
    #[track_caller]
    pub fn wait_quit(&self) {
        wait_quit(self.record_timed_call());
        self.record_timed_call();
    }

    /// Returns a future that is ready once the routine is told to quit, like [`Quitter::quitting`].
    #[track_caller]
    pub fn quitting(&self) -> QuitFuture {
        QuitFuture::new(QuitWait::new(self.record_call()))
    }

    /// Sleeps for `duration`, or until the routine is told to quit, like [`Quitter::sleep`].
    ///
    /// # Errors
    ///
    /// [`Quitting`] if told to quit, before or during the sleep. A routine that returns this error
    /// has not failed.
    #[track_caller]
    pub fn sleep(&self, duration: Duration) -> Result<(), Quitting> {
        let slept = sleep(self.record_timed_call(), duration);
        self.record_timed_call();
        slept
    }

    /// Ticks once every `period` until the routine is told to quit, like [`Quitter::ticks`].
    #[track_caller]
    pub fn ticks(&self, period: Duration) -> Ticks<'_> {
        let record = Some(&*self.record);
        Ticks::new(&self.node, record, Location::caller(), period)
    }

    /// Returns the moment when the time to quit is up, like [`Quitter::deadline`].
    #[must_use]
    #[track_caller]
    pub fn deadline(&self) -> Option<Instant> {
        self.record_call().deadline()
    }

    /// Returns why the routine was told to quit, like [`Quitter::quit_cause`].
    #[must_use]
    #[track_caller]
    pub fn quit_cause(&self) -> Option<QuitCause> {
        quit_cause(self.record_call())
    }

    /// Sets what the routine is doing, such as "flushing 3/10". Reports show the last status of a
    /// routine that is still live.
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
        self.record_call();
        self.record.set_status(text.into());
    }

    /// Asks the whole tree to quit, like [`Quitter::request_quit`]. The event line and the report show the
    /// reason and this routine's name.
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
        self.record.record_call(at);
        request_quit(&self.node, reason.into(), Some(self.requesting()), at);
    }

    pub(crate) fn requesting(&self) -> RequestingRoutine {
        RequestingRoutine {
            path: self.path().into(),
            name: self.record.name.to_string(),
            id: self.record.id,
        }
    }

    /// Returns the routine's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Returns the routine's number, unique in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.record.id
    }

    /// Returns the path of the routine's quitter, like [`Quitter::path`].
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
