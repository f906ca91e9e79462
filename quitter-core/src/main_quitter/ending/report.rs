//! The report of an exit, and that of an end by force.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{AT_MOST, Ending};
use crate::main_quitter::late;
use crate::main_quitter::state::{Facts, Look, Looks, Phase};
use crate::report::exit::{ExitReport, Outcome};
use crate::report::failure::Failures;
use crate::report::timeouts::Timeouts;
use crate::tree::{LiveAt, Quit};

impl Ending {
    /// Makes the report of an exit that found `live`. From then on the program has exited.
    pub(crate) fn finish(&self, live: Vec<LiveAt>) -> ExitReport {
        let quit = self.root.node().quit_info();
        let quit = quit.expect("the exit has waited until the root quits");
        let look = Look {
            live: live.clone(),
            unread: Vec::new(),
        };
        let looks = self.state().looks();
        let mut report = self.report(quit, look, Some(looks), &|| {
            let facts = self.state().facts(&quit.cause);
            (Some(facts), Some(self.root.node().failures()))
        });
        self.add_stacks(&mut report, &live);
        self.state().phase = Phase::Exited(Box::new(report.clone()));
        report
    }

    /// The report as of now, or `None` if the root does not quit. Waits only a moment for any lock; the
    /// report says what could not be read.
    pub(crate) fn report_now(&self) -> Option<ExitReport> {
        let quit = self.root.node().quit_info()?;
        let look = self.look();
        let looks = self.try_state().map(|state| state.looks());
        Some(self.report(quit, look, looks, &|| {
            let facts = self.try_state().map(|state| state.facts(&quit.cause));
            (facts, self.root.node().try_failures(AT_MOST))
        }))
    }

    /// The report of an end that finds `now`. Calls `read` after looking at the threads of the live routines,
    /// which takes some time, so that the report has what happened meanwhile.
    fn report(
        &self,
        quit: &Quit,
        now: Look,
        looks: Option<Looks>,
        read: &dyn Fn() -> (Option<Facts>, Option<Failures>),
    ) -> ExitReport {
        let took = quit.at.elapsed();
        let deadline = quit.deadline();
        let budget = deadline.map(|deadline| deadline.saturating_duration_since(quit.at));
        let quit_timeout = budget.unwrap_or(Duration::MAX);
        let past = |deadline: Instant| Instant::now().checked_duration_since(deadline);
        let looks_read = looks.is_some();
        let Looks {
            half_time,
            at_deadline,
            before,
        } = looks.unwrap_or_default();
        let slow = half_time.slow(quit.at, quit_timeout);
        let live = late::merge(at_deadline.live, now.live);
        let unlisted_slow = half_time.unlisted_slow(&live);
        let unread = late::merge_unread(at_deadline.unread, now.unread);
        // The whole budget is reported only once it is used up.
        let after = budget.unwrap_or(took).min(took);
        let late = deadline.and_then(past);
        let timeouts = Timeouts::of_exit(&live, after, late, &before, unread.is_empty());
        let (facts, failures) = read();
        let all_read = looks_read && facts.is_some() && failures.is_some();
        let facts = facts.unwrap_or_default();
        let failures = failures.unwrap_or_default();
        let no_shutdown = facts.is_no_shutdown
            && facts.later.is_empty()
            && timeouts.is_empty()
            && failures.listed.len() <= 1;
        ExitReport::new(Outcome {
            no_shutdown,
            signal_exit_code: self.config.signal_exit_code,
            cause: quit.cause.clone(),
            later_causes: facts.later,
            timeouts,
            unread,
            all_read,
            failures,
            took,
            unlisted_slow,
            slow,
            quit_timeout,
            source_failed: facts.source_failed,
            body_code: facts.body_code,
            outcome_claim: Arc::clone(&self.outcome_claim),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::sync::mpsc;
    use std::thread;

    use super::super::tests::{ending, ending_within};
    use super::*;
    use crate::report::cause::QuitCause;
    use crate::report::failure::{FailureKind, RoutineFailure};

    fn listed(report: &ExitReport) -> Vec<&str> {
        let routines = report.timeouts.routines();
        routines.map(|routine| &routine.name[..]).collect()
    }

    #[test]
    fn of_those_who_return_after_the_deadline_the_ones_that_only_waited_are_left_out() {
        let ending = ending();
        let [works, waits] = ["works", "waits"].map(|name| ending.root().guard(name).unwrap());
        waits.record().begin_wait();
        ending.root().node().quit(QuitCause::MainDropped, None);
        ending.look_at_deadline();
        let all = ending.report_now().unwrap();
        assert_eq!(listed(&all), ["works", "waits"]);
        drop((works, waits));
        let report = ending.report_now().unwrap();
        assert_eq!((listed(&report), report.exit_code), (vec!["works"], 1));
    }

    /// The exit waits until the deadline itself, so a routine that has returned when it looks was in time.
    #[test]
    fn the_watcher_does_not_look_at_the_deadline_once_the_exit_is_called() {
        let ending = ending();
        let guard = ending.root().guard("guard").unwrap();
        ending.root().node().quit(QuitCause::MainDropped, None);
        ending.call_exit();
        ending.look_at_deadline();
        drop(guard);
        let report = ending.report_now().unwrap();
        assert_eq!((listed(&report), report.exit_code), (vec![], 0));
    }

    #[test]
    fn a_report_before_the_deadline_says_how_long_was_waited_and_not_for_how_long_it_would_have_been()
     {
        const HOUR: Duration = Duration::from_secs(3600);
        let ending = ending_within(HOUR);
        let _guard = ending.root().guard("guard").unwrap();
        ending.root().node().quit(QuitCause::MainDropped, None);
        let report = ending.report_now().unwrap();
        assert!(report.timeouts.after() < HOUR, "{report}");
        assert_eq!(report.timeouts.after(), report.took);
    }

    #[test]
    fn where_the_failures_cannot_be_read_the_end_is_a_failure() {
        let ending = ending();
        let node = ending.root().node();
        node.quit(QuitCause::MainDropped, None);
        let mut reported = None;
        // Called under the lock of the failures.
        node.record_failure(false, false, |path| {
            reported = ending.report_now();
            RoutineFailure {
                path,
                name: "fails".to_owned(),
                id: 1,
                spawned_at: Location::caller(),
                ran_for: Duration::ZERO,
                while_quitting: true,
                status: None,
                kind: FailureKind::of_debug(&"error"),
            }
        });
        let report = reported.unwrap();
        assert!(report.to_string().contains("may be missing"), "{report}");
        assert_eq!(report.exit_code, 1);
    }

    /// A usage error, for example, is no shutdown.
    #[test]
    fn a_body_that_fails_has_a_report_unless_nothing_but_itself_was_there_to_shut_down() {
        let no_shutdown = |change: &dyn Fn(&Arc<Ending>)| {
            let ending = ending();
            let hangs = ending.root().guard("hangs").unwrap();
            ending.state().ended_alone = true;
            let message = "usage".to_owned();
            let cause = QuitCause::MainFailed { message };
            ending.root().node().quit(cause, None);
            let beside_one_that_hangs = ending.report_now().unwrap();
            assert!(!beside_one_that_hangs.is_no_shutdown());
            drop(hangs);
            change(&ending);
            ending.report_now().unwrap().is_no_shutdown()
        };
        assert!(no_shutdown(&|_| {}));
        assert!(!no_shutdown(&|ending| ending.state().ended_alone = false));
        let later = |ending: &Arc<Ending>| ending.state().later.push(QuitCause::MainDropped);
        assert!(!no_shutdown(&later));
        let fail = |ending: &Arc<Ending>| {
            let tree = ending.root().node();
            for id in 0..2 {
                tree.record_failure(false, true, |path| RoutineFailure {
                    path,
                    name: "fails".to_owned(),
                    id,
                    spawned_at: Location::caller(),
                    ran_for: Duration::ZERO,
                    while_quitting: true,
                    status: None,
                    kind: FailureKind::of_debug(&"error"),
                });
            }
        };
        assert!(!no_shutdown(&fail));
    }

    #[test]
    fn the_report_of_a_forced_end_waits_for_no_lock_and_says_what_it_could_not_read() {
        const PATIENCE: Duration = Duration::from_secs(10);
        let ending = ending();
        ending.root().node().quit(QuitCause::MainDropped, None);
        let held = ending.state();
        let (made, reports) = mpsc::channel();
        let forced = Arc::clone(&ending);
        thread::spawn(move || _ = made.send(forced.report_now()));
        let report = reports.recv_timeout(PATIENCE).unwrap().unwrap();
        drop(held);
        assert_eq!(report.exit_code, 1);
        assert!(report.to_string().contains("may be missing"), "{report}");
        let complete = ending.report_now().unwrap();
        assert_eq!(complete.exit_code, 0, "{complete}");
    }
}
