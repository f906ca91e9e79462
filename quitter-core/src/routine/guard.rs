//! Tracks work started elsewhere as a routine.

use std::error::Error;
use std::ops::Deref;
use std::thread::{self, ThreadId};

use super::live::Live;
use super::outcome::RoutineOutcome;
use super::panics;
use super::quitter::RoutineQuitter;
use crate::report::failure::FailureKind;

/// Tracks work started elsewhere as a routine, until the guard is dropped. Made by
/// [`Quitter::guard`](crate::Quitter::guard).
///
/// Dereferences to a routine's view of its quitter. May be sent to another thread. If a panic drops the
/// guard, the panic is recorded as the routine's failure.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// let root = quitter::Quitter::root("main");
/// let guard = root.guard("import").unwrap();
/// guard.set_status("line 17");
/// assert!(!guard.has_to_quit());
/// assert_eq!(guard.path(), "main");
/// ```
#[derive(Debug)]
#[must_use = "the routine ends when the guard is dropped"]
pub struct RoutineGuard {
    live: Live,
    /// The thread that created this guard, if it was unwinding then: that panic is not the guard's.
    unwinding: Option<ThreadId>,
}

impl RoutineGuard {
    pub(super) fn new(live: Live) -> Self {
        Self {
            live,
            unwinding: unwinding_thread(),
        }
    }

    /// Runs `f` on this thread as this routine: waits that `f` calls leave it out, and a panic of
    /// `f` is its failure.
    pub(crate) fn call(&self, f: impl FnOnce()) {
        self.live.call(f);
    }

    /// Runs `f` on this thread as this routine, and then ends the routine. Use it for a job on a thread
    /// that does many jobs, such as a thread of a pool.
    ///
    /// This routine behaves like one with a thread of its own. An error that `f` returns is its failure,
    /// and so is a panic, which is caught; [`OnFailure`](crate::OnFailure) says what follows. Waits that
    /// `f` makes leave the routine out. A report knows the thread, and so can say where `f` hangs.
    ///
    /// A quit does not keep `f` from running, since the guard already exists. A routine that calls this on
    /// its own thread waits for the job, and reports say so.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{OnFailure, Quitter};
    ///
    /// let root = Quitter::root("main");
    /// for job in ["17", "seventeen", ""] {
    ///     let guard = root.routine(job).on_failure(OnFailure::FailAtExit).guard().unwrap();
    ///     guard.run(|_| {
    ///         assert!(!job.is_empty(), "there is nothing to parse");
    ///         job.parse::<u32>().map(drop)
    ///     });
    /// }
    /// let failures = root.failures();
    /// assert_eq!(failures[0].kind.to_string(), "failed: invalid digit found in string");
    /// assert!(failures[1].kind.to_string().contains("there is nothing to parse"));
    /// ```
    pub fn run<F, R>(self, f: F)
    where
        F: FnOnce(&RoutineQuitter) -> R,
        R: RoutineOutcome,
    {
        self.live.settle(f);
    }

    /// Records that the work has failed, as when a routine returns an error. Use it for work that goes on,
    /// or whose error is handled by other code. If the work is one call, [`run`](Self::run) does this, and
    /// catches panics, too.
    ///
    /// The first failure of a routine is kept, and its policy applies as usual: see
    /// [`OnFailure`](crate::OnFailure). An error that is [`Quitting`](crate::Quitting), or has it as a source,
    /// is not a failure.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{OnFailure, Quitter};
    ///
    /// let root = Quitter::root("main");
    /// let job = root.routine("job 17").on_failure(OnFailure::FailAtExit).guard().unwrap();
    /// if let Err(error) = "seventeen".parse::<u32>() {
    ///     job.fail(error);
    /// }
    /// drop(job);
    /// let failure = root.failures()[0].to_string();
    /// assert_eq!(failure, "routine 'job 17' of main failed: invalid digit found in string");
    /// ```
    pub fn fail(&self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        Err::<(), _>(error).settle(&|kind| self.record_failure(kind));
    }

    pub(crate) fn record_failure(&self, kind: FailureKind) {
        self.live.fail(kind);
    }
}

/// This thread, if a panic is unwinding it.
fn unwinding_thread() -> Option<ThreadId> {
    thread::panicking().then(|| thread::current().id())
}

impl Deref for RoutineGuard {
    type Target = RoutineQuitter;

    fn deref(&self) -> &RoutineQuitter {
        self.live.quitter()
    }
}

impl Drop for RoutineGuard {
    fn drop(&mut self) {
        let unwinding = unwinding_thread();
        if unwinding.is_some() && unwinding != self.unwinding {
            self.live.fail(panics::unwinding());
        }
    }
}
