//! The caller's own work, listed as a routine.

use std::ops::Deref;
use std::thread;

use super::live::{Live, fail, fail_with};
use super::panics;
use super::quitter::RoutineQuitter;
use crate::report::cause::QuitCause;
use crate::report::failure::FailureKind;

/// The caller's own work, listed as a routine until this is dropped. Made by
/// [`Quitter::guard`](crate::Quitter::guard).
///
/// Derefs to what a routine sees of its quitter. May be sent to another thread.
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
    pub(super) live: Live,
}

impl RoutineGuard {
    /// Records a failure that the guard's owner has caught, and quits for this cause.
    pub(crate) fn fail_with(&self, kind: FailureKind, cause: QuitCause) {
        fail_with(self, kind, || cause);
    }
}

impl Deref for RoutineGuard {
    type Target = RoutineQuitter;

    fn deref(&self) -> &RoutineQuitter {
        &self.live.quitter
    }
}

impl Drop for RoutineGuard {
    fn drop(&mut self) {
        if thread::panicking() && !self.record().is_unwinding() {
            fail(self, panics::unwinding());
        }
    }
}
