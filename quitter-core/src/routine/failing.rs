//! The one path that every failure takes, whatever kind of work failed.

use super::quitter::RoutineQuitter;
use crate::report::cause::QuitCause;
use crate::report::failure::{FailureKind, OnFailure, RoutineFailure};

/// The cause of a quit that a routine's failure asks for.
pub(crate) type CauseOf = fn(&RoutineQuitter, &FailureKind) -> QuitCause;

/// The cause where a routine has failed.
pub(crate) fn routine_failed(quitter: &RoutineQuitter, _: &FailureKind) -> QuitCause {
    QuitCause::RoutineFailed {
        path: quitter.path(),
        name: quitter.name().to_owned(),
    }
}

/// The cause where the body of `main` has failed.
pub(crate) fn main_failed(_: &RoutineQuitter, kind: &FailureKind) -> QuitCause {
    QuitCause::MainFailed {
        message: kind.text(),
    }
}

/// Records the first failure of a routine, and quits as its [`OnFailure`] says. Called before the
/// check-out, so that those who waited for the routine find both.
pub(crate) fn fail(quitter: &RoutineQuitter, kind: FailureKind, cause_of: CauseOf) {
    let node = quitter.node();
    let record = quitter.record();
    if record.set_failed() {
        return;
    }
    let cause = cause_of(quitter, &kind);
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
