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
    let record = quitter.record();
    fail_with(quitter, kind, || QuitCause::RoutineFailed {
        path: quitter.node().path().into(),
        name: record.name.to_string(),
        id: record.id,
    });
}

/// Records a failure, the first one of the routine, and does what it is to do. Before the check-out,
/// so that who has waited for the routine finds both.
pub(crate) fn fail_with(
    quitter: &RoutineQuitter,
    kind: FailureKind,
    cause: impl FnOnce() -> QuitCause,
) {
    let node = quitter.node();
    let record = quitter.record();
    if record.set_failed() {
        return;
    }
    let told = match record.on_failure() {
        OnFailure::QuitMain => Some(node.root_node()),
        OnFailure::QuitOwn => Some(Arc::clone(node)),
        OnFailure::Record => None,
    };
    let told = told.filter(|node| !node.is_quitting());
    let while_quitting = node.is_quitting();
    let quits_all = told.is_some() && record.on_failure() == OnFailure::QuitMain;
    node.record_failure(quits_all, |path| RoutineFailure {
        path,
        name: record.name.to_string(),
        id: record.id,
        spawned_at: record.spawned_at,
        ran_for: record.running_for(),
        while_quitting,
        kind,
    });
    if let Some(node) = told {
        node.quit(cause(), None);
    }
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
