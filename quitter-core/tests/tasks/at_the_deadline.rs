//! Tasks in the exit report, each test in a process of its own.

use std::future::pending;

use quitter_core::{ExitReport, MainQuitter, QuitSource};

use super::*;
use common::{is_own_process, succeeds_in_own_process};

const TIMEOUT: Duration = Duration::from_millis(300);

fn main_quitter(timeout: Duration) -> MainQuitter {
    let (_never, receiver) = crossbeam_channel::bounded::<()>(0);
    std::mem::forget(_never);
    MainQuitter::new(timeout, [QuitSource::channel("never", receiver)])
}

fn stuck(report: &ExitReport) -> Vec<&str> {
    names(&report.timeouts)
}

macro_rules! in_own_process {
    ($(#[$doc:meta])* $name:ident, $own:ident, $body:block) => {
        $(#[$doc])*
        #[test]
        fn $name() {
            succeeds_in_own_process(concat!("at_the_deadline::", stringify!($own)));
        }

        #[test]
        #[ignore = "needs a process of its own"]
        fn $own() {
            if is_own_process() {
                $body
            }
        }
    };
}

in_own_process!(
    a_task_that_is_dropped_after_the_deadline_is_in_the_report_and_the_code_is_1,
    dropped_late,
    {
        let main = main_quitter(TIMEOUT);
        let mut task = main.routine("task").task(|_| pending::<()>()).unwrap();
        let guard = main.guard("guard").unwrap();
        assert!(poll(&mut task).is_pending());
        main.send_quit();
        // Stands in for a runtime that is dropped before the exit, but too late.
        thread::sleep(2 * TIMEOUT);
        drop((task, guard));
        let report = main.exit();
        assert_eq!(
            (report.exit_code, stuck(&report)),
            (1, vec!["task", "guard"])
        );
        let [task, guard] = [0, 1].map(|i| report.timeouts.routines().nth(i).unwrap());
        assert!(task.cancelled && !guard.cancelled);
        assert!(task.returned_late.is_some());
        let text = report.to_string();
        assert!(text.contains("dropped unfinished at most"), "{text}");
        assert!(text.contains("returned at most"), "{text}");
    }
);

in_own_process!(
    a_task_that_is_dropped_while_quitting_counts_as_returned,
    dropped_in_time,
    {
        let main = main_quitter(PATIENCE);
        let task = main.routine("task").task(|_| pending::<()>()).unwrap();
        main.send_quit();
        drop(task);
        let report = main.exit();
        assert_eq!((report.exit_code, stuck(&report)), (0, vec![]));
    }
);

in_own_process!(
    /// The task that awaits the other one returns within a moment after the deadline.
    of_two_tasks_the_report_names_the_one_that_hangs_and_not_the_one_that_awaits_it,
    awaits,
    {
        let main = main_quitter(TIMEOUT);
        let child = main.child("child").unwrap();
        let (end, ends) = tokio::sync::oneshot::channel::<()>();
        let hangs = child.routine("hangs").task(|_| async { _ = ends.await });
        let deadline = TIMEOUT + Duration::from_millis(60);
        let waiting = Event::new();
        let begins = waiting.clone();
        let awaits = main.routine("awaits").task(move |_| async move {
            // Like a wait with a timeout, this wait is not over at the deadline.
            telling(child.done(), || begins.set()).await;
        });
        for task in [Box::pin(hangs.unwrap()) as executors::Work, Box::pin(awaits.unwrap())] {
            thread::spawn(move || futures_lite::future::block_on(task));
        }
        waiting.wait();
        main.send_quit();
        thread::spawn(move || {
            thread::sleep(deadline);
            end.send(())
        });
        let report = main.exit();
        assert_eq!((report.exit_code, stuck(&report)), (1, vec!["hangs"]), "{report}");
    }
);
