//! A routine on the list: run on its thread or guarded, its panics caught, and always checked out.

use std::fmt;
use std::sync::Arc;

use super::current::{self, Current};
use super::guard::RoutineGuard;
use super::outcome::RoutineOutcome;
use super::panics::{self, HooksRun};
use super::quitter::RoutineQuitter;
use crate::report::cause::QuitCause;
use crate::report::failure::{FailureKind, OnFailure, RoutineFailure};

/// A routine on the list: checks out when it is dropped, whatever happens.
pub(crate) struct Live {
    pub(crate) quitter: RoutineQuitter,
}

pub(crate) fn fail(quitter: &RoutineQuitter, kind: FailureKind) {
    let cause = QuitCause::RoutineFailed {
        path: quitter.path(),
        name: quitter.name().to_owned(),
        id: quitter.record().id,
    };
    fail_with(quitter, kind, cause);
}

/// Records a failure, the first one of the routine, and does what it is to do. Before the check-out,
/// so that who has waited for the routine finds both.
pub(crate) fn fail_with(quitter: &RoutineQuitter, kind: FailureKind, cause: QuitCause) {
    let node = quitter.node();
    let record = quitter.record();
    if record.set_failed() {
        return;
    }
    node.record_failure(RoutineFailure {
        path: node.path(),
        name: record.name.to_string(),
        id: record.id,
        spawned_at: record.spawned_at,
        ran_for: record.running_for(),
        while_quitting: node.is_quitting(),
        kind,
    });
    match record.on_failure() {
        OnFailure::QuitMain => node.root_node().quit(cause, None),
        OnFailure::QuitOwn => node.quit(cause, None),
        OnFailure::Record => false,
    };
}

/// Called by the panic hook. `None`: no routine runs on this thread.
pub(crate) fn announce_panic(kind: FailureKind) -> Option<HooksRun> {
    let quitter = current::get()?;
    Some(panics::announce(move || fail(&quitter, kind)))
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
    let current = Current::enter(&live.quitter);
    let failed = |kind| fail(&live.quitter, kind);
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
pub(crate) fn run_as(guard: &RoutineGuard, f: impl FnOnce(), failed: impl FnOnce(FailureKind)) {
    let _current = Current::enter(guard);
    panics::catch(f, failed);
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.quitter.fmt(f)
    }
}
