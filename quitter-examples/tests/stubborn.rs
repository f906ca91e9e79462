//! `stubborn`: whatever hangs, the program ends, and names the stuck routines if there are any.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGINT;

use common::{Ended, Process};

const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Enough for a busy machine; an idle one needs 250 ms.
const SLACK: Duration = Duration::from_secs(2);

fn started(case: &str) -> Process {
    Process::start(Command::new(env!("CARGO_BIN_EXE_stubborn")).arg(case))
}

/// Waits for the quit event, and asserts that the program ends within its bound after that.
#[track_caller]
fn ended(case: &str, mut stubborn: Process) -> Ended {
    stubborn.wait_for("Received quit from");
    let event = Instant::now();
    let ended = stubborn.end();
    let took = event.elapsed();
    println!("{case}: {} ms after the quit event", took.as_millis());
    assert!(took < QUIT_TIMEOUT + SLACK, "{took:?}\n{}", ended.stderr);
    assert_eq!(ended.count("Received quit from"), 1, "{}", ended.stderr);
    ended
}

/// Runs a case until Ctrl-C ends it.
#[track_caller]
fn interrupted(case: &str) -> Ended {
    let mut stubborn = started(case);
    stubborn.wait_for("ready");
    stubborn.send(SIGINT);
    let ended = ended(case, stubborn);
    ended.saying(&["Received quit from 'OS interrupt/termination signal': SIGINT"])
}

/// The names of the routines that the report lists, in its order.
fn names(ended: &Ended) -> Vec<&str> {
    let routines = ended.stderr.lines().filter(|line| line.contains("running"));
    let name = |line: &'_ str| line.find("  running").map(|at| line[..at].trim().len());
    routines
        .filter_map(|line| Some(&line.trim_start()[..name(line)?]))
        .collect()
}

/// Asserts that the report names each of these routines once, with the place where it was spawned, and that
/// the exit code is 1.
#[track_caller]
fn blames(ended: Ended, routines: &[&str]) -> Ended {
    let ended = ended.with_code(1);
    assert_eq!(names(&ended), routines, "{}", ended.stderr);
    assert_eq!(ended.count("Failed to quit: "), 1, "{}", ended.stderr);
    let places = ended.count(" spawned at quitter-examples/src/bin/14_stubborn.rs:");
    assert_eq!(places, routines.len(), "{}", ended.stderr);
    ended
}

/// Asserts that no routine is named and that the end is clean.
#[track_caller]
fn is_clean(ended: Ended) -> Ended {
    let ended = ended.with_code(0);
    assert_eq!(ended.count("Quit: all routines returned ("), 1);
    assert_eq!(ended.count("Failed"), 0, "{}", ended.stderr);
    ended
}

#[test]
fn without_a_case_the_cases_are_listed_and_the_code_is_2() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stubborn"));
    let ended = Process::start(&mut command).end().with_code(2);
    ended.saying(&["usage: stubborn CASE\n", "tls-destructor"]);
}

#[test]
fn a_stuck_body_is_blamed() {
    blames(interrupted("body"), &["main"]);
}

#[test]
fn a_stuck_drop_of_a_local_of_the_body_is_blamed_on_the_body() {
    blames(interrupted("drop"), &["main"]);
}

#[test]
fn a_stuck_thread_local_destructor_of_main_is_an_end_by_force_and_no_clean_one() {
    interrupted("tls-destructor").with_code(1).saying(&[
        "Quit: all routines returned (",
        "Ended by force: main has returned, but the process does not end: a thread-local destructor",
    ]);
}

#[test]
fn a_routine_that_holds_the_lock_of_stderr_is_blamed() {
    blames(interrupted("stderr-lock"), &["main", "holds stderr"]);
}

#[test]
fn a_routine_that_holds_the_lock_of_stdout_is_blamed() {
    blames(interrupted("stdout-lock"), &["holds stdout"]);
}

#[test]
fn a_partial_line_in_stdout_is_written_at_the_end() {
    let ended = is_clean(interrupted("partial-line"));
    assert_eq!(ended.stdout, "half a line");
}

#[test]
fn a_routine_that_spins_is_blamed_with_the_place_where_it_was_last_seen() {
    blames(interrupted("spin"), &["spins"])
        .saying(&["last seen at quitter-examples/src/bin/14_stubborn.rs:"]);
}

#[test]
fn a_routine_that_forks_for_ever_is_blamed_and_those_that_it_forked_are_not() {
    blames(interrupted("forks"), &["forks"]);
}

#[test]
fn a_panic_while_stderr_is_locked_quits_the_program_and_is_reported() {
    let case = "locked-panic";
    let ended = ended(case, started(case)).with_code(1).saying(&[
        "Received quit from routine 'panics' of main, which failed",
        "1 routine failed:",
        "routine 'panics' of main panicked at quitter-examples/src/bin/14_stubborn.rs:",
        ": while stderr is locked",
    ]);
    let names = names(&ended);
    assert!(names.contains(&"holds stderr"), "{}", ended.stderr);
    assert!(names.contains(&"main"), "{}", ended.stderr);
}

#[test]
fn drops_that_panic_one_after_the_other_are_a_failure_while_quitting() {
    let ended = interrupted("drop-panics").with_code(1);
    assert_eq!(ended.count("routine 'drops' of main panicked at"), 1);
    ended.saying(&[
        "1 routine failed:",
        ": drop 5 (while quitting)",
        "Quit: all routines returned (",
    ]);
}

#[test]
fn ten_thousand_stuck_routines_end_in_time() {
    let ended = interrupted("ten-thousand").with_code(1);
    // On a busy machine, the system may not have started all of the threads. Those are listed apart.
    let counts = names(&ended).into_iter().map(|name| {
        let count = name.strip_prefix("one of many ×");
        count.expect(name).parse::<u32>().unwrap()
    });
    assert_eq!(counts.sum::<u32>(), 10_000, "{}", ended.stderr);
    ended.saying(&["Failed to quit: 10000 routines had not returned after 1"]);
}

#[test]
fn a_message_that_blocks_in_display_costs_the_report_its_text() {
    let case = "display-blocks";
    let ended = is_clean(ended(case, started(case)));
    assert_eq!(ended.count("Received quit from 'message'\n"), 1);
}

#[test]
fn a_message_that_panics_in_display_costs_the_report_its_text() {
    let case = "display-panics";
    let ended = is_clean(ended(case, started(case)));
    assert_eq!(ended.count("Received quit from 'message'\n"), 1);
}

#[test]
fn a_message_whose_drop_blocks_is_shown() {
    let case = "message-drop";
    is_clean(ended(case, started(case)))
        .saying(&["Received quit from 'message': a message that hangs when dropped\n"]);
}

#[test]
fn a_panic_hook_of_the_program_that_hangs_is_blamed_on_the_routine_that_panicked() {
    blames(interrupted("own-hook"), &["panics"]);
}

#[test]
fn a_thread_that_no_quitter_knows_does_not_hold_up_the_end() {
    is_clean(interrupted("own-thread"));
}
