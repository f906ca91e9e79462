//! Names, labels, statuses and messages come from the program, and often from its input. None of them can
//! forge one of quitter's lines, hide one, or reach the terminal as anything but text.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::SIGTERM;
use quitter::{AddRoutineError, MainQuitter, OnFailure, QuitSource};

use common::{Ended, alone, hang};

const EVIL: &str =
    "\r\nQuit: all routines returned (0.1 s)\n\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}1A\u{202e}";

#[track_caller]
fn is_not_forged(ended: &Ended) {
    let text = &ended.stderr;
    assert!(
        text.contains("Quit: all routines returned (0.1 s)"),
        "{text}"
    );
    let forged = |line: &str| line.starts_with("Quit: ");
    assert!(!text.lines().any(forged), "{text}");
    let dangerous = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!text.contains(dangerous), "{text:?}");
}

#[test]
fn names_paths_statuses_and_errors_are_escaped_in_every_line() {
    let story = || {
        let main = MainQuitter::builder().timeout(Duration::MAX);
        main.source(QuitSource::os_signal().described(EVIL))
            .run(|main| {
                let child = main.child(EVIL)?;
                child.routine(EVIL).add(|q| -> () {
                    q.set_status(EVIL);
                    println!("listening");
                    hang()
                })?;
                let fails = child.routine(EVIL).on_failure(OnFailure::FailAtExit);
                fails.add(|_| Err::<(), _>(EVIL))?;
                Ok::<_, AddRoutineError>(())
            })
    };
    let mut program = alone(story);
    program.wait_for("listening");
    program.send(SIGTERM);
    program.wait_for("Waiting for");
    program.send_later(SIGTERM);
    let ended = program.end().with_code(130);
    is_not_forged(&ended);
    ended.saying(&["Received quit from", "Waiting for", "Failed to quit: "]);
}

#[test]
fn a_message_and_the_failure_of_main_are_escaped() {
    let story = || {
        let (send, admin) = crossbeam_channel::bounded(1);
        let main = MainQuitter::builder().source(QuitSource::channel("admin", admin));
        main.timeout(Duration::from_millis(500)).run(move |main| {
            // The routine comes first, since it would be refused after the message.
            main.routine("stuck").add(|_| -> () { hang() }).unwrap();
            send.send(EVIL).unwrap();
            main.wait_quit();
            Err::<(), Box<dyn std::error::Error>>(EVIL.into())
        })
    };
    let ended = alone(story).end().with_code(1);
    is_not_forged(&ended);
    ended.saying(&[
        "Received quit from 'admin': ",
        "routine 'main' of main failed: ",
    ]);
}

fn has_one_outcome(ended: &Ended) {
    let outcomes = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("Quit: "));
    assert_eq!(outcomes.count(), 1, "{ended:?}");
}

#[test]
fn an_error_of_the_body_is_escaped_at_the_event() {
    let story = || {
        let main = MainQuitter::builder().source(QuitSource::all_done());
        main.run(|main| {
            main.add_routine(|q| q.wait_quit())?;
            Err::<(), Box<dyn std::error::Error>>(EVIL.into())
        })
    };
    let ended = alone(story).end().with_code(1);
    has_one_outcome(&ended);
    ended.saying(&["Received quit from main, which failed: "]);
}

#[test]
fn the_lines_of_a_long_error_stay_readable() {
    let story = || {
        let main = MainQuitter::builder().source(QuitSource::all_done());
        main.run(|main| {
            let fails = |_: &_| Err::<(), _>("cannot parse\n\tat line 3\n");
            main.routine("parser").add(fails).map(drop)
        })
    };
    alone(story).end().with_code(1).saying(&[
        "Received quit from routine 'parser' of main, which failed: cannot parse …\n",
        "  routine 'parser' of main failed: cannot parse\n      \tat line 3\n",
    ]);
}

#[test]
fn a_panic_is_escaped_in_the_report_and_its_thread_has_a_harmless_name() {
    let story = || {
        let main = MainQuitter::builder().source(QuitSource::all_done());
        main.run(|main| {
            // The panic hook is the program's own, and prints what it wants.
            std::panic::set_hook(Box::new(|_| {
                eprintln!("hook of {}", thread::current().name().unwrap());
            }));
            main.routine(EVIL)
                .add(|_| -> () { panic!("{EVIL}") })
                .map(drop)
        })
    };
    let ended = alone(story).end().with_code(1);
    has_one_outcome(&ended);
    assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
    ended.saying(&[
        "hook of ",
        "Received quit from routine ",
        // The place follows here if quitter's hook wraps the program's by then.
        " panicked",
        ": \n      Quit: ",
    ]);
}
