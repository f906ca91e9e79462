//! The single path that every failure takes, whatever the kind of work.

use std::sync::{Arc, MutexGuard};

use super::quitter::RoutineQuitter;
use crate::process::Process;
use crate::report::cause::QuitCause;
use crate::report::console;
use crate::report::failure::{FailureKind, FailuresWhileQuitting, OnFailure, RoutineFailure};
use crate::report::notice::Notice;
use crate::sync::lock_std;
use crate::trace;
use crate::tree::Node;

/// The cause of a quit that a routine's failure triggers.
fn cause_of(quitter: &RoutineQuitter, kind: &FailureKind) -> QuitCause {
    let record = quitter.record();
    if record.is_body() {
        return QuitCause::MainFailed {
            message: kind.text(),
        };
    }
    QuitCause::RoutineFailed {
        path: quitter.node().path().into(),
        name: record.name.to_string(),
        id: record.id,
    }
}

/// Records the first failure of a routine, and quits as its [`OnFailure`] says. Called before the
/// check-out, so that code that waited for the routine finds both.
///
/// Many routines may fail at once, as when a quit makes sends fail: so nothing is built that is not kept.
pub(crate) fn fail(quitter: &RoutineQuitter, kind: FailureKind) {
    let node = quitter.node();
    let record = quitter.record();
    if record.set_failed() {
        return;
    }
    let while_quitting = node.is_quitting();
    let failure = |path, kind| RoutineFailure {
        path,
        name: record.name.to_string(),
        id: record.id,
        spawned_at: record.spawned_at,
        ran_for: record.running_for(),
        while_quitting,
        status: record.own_status(),
        kind,
    };
    let event = trace::FailureEvent::of(quitter, &kind);
    let on_failure = record.on_failure.unwrap_or_else(|| node.on_failure());
    let quits = match on_failure {
        OnFailure::QuitMain => Some(node.root_node()),
        OnFailure::QuitOwn => Some(Arc::clone(node)),
        OnFailure::FailAtExit => None,
        OnFailure::Report => {
            say_at_once(|| failure(node.path().into(), kind));
            return event.tell();
        }
    };
    let counts = !while_quitting || node.failures_while_quitting() == FailuresWhileQuitting::Count;
    // A quit that is already under way keeps its cause, and its deadline is the earlier one.
    let quits = quits.filter(|node| counts && !node.is_quitting());
    let cause = quits.as_ref().map(|_| cause_of(quitter, &kind));
    let quits_all = quits.as_ref().is_some_and(|node| node.is_root());
    // A quit of the whole tree reports its cause, but a quit of a part of it would go unreported.
    let is_part = |node: &Arc<Node>| node.is_of_main() && !node.is_root();
    let quits_part = quits.as_ref().is_some_and(is_part);
    let said = quits_part.then(|| kind.clone());
    node.record_failure(quits_all, counts, |path| failure(path, kind));
    if let (Some(node), Some(cause)) = (quits, cause) {
        node.quit(cause, None);
    }
    if let Some(kind) = said {
        say_at_once(|| failure(node.path().into(), kind));
    }
    // Last, since a subscriber may never return.
    event.tell();
}

/// Failures waiting to be printed at once.
pub(crate) struct PendingFailures {
    queued: usize,
    /// Failures that came while too many were queued, as when nobody reads stderr.
    only_counted: usize,
}

impl PendingFailures {
    pub(crate) const fn new() -> Self {
        Self {
            queued: 0,
            only_counted: 0,
        }
    }

    fn lock() -> MutexGuard<'static, Self> {
        lock_std(&Process::current().pending_failures)
    }

    /// Returns whether there is room for another failure. Otherwise the failure is only counted.
    fn enter(&mut self) -> bool {
        const AT_MOST: usize = 100;
        let has_room = self.queued < AT_MOST;
        match has_room {
            true => self.queued += 1,
            false => self.only_counted += 1,
        }
        has_room
    }

    /// To be called once a failure is printed. Returns how many were only counted since the last call.
    fn leave(&mut self) -> usize {
        self.queued -= 1;
        std::mem::take(&mut self.only_counted)
    }
}

/// Prints a failure on stderr, without waiting for that.
fn say_at_once(failure: impl FnOnce() -> RoutineFailure) {
    let has_room = PendingFailures::lock().enter();
    if !has_room {
        return;
    }
    let failure = failure();
    // If the console's thread cannot be started, the routine itself writes the line.
    let _ = console::open();
    console::queue_and_wake(move || {
        console::say_now(Notice::Failure(failure));
        let only_counted = PendingFailures::lock().leave();
        if only_counted > 0 {
            console::say_now(Notice::MoreFailures {
                count: only_counted,
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;
    use crate::quitter::Quitter;
    use crate::report::failure::FailureLog;

    #[test]
    fn of_failures_that_come_faster_than_they_are_said_each_is_counted() {
        let mut pending = PendingFailures::new();
        let said = (0..1000).filter(|_| pending.enter()).count();
        let counted: usize = (0..said).map(|_| pending.leave()).sum();
        assert_eq!((said, counted), (100, 900));
        assert!(pending.enter());
    }

    #[test]
    fn a_failure_that_is_not_listed_is_counted_and_not_made() {
        let root = Quitter::root("root");
        let made = Cell::new(0);
        for id in 0..FailureLog::LISTED as u64 + 500 {
            root.node().record_failure(false, true, |path| {
                made.set(made.get() + 1);
                RoutineFailure {
                    path,
                    name: "fails".to_owned(),
                    id,
                    spawned_at: std::panic::Location::caller(),
                    ran_for: Duration::ZERO,
                    while_quitting: true,
                    status: None,
                    kind: FailureKind::of_debug(&"error"),
                }
            });
        }
        assert_eq!(made.get(), FailureLog::LISTED);
        assert_eq!(root.node().failures().unlisted, 500);
    }

    #[test]
    fn a_crowd_of_parts_that_quit_is_counted_and_what_quits_the_whole_tree_is_listed_all_the_same()
    {
        let fails = |quitter: &Quitter| {
            let routine = quitter.routine("fails").on_failure(OnFailure::QuitOwn);
            fail(&routine.guard().unwrap(), FailureKind::of_debug(&"error"));
            assert!(quitter.has_to_quit());
        };
        let root = Quitter::root("root");
        for _ in 0..FailureLog::LISTED + 500 {
            fails(&root.child("connection").unwrap());
        }
        fails(&root);
        let failures = root.node().failures();
        assert_eq!(failures.unlisted, 500);
        assert_eq!(root.failures().last().unwrap().path, "root");
    }

    #[test]
    fn a_failure_of_a_quitting_tree_is_not_its_cause() {
        let root = Quitter::root("root");
        let guard = root.guard("guard").unwrap();
        root.send_quit();
        let cause = root.quit_cause();
        fail(&guard, FailureKind::of_debug(&"error"));
        assert_eq!(root.failures().len(), 1);
        assert_eq!(root.quit_cause(), cause);
    }
}
