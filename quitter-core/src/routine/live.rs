//! A routine on the list: run on its thread or guarded, its panics caught, and always checked out.

use std::fmt;
use std::sync::Arc;

use super::current::Current;
use super::failing::{CauseOf, fail, routine_failed};
use super::guard::RoutineGuard;
use super::outcome::RoutineOutcome;
use super::panics;
use super::quitter::RoutineQuitter;

/// A routine on the list: checks out when it is dropped, whatever happens.
pub(crate) struct Live {
    pub(crate) quitter: RoutineQuitter,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.quitter.node().check_out(self.quitter.record());
    }
}

/// What a routine's thread does.
pub(crate) fn run<F, R>(live: Live, f: F)
where
    F: FnOnce(&RoutineQuitter) -> R,
    R: RoutineOutcome,
{
    let node = live.quitter.node();
    let roster = Arc::clone(node.roster());
    let current = Current::enter(&live.quitter, routine_failed);
    let failed = |kind| fail(&live.quitter, kind, routine_failed);
    // The user's error is shown and dropped inside: its code may panic, too.
    panics::catch(|| f(&live.quitter).settle(&failed), failed);
    let quits = node.is_quitting();
    drop(current);
    drop(live);
    if quits {
        roster.linger();
    }
}

/// Runs `f` on this thread as the routine of `guard`: a wait called by `f` leaves it out.
pub(crate) fn run_as(guard: &RoutineGuard, cause_of: CauseOf, f: impl FnOnce()) {
    let _current = Current::enter(guard, cause_of);
    panics::catch(f, |kind| fail(guard, kind, cause_of));
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.quitter.fmt(f)
    }
}
