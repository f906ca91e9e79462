//! `supervisor`, run with real signals: no process is left after one signal, nor after two.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use common::{Process, lives};

/// Starts the program, and returns the ids that its processes have printed.
fn supervisor() -> (Process, Vec<u32>) {
    let mut supervisor = Process::start(&mut Command::new(env!("CARGO_BIN_EXE_supervisor")));
    let number = |line: String| line.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let mut pids = Vec::new();
    for said in ["crasher | started as", "crasher | started as"] {
        pids.push(number(supervisor.wait_for(said)));
    }
    (supervisor, pids)
}

/// Waits until every process whose id was printed is gone.
#[track_caller]
fn are_gone(stdout: &str) {
    let numbers = stdout.lines().filter_map(|line| line.rsplit(' ').next());
    let pids: Vec<u32> = numbers.filter_map(|number| number.parse().ok()).collect();
    assert!(pids.len() >= 5, "{stdout}");
    let until = Instant::now() + Duration::from_secs(2);
    while pids.iter().copied().any(lives) {
        assert!(Instant::now() < until, "{stdout}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn after_ctrl_c_the_stubborn_process_is_killed_and_named_and_none_is_left() {
    let (mut supervisor, pids) = supervisor();
    assert_ne!(pids[0], pids[1], "it was started anew");
    supervisor.wait_for("routine 'crasher' of main failed: signal: 6 (SIGABRT)");
    let sent = Instant::now();
    supervisor.send(SIGINT);
    let ended = supervisor.end().with_code(1);
    let took = sent.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    are_gone(&ended.stdout);
    ended.saying(&[
        "Received quit from 'OS interrupt/termination signal': SIGINT",
        "1 routine failed:",
        "routine 'stubborn' of main failed: killed, since it had not ended 1.",
        " s after the stop signal: pid ",
        "Quit: all routines returned (1.",
    ]);
}

#[test]
fn a_second_signal_ends_all_processes_at_once() {
    let (mut supervisor, _) = supervisor();
    supervisor.send(SIGINT);
    supervisor.wait_for("Received quit");
    supervisor.send_later(SIGTERM);
    let ended = supervisor.end().with_code(130);
    are_gone(&ended.stdout);
    ended.saying(&[
        "Failed to quit: 1 routine",
        "stubborn",
        "pid ",
        "Killing 1 child process",
    ]);
}
