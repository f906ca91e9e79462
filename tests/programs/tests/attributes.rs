//! Programs with `#[quitter::main]`, run as processes: their output and how they end.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../common/mod.rs"]
mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use common::{Ended, Process};

fn body(name: &str) -> Process {
    Process::start(Command::new(env!("CARGO_BIN_EXE_bodies")).arg(name))
}

fn starts(name: &str) -> Process {
    Process::start(Command::new(env!("CARGO_BIN_EXE_starts")).arg(name))
}

fn program(path: &str) -> Ended {
    Process::start(&mut Command::new(path)).end()
}

#[test]
fn a_body_that_returns_nothing_is_the_set_up() {
    body("returns_nothing").end().with_code(0).saying(&[
        "body\n",
        "Received quit from 'all routines done'",
        "Quit: all routines returned",
    ]);
}

#[test]
fn a_body_that_returns_an_error_quits_with_code_1() {
    body("returns_an_error")
        .end()
        .with_code(1)
        .saying(&["Error: ", "no configuration"]);
}

#[test]
fn an_async_body_may_leave_its_error_unnamed() {
    let ended = body("returns_an_unnamed_error_async").end();
    ended.with_code(1).saying(&["Error: ", "no configuration"]);
}

#[test]
fn a_body_that_fails_tells_the_routines() {
    body("fails_while_a_routine_works")
        .end()
        .with_code(1)
        .saying(&["the routine was told"]);
}

#[test]
fn a_body_that_returns_an_exit_code_quits_with_that() {
    let ended = body("returns_a_code").end().with_code(3);
    assert_eq!(ended.count("quit"), 0, "{}", ended.stderr);
}

#[test]
fn a_body_that_returns_ok_of_an_exit_code_quits_with_that() {
    body("returns_an_ok_code").end().with_code(4);
}

#[test]
fn a_body_that_returns_success_goes_on() {
    body("returns_success")
        .end()
        .with_code(0)
        .saying(&["Received quit from 'all routines done'"]);
}

#[test]
fn the_exit_code_of_a_body_is_kept_in_trouble() {
    body("returns_a_code_with_a_stuck_routine")
        .end()
        .with_code(5)
        .saying(&["Failed to quit: 1 routine ", "deaf"]);
}

#[test]
fn success_of_a_body_is_not_kept_in_trouble() {
    body("returns_success_with_a_stuck_routine")
        .end()
        .with_code(1)
        .saying(&["Failed to quit: 1 routine ", "deaf"]);
}

#[test]
fn a_body_that_panics_quits_with_code_1() {
    body("panics").end().with_code(1).saying(&[
        "Received quit from main, which failed: ",
        "no display",
        "routine 'main' of main panicked at ",
        "no display",
        "Quit: all routines returned",
    ]);
}

#[test]
fn a_body_that_returns_quitting_has_not_failed() {
    body("returns_quitting")
        .signal_at("body", SIGINT)
        .with_code(0)
        .saying(&["Received quit from 'OS", "Quit: all routines returned"]);
}

#[test]
fn a_body_that_returns_quitting_in_a_box_has_not_failed() {
    body("returns_quitting_in_a_box")
        .signal_at("body", SIGINT)
        .with_code(0)
        .saying(&["Received quit from 'OS", "Quit: all routines returned"]);
}

#[test]
fn a_body_that_returns_quitting_in_an_eyre_report_has_not_failed() {
    for name in [
        "returns_quitting_in_a_report",
        "returns_quitting_below_a_report",
    ] {
        let mut program = body(name);
        program.wait_for("body");
        program.send(SIGINT);
        let ended = program.end().with_code(0);
        let ended = ended.saying(&["Received quit from 'OS", "Quit: all routines returned"]);
        assert_eq!(ended.count("failed"), 0, "{}", ended.stderr);
    }
}

#[test]
fn an_eyre_report_of_the_body_is_one_line() {
    let ended = body("returns_a_report").end().with_code(1);
    assert_eq!(ended.stderr, "Error: cannot save: disk full\n");
}

#[test]
fn a_signal_while_the_body_works_is_seen_by_routines_at_once() {
    body("is_told")
        .signal_at("routine", SIGTERM)
        .with_code(0)
        .saying(&[
            "Received quit from 'OS interrupt/termination signal': SIGTERM",
            "Quit: all routines returned",
        ]);
}

/// Asserts that the report names a stuck body as `main`, and that the program is ended by force at the quit
/// timeout of 0.3 s.
fn is_ended_by_force(mut program: Process) {
    program.wait_for("body");
    let sent = Instant::now();
    program.send(SIGTERM);
    program.end().with_code(1).saying(&[
        "Received quit from 'OS",
        "Failed to quit: 1 routine had not returned after 0.",
        "\n  main\n    main  running ",
    ]);
    let took = sent.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_millis(2300), "{took:?}");
}

#[test]
fn a_body_that_is_stuck_is_named_and_the_process_ends() {
    is_ended_by_force(body("is_deaf"));
}

#[test]
fn a_body_that_never_returns_is_named_and_the_process_ends() {
    is_ended_by_force(body("never_returns"));
}

#[test]
fn a_body_that_leaves_nothing_live_says_once_that_it_waits() {
    let ended = body("starts_nothing")
        .signal_at("waiting for a quit event", SIGINT)
        .with_code(0)
        .saying(&["Quit: all"]);
    assert_eq!(ended.count("all_done()"), 1, "{}", ended.stderr);
}

#[test]
fn registered_routines_start_after_the_body() {
    starts("after_body")
        .signal_at("'automatic' runs", SIGINT)
        .with_code(0)
        .saying(&["the body returns", "'automatic' runs", "Quit: all"]);
}

#[test]
fn registered_routines_start_before_the_body_where_that_is_asked_for() {
    let mut program = starts("before_body");
    // The body returns only when told to quit.
    program.wait_for("'automatic' runs");
    program.send(SIGINT);
    program.end().with_code(0).saying(&["Quit: all"]);
}

#[test]
fn registered_routines_start_once_when_the_body_says_so() {
    let mut program = starts("by_hand");
    program.wait_for("the body runs");
    program.wait_for("'automatic' runs");
    program.send(SIGINT);
    let ended = program.end().with_code(0).saying(&["Quit: all"]);
    assert_eq!(ended.count("'automatic' runs"), 1, "{}", ended.stderr);
}

#[test]
fn manual_routines_start_when_added_and_by_no_one_else() {
    let ended = starts("by_hand_beside_the_attribute")
        .signal_at("'automatic' runs", SIGINT)
        .with_code(0);
    assert_eq!(ended.count("'manual' runs"), 1, "{}", ended.stderr);

    let ended = starts("before_body")
        .signal_at("'automatic' runs", SIGINT)
        .with_code(0);
    assert_eq!(ended.count("'manual' runs"), 0, "{}", ended.stderr);
}

#[test]
fn an_exit_for_which_nobody_has_started_the_registered_routines_says_so() {
    let ended = starts("never").end().with_code(0);
    assert_eq!(ended.count("'automatic' runs"), 0, "{}", ended.stderr);
    ended.saying(&[
        "The routines of #[quitter::routine] were not started",
        "main.start_routines()",
        "Quit: all routines returned",
    ]);
}

#[test]
fn a_program_that_quits_before_it_has_started_the_registered_routines_is_told_nothing() {
    let ended = starts("never_since_it_quits").end().with_code(0);
    assert_eq!(ended.count("were not started"), 0, "{}", ended.stderr);
    ended.saying(&["Quit: all routines returned"]);
}

#[test]
fn a_long_body_that_routines_wait_for_is_told_so_once() {
    let mut program = starts("after_long_body");
    program.wait_for("The body of main still runs");
    program.send(SIGINT);
    let ended = program.end().with_code(0);
    let ended = ended.saying(&["before_body", "start_routines()"]);
    assert_eq!(ended.count("The body of main still runs"), 1);
    assert_eq!(ended.count("'automatic' runs"), 0, "{}", ended.stderr);
}

#[test]
fn two_automatic_routines_of_one_name_are_an_error_that_names_both_places() {
    let ended = program(env!("CARGO_BIN_EXE_twins")).with_code(1).saying(&[
        "Failed to start: ",
        "'heart beat'",
        "src/bin/twins.rs:6",
        "src/bin/twins.rs:10",
    ]);
    assert_eq!(ended.count("the body runs"), 0, "{}", ended.stderr);
    let twins = |name| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twins"));
        Process::start(command.arg(name)).end().with_code(1)
    };
    twins("quiet").saying(&["Failed to start: ", "'heart beat'"]);
    let silent = twins("silent");
    assert_eq!(silent.stderr, "");
    // Where it is seen only once the program runs, the program quits.
    twins("by_hand").saying(&[
        "Received quit from routine 'heart beat' of main, which failed: ",
        "Quit: all",
    ]);
}

#[test]
fn a_routine_of_a_crate_that_is_only_mentioned_runs() {
    program(env!("CARGO_BIN_EXE_mentions"))
        .with_code(0)
        .saying(&["'routine_of_another_crate' runs"]);
}

#[test]
fn a_failure_of_a_registered_routine_is_handled_as_its_attribute_says() {
    let ended = starts("fails").end().with_code(0);
    ended.saying(&[
        "routine 'automatic' of main failed: no such device",
        "Received quit from 'all routines done'",
        "Quit: all routines returned",
    ]);
}

#[test]
fn a_routine_of_a_crate_that_is_not_mentioned_does_not_run() {
    let ended = body("returns_nothing").end().with_code(0);
    assert_eq!(ended.count("routine_of_another_crate"), 0);
}

/// The thread of the routine is the job's, whose wait counts for both. On a busy machine, there may be no time to
/// find out about all threads.
#[test]
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn a_routine_that_has_handed_its_thread_to_a_job_hides_no_deadlock() {
    let end = || {
        let program = Process::start(&mut Command::new(env!("CARGO_BIN_EXE_deadlock")));
        program.signal_at("the job hangs", SIGINT).with_code(1)
    };
    let nobody_is_woken = "everyone waits: nothing here will wake anybody";
    let mut ended = end();
    for _ in 0..5 {
        if !ended.says(&[nobody_is_woken]) {
            ended = end();
        }
    }
    ended.saying(&["2 routines", "job", "worker", nobody_is_woken]);
}
