//! Starting routines, and setting the response to their failures.

use std::borrow::Cow;

use super::Quitter;
use crate::error::{AddRoutineError, Quitting};
use crate::report::failure::{FailuresWhileQuitting, OnFailure};
use crate::routine::builder::RoutineBuilder;
use crate::routine::guard::RoutineGuard;
use crate::routine::handle::RoutineHandle;
use crate::routine::name::describe;
use crate::routine::outcome::RoutineOutcome;
use crate::routine::quitter::RoutineQuitter;

impl Quitter {
    /// Starts a routine: runs `f` on a thread of its own, which carries the routine's name.
    ///
    /// The name is the one under which `#[quitter::routine]` registered the function, or else the
    /// function's own. A closure in `main` is named "closure in main". Use
    /// [`routine`](Self::routine) to choose a name.
    ///
    /// The routine returns nothing, or a `Result`. An error is recorded as the routine's failure, unless it
    /// is [`Quitting`] or has it as a source. A panic is caught and recorded, too. By default, a failure
    /// makes the root of the tree quit; see [`OnFailure`](crate::OnFailure).
    ///
    /// A panic that `f` catches itself is not a failure. There is one exception: if the program's
    /// panic hooks take longer than 8 seconds, as when stderr is a pipe that nobody reads, the main
    /// quitter no longer waits to see whether the panic is caught.
    ///
    /// The routine is done once `f` has returned and its captures are dropped. The thread's thread-local
    /// values are dropped after that: at once, or up to a second later if more than 32 routines that somebody
    /// waits for end at the same time, or not at all if the program has ended by then. Work that must be
    /// done before the program ends belongs in `f`.
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
        describe::<F>(&self.node).add(f)
    }

    /// Returns a builder for a routine of this name: a literal, or a `String` if it is built at run time.
    /// The builder can set the stack size and the response to a failure; [`add`](RoutineBuilder::add)
    /// starts the routine.
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

    /// Tracks work started elsewhere as a routine for as long as the guard lives: a library's thread,
    /// a job in a pool, a plain call in a test.
    ///
    /// The guard gives a routine's view of this quitter. A guard that is dropped by a panic records a
    /// failure, as a routine that panics does. Unlike a routine with a thread of its own, a guard is waited
    /// for even by a wait on the guard's thread, unless the guard [runs](RoutineGuard::run) its work.
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

    /// Sets how the program responds, from now on, to failures of routines at this quitter and below it.
    /// The default is [`OnFailure::QuitMain`].
    ///
    /// A routine's own [`RoutineBuilder::on_failure`] takes precedence; after that, the nearest quitter on
    /// which this was called counts.
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

    /// Sets how the program responds, from now on, to failures of routines whose quitter is quitting, at
    /// this quitter and below it.
    ///
    /// The nearest quitter on which this was called counts. If there is none,
    /// [`MainQuitterBuilder::failures_while_quitting`](crate::MainQuitterBuilder::failures_while_quitting)
    /// applies. Failures under [`OnFailure::Report`] never change the exit code.
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
}
