//! Tasks that hang, on a multi-threaded and on a single-threaded runtime: the program ends within its bound,
//! with a report that names them.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../common/mod.rs"]
mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGINT;

use common::{Ended, Process};

const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Enough for a busy machine on which tasks spin; an idle one needs 250 ms.
const SLACK: Duration = Duration::from_secs(4);

/// Runs a case until Ctrl-C ends it.
#[track_caller]
fn interrupted(case: &str, flavor: &str) -> Ended {
    let mut program = Command::new(env!("CARGO_BIN_EXE_stubborn_tasks"));
    let mut program = Process::start(program.args([case, flavor]));
    program.wait_for("ready");
    program.send(SIGINT);
    program.wait_for("Received quit from");
    let event = Instant::now();
    let ended = program.end();
    let took = event.elapsed();
    println!(
        "{case}, {flavor}: {} ms after the quit event",
        took.as_millis()
    );
    assert!(took < QUIT_TIMEOUT + SLACK, "{took:?}\n{}", ended.stderr);
    ended
}

/// Runs a case on both runtimes. Asserts that the report blames the task, and nothing else.
fn blames_the_task(case: &str) {
    for flavor in ["several", "current"] {
        let ended = interrupted(case, flavor).with_code(1);
        assert_eq!(ended.count("  running "), 1, "{flavor}: {}", ended.stderr);
        let said = [
            "Failed to quit: 1 routine had not returned",
            "worker  running",
        ];
        ended.saying(&said);
    }
}

#[test]
fn a_task_that_awaits_for_ever_is_named_and_holds_nothing_up() {
    blames_the_task("pending");
}

#[test]
fn a_task_that_blocks_its_thread_is_named_and_holds_nothing_up() {
    blames_the_task("blocking");
}

#[test]
fn a_task_that_spins_is_named_and_holds_nothing_up() {
    blames_the_task("spinning");
}

#[test]
fn a_task_that_awaits_blocking_work_is_named_and_holds_nothing_up() {
    blames_the_task("awaits-blocking");
}

#[test]
fn a_task_whose_drop_hangs_is_named_and_holds_nothing_up() {
    blames_the_task("drop");
}

#[test]
fn blocking_work_that_no_routine_awaits_holds_nothing_up() {
    for flavor in ["several", "current"] {
        let ended = interrupted("foreign-blocking", flavor).with_code(0);
        ended.saying(&["Quit: all routines returned"]);
    }
}
