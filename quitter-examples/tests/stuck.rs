//! `stuck`, run with real signals.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use common::Process;

/// Starts the program and waits until all five routines hang.
fn stuck() -> Process {
    let mut stuck = Process::start(&mut Command::new(env!("CARGO_BIN_EXE_stuck")));
    for _ in 0..5 {
        stuck.wait_for("hangs from now on");
    }
    stuck
}

/// The path and the name of each routine that a report lists.
fn listed(report: &str) -> Vec<(&str, &str)> {
    let mut path = "";
    let mut listed = Vec::new();
    for line in report.lines() {
        if line.starts_with("     ") {
            // The rest of a line that was too long.
        } else if let Some(routine) = line.strip_prefix("    ") {
            let name = routine.split_whitespace().next();
            listed.push((path, name.expect("a routine has a name")));
        } else if let Some(quitter) = line.strip_prefix("  ") {
            path = quitter;
        }
    }
    listed
}

#[test]
fn after_the_timeout_each_stuck_routine_is_named_once_with_its_path() {
    let stuck = stuck();
    let sent = Instant::now();
    stuck.send(SIGINT);
    let ended = stuck.end().with_code(1);
    let took = sent.elapsed();

    let (_, report) = ended
        .stderr
        .split_once("Failed to quit: 5 routines had not returned after 2 s\n")
        .unwrap_or_else(|| panic!("no report in\n{}", ended.stderr));
    let mut listed = listed(report);
    listed.sort_unstable();
    assert_eq!(
        listed,
        [
            ("main", "sleeps_without_its_quitter"),
            ("main", "spins"),
            ("main", "waits_for_a_lock"),
            ("main", "waits_for_a_message"),
            ("main/storage/database", "flushes"),
        ]
    );
    assert!(report.contains("status \"flushing 3/10\""), "{report}");
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_second_signal_half_a_second_later_ends_the_program_with_the_report() {
    let mut stuck = stuck();
    stuck.send(SIGINT);
    stuck.wait_for("Received quit from 'OS interrupt/termination signal'");
    stuck.send_later(SIGTERM);
    let ended = stuck.end().with_code(130);
    assert_eq!(ended.count("Failed to quit: 5 routines"), 1, "{ended:?}");
}
