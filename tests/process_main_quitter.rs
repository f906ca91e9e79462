//! The main quitter of a process: there is only one; what ends its exit; what it leaves behind.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::io;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, never};
use quitter::{
    End, ExitReport, FailureKind, MainQuitter, MainQuitterError, QuitCause, QuitSource,
    RoutineKind, RoutineState,
};

use common::waits::eventually;
use common::{Ended, PATIENCE, Process, alone, command_for, given_time, hang, with_time};

/// A source that never fires.
fn silence() -> QuitSource {
    QuitSource::channel("silence", never::<()>())
}

fn try_new() -> Result<MainQuitter, MainQuitterError> {
    MainQuitter::try_new(PATIENCE, [silence()])
}

fn new() -> MainQuitter {
    MainQuitter::new(PATIENCE, [silence()])
}

fn is_refused() -> bool {
    matches!(try_new(), Err(MainQuitterError::AlreadyExists))
}

#[test]
fn no_source_is_an_error() {
    let story = || {
        let none = MainQuitter::try_new(PATIENCE, []);
        assert!(matches!(none, Err(MainQuitterError::NoSource)), "{none:?}");
    };
    alone(story).end().with_code(0);
}

#[test]
fn no_source_is_a_panic_of_new() {
    let story = || drop(MainQuitter::new(PATIENCE, []));
    alone(story)
        .end()
        .with_code(101)
        .saying(&["needs at least one quit source"]);
}

#[test]
fn a_failed_try_leaves_no_claim() {
    let story = || {
        for _ in 0..3 {
            assert!(MainQuitter::try_new(PATIENCE, []).is_err());
        }
        assert!(try_new().is_ok());
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_second_one_is_an_error() {
    let story = || {
        let _first = new();
        assert!(is_refused());
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_second_one_is_a_panic_of_new() {
    let story = || {
        let _first = new();
        let _second = new();
    };
    alone(story)
        .end()
        .with_code(101)
        .saying(&["already has, or had, a main quitter"]);
}

#[test]
fn a_second_one_is_an_error_after_the_first_has_exited() {
    let story = || {
        let first = new();
        first.send_quit();
        assert_eq!(first.exit().exit_code, 0);
        assert!(is_refused());
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_second_one_is_an_error_after_the_first_was_dropped() {
    let story = || {
        drop(new());
        assert!(is_refused());
    };
    alone(story).end().with_code(0);
}

#[test]
fn of_many_threads_at_once_exactly_one_makes_it() {
    let story = || {
        let start = Barrier::new(16);
        let made = thread::scope(|scope| {
            let tries = [(); 16].map(|()| {
                scope.spawn(|| {
                    start.wait();
                    try_new()
                })
            });
            // All main quitters are kept until the last attempt has been made.
            tries.map(|thread| thread.join().expect("no panic"))
        });
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
        let mut errors = made.into_iter().filter_map(Result::err);
        assert!(errors.all(|error| matches!(error, MainQuitterError::AlreadyExists)));
    };
    alone(story).end().with_code(0);
}

#[test]
fn dropped_without_exit_it_quits_the_tree_and_does_not_block() {
    let story = || {
        let main = new();
        let child = main.child("child").unwrap();
        main.routine("never returns").add(|_| hang()).unwrap();

        let (tell, told) = bounded(1);
        child
            .add_routine(move |q| {
                q.wait_quit();
                tell.send(q.quit_cause()).unwrap();
            })
            .unwrap();

        let from = Instant::now();
        drop(main);
        assert!(from.elapsed() < Duration::from_secs(5), "it has waited");
        assert!(child.has_to_quit());
        let cause = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(cause, Some(QuitCause::MainDropped));
    };
    alone(story).end().with_code(0);
}

#[test]
fn the_report_ends_the_process_with_its_text_and_code() {
    let story = || -> ExitReport {
        let main = new();
        main.send_quit();
        main.exit()
    };
    let ended = alone(story).end().with_code(0).saying(&[
        "Received quit from send_quit at tests/process_main_quitter.rs:",
        "Quit: all routines returned",
    ]);
    assert_eq!(ended.count("Received quit"), 1);
    assert_eq!(ended.count("Quit: all"), 1);
}

#[test]
fn exit_itself_prints_no_outcome() {
    let story = || {
        let main = new();
        main.send_quit();
        assert_eq!(main.exit().exit_code, 0);
    };
    let ended = alone(story).end().with_code(0);
    assert_eq!(ended.count("Received quit"), 1, "{}", ended.stderr);
    assert_eq!(ended.count("all routines returned"), 0, "{}", ended.stderr);
}

#[test]
fn send_quit_on_the_main_quitter_ends_exit_from_another_thread() {
    let story = || {
        let main = new();
        let root = main.clone();
        let line = line!() + 1;
        let helper = thread::spawn(move || root.send_quit());
        let report = main.exit();
        helper.join().unwrap();
        assert_eq!(report.exit_code, 0);
        let QuitCause::SendQuit { at } = report.cause else {
            panic!("{:?}", report.cause);
        };
        assert_eq!((at.file(), at.line()), (file!(), line));
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_quit_of_a_child_does_not_end_exit() {
    let story = || {
        let main = new();
        let child = main.child("child").unwrap();
        let root = main.clone();
        let observer = move |_: &_| {
            child.quit_and_wait(PATIENCE).unwrap();
            assert!(!root.has_to_quit());
            root.send_quit();
        };
        main.routine("observer").add(observer).unwrap();
        main.exit()
    };
    alone(story)
        .end()
        .with_code(0)
        .saying(&["Received quit from send_quit", "Quit: all"]);
}

#[test]
fn a_routine_that_fails_ends_exit_with_code_1() {
    let story = || {
        let main = new();
        let db = main.child("db").unwrap();
        let flusher = |_: &_| Err::<(), _>("disk full");
        db.routine("flusher").add(flusher).unwrap();
        let report = main.exit();
        let QuitCause::RoutineFailed { path, name, id } = &report.cause else {
            panic!("{report:?}");
        };
        assert_eq!((&path[..], &name[..]), ("main/db", "flusher"));
        assert_eq!(*id, report.failures[0].id);
        assert!(report.timeouts.is_empty());
        report
    };
    alone(story).end().with_code(1).saying(&[
        "Received quit from routine 'flusher' of main/db, which failed",
        "routine 'flusher' of main/db failed: disk full",
        "Quit: all routines returned",
    ]);
}

#[test]
fn a_routine_that_panics_ends_exit_with_code_1() {
    let story = || {
        let main = new();
        let line = line!() + 1;
        let careless = |_: &_| panic!("no such table");
        main.routine("careless").add(careless).unwrap();
        let report = main.exit();
        let FailureKind::Panic { message, place } = &report.failures[0].kind else {
            panic!("{:?}", report.failures);
        };
        assert_eq!(message, "no such table");
        let place = place.as_deref().unwrap();
        assert!(
            place.starts_with(&format!("{}:{line}:", file!())),
            "{place}"
        );
        report
    };
    alone(story)
        .end()
        .with_code(1)
        .saying(&["routine 'careless' of main panicked at", "no such table"]);
}

#[test]
fn a_routine_that_quits_by_returning_quitting_is_no_failure() {
    let story = || {
        let main = new();
        main.add_routine(|q| q.sleep(Duration::MAX)).unwrap();
        main.send_quit();
        main.exit()
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_routine_that_does_not_return_is_reported_when_the_quit_timeout_is_over() {
    let story = || {
        let main = MainQuitter::new(Duration::from_millis(300), [silence()]);
        main.routine("deaf").add(|_| hang()).unwrap();
        main.send_quit();
        let deadline = main.deadline().unwrap();
        let from = Instant::now();
        let report = main.exit();
        let took = from.elapsed();
        assert!(Instant::now() >= deadline);
        assert!(took < Duration::from_secs(2), "{took:?}");
        report
    };
    alone(story).end().with_code(1).saying(&[
        "Failed to quit: 1 routine had not returned after 0.3 s",
        "\n  main\n    deaf  running ",
        "never asked its quitter",
    ]);
}

#[test]
fn an_event_before_exit_counts_and_has_started_the_clock() {
    let story = || {
        let (send, receive) = bounded(1);
        let source = QuitSource::channel("early bird", receive);
        let timeout = Duration::from_secs(2);
        let main = MainQuitter::new(timeout, [source]);
        main.routine("deaf").add(|_| hang()).unwrap();

        send.send("worm").unwrap();
        main.wait_quit();
        let deadline = main.deadline().unwrap();
        // The sleep is the thing under test: the body is late.
        thread::sleep(deadline.saturating_duration_since(Instant::now()));

        let from = Instant::now();
        let report = main.exit();
        let waited = from.elapsed();
        assert!(waited < timeout, "waited anew: {waited:?}");
        assert!(report.took >= timeout, "{:?}", report.took);
        report
    };
    alone(story).end().with_code(1).saying(&[
        "Received quit from 'early bird': worm",
        "Failed to quit: 1 routine had not returned after 2",
    ]);
}

#[test]
fn all_done_ends_exit_when_nothing_is_live() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [silence(), QuitSource::all_done()]);
        let jobs = main.child("jobs").unwrap();
        jobs.routine("first")
            .add(|q| q.routine("second").add(|_| {}).map(drop))
            .unwrap();
        let report = main.exit();
        let QuitCause::Source { index: 1, .. } = report.cause else {
            panic!("{:?}", report.cause);
        };
        report
    };
    alone(story).end().with_code(0).saying(&[
        "Received quit from 'all routines done'",
        "Quit: all routines returned",
    ]);
}

#[test]
fn all_done_waits_for_a_job_at_work() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [QuitSource::all_done()]);
        let job = |q: &quitter::RoutineQuitter| {
            let _ = io::stdin().read_line(&mut String::new());
            assert!(!q.has_to_quit());
        };
        main.routine("job").add(job).unwrap();
        println!("exiting");
        main.exit()
    };
    let (stdin, work) = io::pipe().unwrap();
    let mut program = Process::start_reading(&mut command_for(story), stdin);
    program.wait_for("exiting");
    drop(work);
    let said = ["'all routines done'", "Quit: all routines returned"];
    program.end().with_code(0).saying(&said);
}

#[test]
fn all_done_does_not_fire_before_exit() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [QuitSource::all_done()]);
        let job = main.routine("job").add(|_| {}).unwrap();
        job.wait(PATIENCE).unwrap();
        assert!(main.sleep(Duration::from_millis(50)).is_ok());
        main.exit()
    };
    alone(story).end().with_code(0);
}

#[cfg(target_os = "linux")]
mod threads {
    use std::{env, fs};

    use super::common::{Process, command_for};
    use super::*;

    /// Runs a program with this many sources, which prints how many threads it has.
    fn threads_with(sources: usize) {
        let channels: Vec<_> = (0..sources).map(|_| bounded::<()>(1)).collect();
        let receivers = channels.iter().map(|(_, receiver)| receiver.clone());
        let main = MainQuitter::new(
            PATIENCE,
            receivers.map(|receiver| QuitSource::channel("one of many", receiver)),
        );
        let threads = fs::read_dir("/proc/self/task").unwrap().count();
        println!("{threads} threads");

        // The last source is watched, too.
        channels.last().unwrap().0.send(()).unwrap();
        let report = main.exit();
        assert!(matches!(report.cause, QuitCause::Source { index, .. } if index == sources - 1));
    }

    #[test]
    fn a_hundred_sources_need_no_more_threads_than_one() {
        let counts = ["1", "100"].map(|sources| {
            let mut command = command_for(|| {
                let sources = env::var("SOURCES").unwrap();
                threads_with(sources.parse().unwrap());
            });
            let mut program = Process::start(command.env("SOURCES", sources));
            let count = program.wait_for(" threads");
            program.end().with_code(0);
            count
        });
        assert_eq!(counts[0], counts[1]);
    }
}

/// A main quitter that ends its program by force soon after a quit.
fn forced() -> MainQuitter {
    let builder = MainQuitter::builder().timeout(Duration::from_millis(300));
    builder.source(silence()).force_exit(true).build()
}

#[test]
fn a_forced_exit_ends_a_program_that_never_calls_exit() {
    let story = || -> ExitReport {
        let main = forced();
        let _guard = main.guard("set-up").unwrap();
        main.send_quit();
        hang()
    };
    alone(story)
        .end()
        .with_code(1)
        .saying(&["Failed to quit: 1 routine ", "set-up"]);
}

#[test]
fn a_forced_exit_ends_a_program_that_hangs_after_a_clean_exit_and_says_so() {
    let story = || -> ExitReport {
        let main = forced();
        main.send_quit();
        assert_eq!(main.exit().exit_code, 0);
        hang()
    };
    alone(story).end().with_code(1).saying(&[
        "Quit: all routines returned",
        "Ended by force: main has its exit report, but has not returned it",
    ]);
}

#[test]
fn without_a_forced_exit_a_program_goes_on_after_exit() {
    let story = || {
        let main = MainQuitter::new(Duration::ZERO, [silence()]);
        main.send_quit();
        let report = main.exit();
        // The sleep is the thing under test: it lasts longer than a forced end would take.
        thread::sleep(Duration::from_millis(500));
        println!("still here");
        report
    };
    let ended = alone(story).end().with_code(0);
    assert!(ended.stdout.contains("still here"));
}

#[test]
fn a_supervisor_that_waits_for_a_stuck_routine_is_not_blamed() {
    let story = || {
        let main = MainQuitter::new(Duration::from_millis(300), [silence()]);
        let pool = Arc::new(main.child("pool").unwrap());
        pool.routine("deaf").add(|_| hang()).unwrap();
        let (tell, told) = bounded(1);
        let supervise = move |_: &_| {
            tell.send(()).unwrap();
            let timeouts = pool.wait_done(Duration::MAX);
            // Handling the timeouts takes a moment.
            thread::sleep(Duration::from_millis(20));
            drop(timeouts);
        };
        main.routine("supervisor").add(supervise).unwrap();
        told.recv().unwrap();
        main.send_quit();
        main.exit()
    };
    let ended = alone(story).end().with_code(1).saying(&[
        "Failed to quit: 1 routine ",
        "main/pool",
        "deaf",
    ]);
    assert_eq!(ended.count("supervisor"), 0, "{}", ended.stderr);
}

/// The deadline cuts short the wait in `main`. The stuck guard is dropped only after the watcher has looked,
/// which may take longer on a busy machine.
#[test]
fn a_routine_that_returns_after_the_deadline_but_before_the_exit_stays_in_the_report() {
    let story = || {
        let main = MainQuitter::new(Duration::from_millis(300), [QuitSource::os_signal()]);
        let stuck = main.guard("stuck").unwrap();
        main.send_quit();
        let cut_short = main.wait_done(Duration::MAX);
        assert!(cut_short.is_err());
        // The sleep is the thing under test.
        thread::sleep(given_time());
        drop(stuck);
        main.exit()
    };
    let is_reported = |ended: &Ended| ended.code == Some(1);
    let (_, ended) = with_time(&[30, 300, 3000], || command_for(story), is_reported);
    let ended = ended.saying(&[
        "Failed to quit: 1 routine had not returned after 0.3 s",
        "stuck  running",
        "returned at most ",
        "s late",
    ]);
    assert_eq!(ended.count("Quit: all routines returned"), 0, "{ended:?}");
}

#[test]
fn a_routine_that_once_asked_whether_others_are_done_is_not_taken_for_one_that_waits() {
    let story = || {
        let main = MainQuitter::new(Duration::from_millis(300), [QuitSource::os_signal()]);
        let other = main.child("other").unwrap();
        let goes_on = other.guard("goes on").unwrap();
        let (let_go, hold) = bounded::<()>(0);
        let late = main.routine("late").add(move |_| {
            assert!(other.wait_done(Duration::ZERO).is_err());
            drop(goes_on);
            _ = hold.recv();
        });
        let late = late.unwrap();
        main.send_quit();
        assert!(main.wait_done(Duration::MAX).is_err());
        // The sleep is the thing under test: the watcher looks meanwhile.
        thread::sleep(given_time());
        drop(let_go);
        eventually(|| late.is_finished());
        main.exit()
    };
    let is_reported = |ended: &Ended| ended.code == Some(1);
    let (_, ended) = with_time(&[30, 300, 3000], || command_for(story), is_reported);
    ended.saying(&["Failed to quit: 1 routine ", "late  running "]);
}

#[test]
fn a_thread_that_returns_after_the_deadline_is_reported_as_it_was_and_not_as_being_started() {
    let story = || {
        let main = MainQuitter::new(Duration::from_millis(300), [QuitSource::os_signal()]);
        let (let_go, hold) = bounded::<()>(0);
        let begun = Instant::now();
        let late = main.routine("late").add(move |_| _ = hold.recv());
        let late = late.unwrap();
        main.send_quit();
        assert!(main.wait_done(Duration::MAX).is_err());
        // These sleeps are the thing under test: the watcher looks meanwhile, and then time passes.
        thread::sleep(given_time());
        drop(let_go);
        eventually(|| late.is_finished());
        let ran_at_most = begun.elapsed();
        thread::sleep(given_time());
        let report = main.exit();
        for routine in report.timeouts.routines() {
            assert_eq!(routine.state, RoutineState::Running);
            assert!(routine.running_for <= ran_at_most, "{routine:?}");
            let late_by = routine.returned_late.unwrap();
            assert!(late_by < ran_at_most, "{routine:?}");
        }
        report
    };
    let is_reported = |ended: &Ended| ended.code == Some(1);
    let (_, ended) = with_time(&[30, 300, 3000], || command_for(story), is_reported);
    let ended = ended.saying(&["late  running ", "returned at most "]);
    assert_eq!(ended.count("being started"), 0, "{}", ended.stderr);
}

#[test]
fn the_body_counts_as_a_thread_even_while_its_thread_does_another_job() {
    let story = || {
        let builder = MainQuitter::builder().end(End::WithBody);
        builder.run(|main| {
            let job = main.guard("job").unwrap();
            job.run(|_| {
                let snapshot = main.snapshot();
                let body = snapshot.routines().find(|routine| routine.name == "main");
                let body = body.unwrap();
                let thread = RoutineKind::Thread { os_id: 0 };
                assert_eq!((body.kind, body.state), (thread, RoutineState::Waiting));
            });
        })
    };
    alone(story).end().with_code(0);
}

/// The supervisor only waited for a routine that was stuck.
#[test]
fn a_supervisor_that_returns_after_the_deadline_is_left_out_of_the_report() {
    let story = || {
        let main = MainQuitter::new(Duration::from_millis(300), [QuitSource::os_signal()]);
        let child = main.child("child").unwrap();
        child.routine("stuck").add(|_| hang()).unwrap();
        let (tell, told) = bounded(1);
        let supervise = move |_: &_| {
            tell.send(()).unwrap();
            drop(child.wait_done(Duration::MAX));
        };
        main.routine("supervisor").add(supervise).unwrap();
        told.recv().unwrap();
        main.send_quit();
        main.exit()
    };
    let ended = alone(story).end().with_code(1).saying(&[
        "Failed to quit: 1 routine had not returned after 0.3 s",
        "main/child",
        "stuck  running",
    ]);
    assert_eq!(ended.count("supervisor"), 0, "{ended:?}");
}

#[test]
fn a_routine_that_requests_the_quit_of_the_program_gives_the_reason() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        let prompt = main.child("prompt").unwrap();
        prompt
            .routine("reads")
            .add(|q| {
                q.request_quit("'exit' was typed");
                q.wait_quit();
            })
            .unwrap();
        let report = main.exit();
        let QuitCause::Requested {
            reason,
            routine: Some(routine),
            at,
            ..
        } = &report.cause
        else {
            panic!("{:?}", report.cause);
        };
        assert_eq!(reason, "'exit' was typed");
        assert_eq!((&*routine.path, &*routine.name), ("main/prompt", "reads"));
        assert_eq!(at.file(), file!());
        report
    };
    alone(story).end().with_code(0).saying(&[
        "Received quit from routine 'reads' of main/prompt: 'exit' was typed\n",
        "Quit: all routines returned",
    ]);
}
