//! Programs with an async `main`, on many threads and on one, run as processes.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../common/mod.rs"]
mod common;

use std::process::Command;

#[cfg(target_os = "linux")]
use nix::sys::signal::Signal::SIGUSR1;
use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use common::Process;

const PROGRAMS: [&str; 2] = [
    env!("CARGO_BIN_EXE_async_main"),
    env!("CARGO_BIN_EXE_async_current"),
];

fn start(program: &str, argument: Option<&str>) -> Process {
    let mut command = Command::new(program);
    command.args(argument);
    Process::start(&mut command)
}

/// Starts each program, and waits until both registered routines run.
fn running(argument: Option<&str>) -> impl Iterator<Item = Process> {
    PROGRAMS.into_iter().map(move |program| {
        let mut process = start(program, argument);
        process.wait_for("set up");
        process.wait_for("is a t");
        process.wait_for("is a t");
        process
    })
}

#[test]
fn tasks_and_threads_start_when_the_body_has_returned_and_end_at_the_quit() {
    for process in running(None) {
        process.send(SIGINT);
        let said = ["SIGINT", "Quit: all routines returned"];
        process.end().with_code(0).saying(&said);
    }
}

#[test]
fn a_task_that_never_ends_is_named_and_the_program_ends_with_code_1() {
    for process in running(Some("pending")) {
        process.send(SIGTERM);
        let said = ["1 routine had not returned after 1 s", "pending"];
        process.end().with_code(1).saying(&said);
    }
}

#[test]
fn a_task_that_blocks_the_runtime_does_not_hold_up_the_end() {
    for process in running(Some("spinning")) {
        process.send(SIGTERM);
        process.end().with_code(1).saying(&["spinning"]);
    }
}

#[test]
fn foreign_work_on_the_runtime_does_not_hold_up_the_end() {
    for process in running(Some("foreign")) {
        process.send(SIGTERM);
        let said = ["Quit: all routines returned"];
        process.end().with_code(0).saying(&said);
    }
}

#[test]
fn a_body_that_fails_ends_the_program_with_code_1() {
    for program in PROGRAMS {
        let ended = start(program, Some("fails")).end().with_code(1);
        ended.saying(&["the set-up has failed"]);
    }
}

#[test]
fn a_body_that_is_told_to_quit_while_it_awaits_has_not_failed() {
    for program in PROGRAMS {
        let mut process = start(program, Some("waits"));
        process.wait_for("the body waits");
        process.send(SIGINT);
        let said = ["Quit: all routines returned"];
        process.end().with_code(0).saying(&said);
    }
}

/// The body hangs like a program that waits at the start for a connection that is never made.
#[test]
fn a_body_that_hangs_is_named_with_the_await_on_which_it_does() {
    for program in PROGRAMS {
        let end = || {
            let process = start(program, Some("hangs"));
            process.signal_at("the body hangs", SIGTERM).with_code(1)
        };
        let mut ended = end();
        // On a busy machine, the body may not be polled within the time that the report has for that.
        for _ in 0..5 {
            if ended.count("not polled") > 0 {
                ended = end();
            }
        }
        let said = [
            "1 routine had not returned after 1 s",
            "main  running",
            #[cfg(all(
                feature = "stacks",
                target_os = "linux",
                any(target_arch = "x86_64", target_arch = "aarch64")
            ))]
            "tokio::sync::Mutex::lock\n      async_",
        ];
        let ended = ended.saying(&said);
        assert_eq!(ended.count("on_tokio"), 0, "{}", ended.stderr);
    }
}

/// The first dumps may come before the main thread waits for the exit.
#[test]
#[cfg(target_os = "linux")]
fn a_dump_lists_the_threads_of_the_runtime_but_not_the_main_thread_that_waits_for_the_exit() {
    const IN_A_ROW: usize = 10;
    let mut process = running(None).next().unwrap();
    let until = std::time::Instant::now() + common::PATIENCE;
    let mut right = 0;
    while right < IN_A_ROW {
        process.send(SIGUSR1);
        process.wait_for("outside the tree: ");
        let threads = process.wait_for("tokio-");
        right = if threads.contains("async_main") {
            0
        } else {
            right + 1
        };
        assert!(std::time::Instant::now() < until, "{threads}");
    }
    process.send(SIGINT);
    process.end().with_code(0);
}

/// The thread that runs the tasks may be blocked by code of the program, also during the exit. A dump that is
/// taken while it polls a task attributes it to that.
#[test]
#[cfg(target_os = "linux")]
fn the_main_thread_that_runs_the_tasks_is_outside_the_tree_while_it_exits() {
    const TIMES: usize = 3;
    let mut process = running(None).nth(1).unwrap();
    let until = std::time::Instant::now() + common::PATIENCE;
    let mut listed = 0;
    while listed < TIMES {
        process.send(SIGUSR1);
        process.wait_for("outside the tree: ");
        let threads = process.wait_for("");
        listed += usize::from(threads.contains("async_current waiting"));
        assert!(std::time::Instant::now() < until, "{threads}");
    }
    process.send(SIGINT);
    process.end().with_code(0);
}
