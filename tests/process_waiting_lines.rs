//! The lines that a waiting program prints: which routines it waits for, which have returned, hints.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::fmt::{self, Display};
use std::thread;
use std::time::Duration;

use nix::sys::signal::SigSet;
use nix::sys::signal::Signal::{SIGTERM, SIGUSR1};
use quitter::{AddRoutineError, ExitReport, MainQuitter, MainQuitterBuilder, Output, QuitSource};

use common::{PATIENCE, Process, alone, hang};

fn builder(timeout: Duration) -> MainQuitterBuilder {
    let builder = MainQuitter::builder().timeout(timeout);
    builder.source(QuitSource::os_signal())
}

/// A program with a stuck routine two quitters deep.
fn stuck(builder: MainQuitterBuilder) -> ExitReport {
    builder.run(|main| {
        let db = main.child("db")?;
        db.routine("flusher").add(|q| {
            q.set_status("flushing 3/10");
            println!("listening");
            hang()
        })?;
        Ok::<_, AddRoutineError>(())
    })
}

/// The signal that a test sends to its program as a message, as a set.
fn blocked() -> SigSet {
    SigSet::from_iter([SIGUSR1])
}

/// Ends a program with a second signal.
fn end(program: Process) -> common::Ended {
    program.send_later(SIGTERM);
    program.end().with_code(130)
}

fn quitting(story: Process) -> Process {
    let mut program = story;
    program.wait_for("listening");
    program.send(SIGTERM);
    program.wait_for("Received quit from");
    program
}

#[test]
fn after_a_second_a_line_says_who_is_waited_for_since_when_with_which_status_and_how_long_still() {
    let story = || stuck(builder(Duration::from_secs(60)));
    let mut program = quitting(alone(story));
    let line = program.wait_for("Waiting for");
    let rest = line
        .strip_prefix("Waiting for 1 routine, ")
        .unwrap_or_else(|| panic!("{line}"));
    let (left, rest) = rest.split_once(" s left: ").unwrap();
    let left: f64 = left.parse().unwrap();
    assert!(left > 40.0 && left < 59.5, "{line}");
    let rest = rest.strip_prefix("'flusher' of main/db (running ").unwrap();
    let (running, _) = rest.split_once(" s,").unwrap();
    let running: f64 = running.parse().unwrap();
    assert!((0.9..20.0).contains(&running), "{line}");
    // If the thread is in a page fault at the first line, a later line says what it is blocked in.
    if cfg!(target_os = "linux") {
        program.wait_for("  blocked in futex (a lock or condition), ");
    }
    let ended = end(program);
    let lines = ended.count("Waiting for");
    assert_eq!(ended.count("status \"flushing 3/10\")\n"), lines);
}

#[test]
fn there_is_another_line_a_few_seconds_later() {
    let story = || stuck(builder(Duration::from_secs(60)));
    let mut program = quitting(alone(story));
    program.wait_for("Waiting for 1 routine");
    program.wait_for("Waiting for 1 routine");
    let ended = end(program);
    assert_eq!(ended.count("has returned"), 0, "{}", ended.stderr);
}

#[test]
fn without_a_quit_timeout_no_time_is_left_to_be_told() {
    let story = || stuck(builder(Duration::MAX));
    let mut program = quitting(alone(story));
    let line = program.wait_for("Waiting for");
    assert!(!line.contains("left"), "{line}");
    assert!(line.starts_with("Waiting for 1 routine: 'flusher' of main/db (running "));
    end(program);
}

#[test]
fn a_line_says_that_a_named_routine_has_returned() {
    let story = || {
        builder(Duration::from_secs(60)).run(|main| {
            main.child("db")?.routine("slow").add(|_| {
                println!("listening");
                // Waits until the test has seen the line that names this routine.
                let _ = blocked().wait();
            })?;
            main.routine("deaf").add(|_| hang())?;
            Ok::<_, AddRoutineError>(())
        })
    };
    // The program inherits the blocked signal, and receives it only by waiting for it.
    blocked().thread_block().unwrap();
    let mut program = quitting(alone(story));
    let line = program.wait_for("Waiting for 2 routines");
    assert!(line.contains("'slow' of main/db"), "{line}");
    program.wait_for("'deaf' of main (");
    program.send(SIGUSR1);
    program.wait_for("'slow' of main/db has returned");
    let ended = end(program);
    assert_eq!(ended.count("'slow' of main/db has returned"), 1);
    assert_eq!(ended.count("'deaf' of main has returned"), 0);
}

#[test]
fn of_many_routines_the_line_names_the_first_ones_and_counts_the_others() {
    let story = || {
        builder(Duration::from_secs(60)).run(|main| {
            for i in 0..100 {
                main.routine(format!("deaf {i}")).add(|_| hang())?;
            }
            println!("listening");
            Ok::<_, AddRoutineError>(())
        })
    };
    let mut program = quitting(alone(story));
    let line = program.wait_for("Waiting for 100 routines, ");
    assert!(line.contains("'deaf 0' of main ("), "{line}");
    for i in 1..5 {
        program.wait_for(&format!("'deaf {i}' of main ("));
    }
    let ended = end(program);
    let (lines, _) = ended.stderr.split_once("\nReceived ").unwrap();
    assert!(
        lines.lines().all(|line| line.chars().count() <= 100),
        "{lines}"
    );
    for line in lines.split("Waiting for 100 routines, ").skip(1) {
        let (named, rest) = line.split_once(" and 95 more").unwrap();
        assert_eq!(named.matches("'deaf ").count(), 5, "{line}");
        assert!(!rest.contains("'deaf "), "{line}");
    }
}

#[test]
fn a_body_that_is_waited_for_is_named() {
    let story = || {
        builder(Duration::from_secs(60)).run(|_| -> () {
            println!("listening");
            hang()
        })
    };
    let mut program = quitting(alone(story));
    let line = program.wait_for("Waiting for 1 routine, ");
    assert!(line.contains("'main' of main (running "), "{line}");
    end(program);
}

#[test]
fn progress_lines_can_be_turned_off() {
    let story = || stuck(builder(Duration::from_secs(3)).progress_lines(false));
    let ended = quitting(alone(story)).end().with_code(1);
    assert_eq!(ended.count("Waiting for"), 0, "{}", ended.stderr);
    assert_eq!(ended.count("has returned"), 0, "{}", ended.stderr);
    ended.saying(&["Failed to quit: 1 routine had not returned after 3"]);
}

#[test]
fn they_are_said_without_forced_exit_too() {
    let story = || {
        let main = MainQuitter::new(Duration::from_secs(60), [QuitSource::os_signal()]);
        main.routine("deaf").add(|_| hang()).unwrap();
        println!("listening");
        main.exit()
    };
    let mut program = quitting(alone(story));
    program.wait_for("Waiting for 1 routine, ");
    end(program);
}

#[test]
fn there_is_none_when_everything_returns_within_a_second() {
    let story = || {
        builder(Duration::from_secs(60)).run(|main| {
            main.routine("obeys").add(|q| {
                println!("listening");
                q.wait_quit();
            })?;
            Ok::<_, AddRoutineError>(())
        })
    };
    let ended = quitting(alone(story)).end().with_code(0);
    assert_eq!(ended.count("Waiting for"), 0, "{}", ended.stderr);
    assert_eq!(ended.count("has returned"), 0, "{}", ended.stderr);
}

#[test]
fn there_is_none_when_nothing_is_live_and_the_program_is_slow_to_exit() {
    let story = || {
        let main = builder(PATIENCE).build();
        main.send_quit();
        // The sleep is what takes so long.
        thread::sleep(Duration::from_millis(1500));
        main.exit()
    };
    let ended = alone(story).end().with_code(0);
    assert_eq!(ended.count("Waiting for"), 0, "{}", ended.stderr);
}

#[test]
fn there_is_none_when_the_report_is_about_to_come() {
    let story = || stuck(builder(Duration::from_millis(1200)));
    let ended = quitting(alone(story)).end().with_code(1);
    assert_eq!(ended.count("Waiting for"), 0, "{}", ended.stderr);
}

#[test]
fn they_come_from_a_program_whose_stderr_is_locked_too() {
    let story = || {
        builder(Duration::from_secs(60)).run(|main| {
            main.routine("locks").add(|_| -> ! {
                let _lock = std::io::stderr().lock();
                println!("listening");
                hang()
            })?;
            Ok::<_, AddRoutineError>(())
        })
    };
    let mut program = quitting(alone(story));
    program.wait_for("Waiting for 1 routine, ");
    end(program);
}

const BODY_HINT: &str = "The body of main still runs, and registered routines wait for its end.";
const NOTHING_HINT: &str = "main has returned and no routine is running; waiting for a quit event.";

#[test]
fn a_body_that_has_returned_with_nothing_live_is_hinted_at_once_once() {
    let story = || builder(PATIENCE).run(|_| println!("listening"));
    let mut program = alone(story);
    program.wait_for(NOTHING_HINT);
    program.wait_for("with_body");
    program.wait_for("all_done()");
    program.send(SIGTERM);
    let ended = program.end().with_code(0);
    assert_eq!(ended.count(NOTHING_HINT), 1, "{}", ended.stderr);
    ended.saying(&[NOTHING_HINT, "request_quit(reason)\nReceived quit from"]);
}

const EXIT_HINT: &str = "No routine is running, and exit() waits for a quit event.";

#[test]
fn an_exit_with_nothing_live_is_hinted_at_once_once() {
    let story = || builder(PATIENCE).build().exit();
    let mut program = alone(story);
    program.wait_for(EXIT_HINT);
    program.wait_for("send_quit()");
    program.send(SIGTERM);
    let ended = program.end().with_code(0);
    assert_eq!(ended.count(EXIT_HINT), 1, "{}", ended.stderr);
    ended.saying(&["all_done()", "request_quit(reason)\nReceived quit from"]);
}

#[test]
fn an_exit_is_hinted_at_when_its_last_routine_has_returned() {
    let story = || {
        let main = builder(PATIENCE).output(Output::Quiet).build();
        let (go, wait) = crossbeam_channel::bounded::<()>(0);
        main.add_routine(move |_| wait.recv().unwrap_or(()))
            .unwrap();
        let exit = std::thread::spawn(|| main.exit());
        println!("listening");
        blocked().wait().unwrap();
        drop(go);
        exit.join().unwrap()
    };
    blocked().thread_block().unwrap();
    let mut program = alone(story);
    program.wait_for("listening");
    program.send(SIGUSR1);
    program.wait_for(EXIT_HINT);
    program.send(SIGTERM);
    let ended = program.end().with_code(0);
    assert_eq!(ended.count(EXIT_HINT), 1, "{}", ended.stderr);
}

#[test]
fn an_exit_is_not_hinted_at_when_the_last_routine_has_sent_a_quit_event() {
    /// Delays the event until after the routine has returned.
    struct ShownLate;
    impl Display for ShownLate {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            std::thread::sleep(Duration::from_millis(20));
            f.write_str("the port is taken")
        }
    }
    let story = || {
        let (failed, failures) = crossbeam_channel::bounded(1);
        let source = QuitSource::channel_with("server", failures, |message: &ShownLate| {
            message.to_string()
        });
        let main = builder(PATIENCE).source(source).build();
        main.add_routine(move |_| failed.send(ShownLate).unwrap())
            .unwrap();
        main.exit()
    };
    let ended = alone(story).end().with_code(0);
    assert_eq!(ended.count(EXIT_HINT), 0, "{}", ended.stderr);
    ended.saying(&["Received quit from 'server': the port is taken"]);
}

#[test]
fn an_exit_that_ends_when_all_is_done_is_not_hinted_at() {
    let story = || {
        let main = builder(PATIENCE).source(QuitSource::all_done()).build();
        main.exit()
    };
    let ended = alone(story).end().with_code(0);
    assert_eq!(ended.count(EXIT_HINT), 0, "{}", ended.stderr);
}

#[test]
fn a_silent_exit_hints_at_nothing() {
    let story = || {
        let main = builder(PATIENCE).output(Output::Silent).build();
        println!("listening");
        main.exit()
    };
    let ended = alone(story).signal_at("listening", SIGTERM).with_code(0);
    assert_eq!(ended.stderr, "");
}

#[test]
fn with_all_done_nothing_is_hinted() {
    let story = || builder(PATIENCE).source(QuitSource::all_done()).run(|_| ());
    let ended = alone(story).end().with_code(0);
    assert_eq!(ended.count(NOTHING_HINT), 0, "{}", ended.stderr);
}

#[test]
fn with_a_routine_that_runs_nothing_is_hinted() {
    let story = || {
        builder(PATIENCE).run(|main| {
            main.add_routine(|q| {
                println!("listening");
                q.wait_quit();
            })?;
            Ok::<_, AddRoutineError>(())
        })
    };
    let ended = quitting(alone(story)).end().with_code(0);
    assert_eq!(ended.count(NOTHING_HINT), 0, "{}", ended.stderr);
}

#[test]
fn a_long_body_that_no_registered_routine_waits_for_is_not_hinted_at() {
    let story = || {
        builder(PATIENCE).run(|main| {
            let _ = main.sleep(Duration::from_millis(2500));
            println!("listening");
            main.wait_quit();
        })
    };
    let ended = quitting(alone(story)).end().with_code(0);
    assert_eq!(ended.count(BODY_HINT), 0, "{}", ended.stderr);
}
