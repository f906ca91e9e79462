//! `stuck`, run with real signals.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

use std::io::{PipeWriter, pipe};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use common::{Ended, Process};

/// Starts the program and waits until `routines` of them hang. Nothing is written to its stdin.
fn stuck(case: Option<&str>, routines: usize) -> (Process, PipeWriter) {
    let (stdin, nobody_writes) = pipe().unwrap();
    let mut stuck = Command::new(env!("CARGO_BIN_EXE_stuck"));
    let mut stuck = Process::start_reading(stuck.args(case), stdin);
    for _ in 0..routines {
        stuck.wait_for("hangs from now on");
    }
    (stuck, nobody_writes)
}

/// Runs a case until the timeout ends it, and returns its report as one line.
#[cfg(target_os = "linux")]
#[track_caller]
fn report(case: &str, routines: usize) -> String {
    let (stuck, _stdin) = stuck(Some(case), routines);
    stuck.send(SIGINT);
    let ended = stuck.end().with_code(1);
    let report = report_of(&ended);
    let too_long = |line: &&str| line.chars().count() > 100;
    assert_eq!(report.lines().find(too_long), None);
    let words: Vec<_> = report.split_whitespace().collect();
    words.join(" ")
}

#[track_caller]
fn report_of(ended: &Ended) -> &str {
    let report = ended.stderr.split_once("Failed to quit: ");
    let report = report.unwrap_or_else(|| panic!("no report in\n{}", ended.stderr));
    report.1
}

/// The path and the name of each routine that a report lists.
fn listed(report: &str) -> Vec<(&str, &str)> {
    let mut path = "";
    let mut listed = Vec::new();
    for line in report.lines() {
        if line.starts_with("     ") {
            // The rest of a wrapped line.
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
    let (stuck, _stdin) = stuck(None, 10);
    let sent = Instant::now();
    stuck.send(SIGINT);
    let ended = stuck.end().with_code(1);
    let took = sent.elapsed();

    let report = report_of(&ended);
    assert!(
        report.starts_with("10 routines had not returned after 2 s\n"),
        "{report}"
    );
    let mut listed = listed(report);
    listed.sort_unstable();
    assert_eq!(
        listed,
        [
            ("main", "accepts"),
            ("main", "never_asks"),
            ("main", "reads_stdin"),
            ("main", "sleeps_without_its_quitter"),
            ("main", "spins"),
            ("main", "waits_for_a_lock"),
            ("main", "waits_for_a_message"),
            ("main/storage/database", "flushes"),
            ("main/store", "compactor"),
            ("main/store", "flusher"),
        ]
    );
    assert!(report.contains("status \"flushing 3/10\""), "{report}");
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_second_signal_half_a_second_later_ends_the_program_with_the_report() {
    let (mut stuck, _stdin) = stuck(None, 10);
    stuck.send(SIGINT);
    stuck.wait_for("Received quit from 'OS interrupt/termination signal'");
    stuck.send_later(SIGTERM);
    let ended = stuck.end().with_code(130);
    assert_eq!(ended.count("Failed to quit: 10 routines"), 1, "{ended:?}");
}

#[test]
fn an_unknown_case_is_answered_with_the_usage() {
    let (stuck, _stdin) = stuck(Some("locks"), 0);
    let ended = stuck.end().with_code(2);
    let cases = "lock, shared-lock, channel, sleep, spin, accept, deep, stdin, deaf";
    let usage = format!("usage: stuck [CASE]\ncases: {cases}\n");
    assert_eq!(ended.stderr, usage);
}

/// The report on each case, on systems that tell what a thread is blocked in.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod stands {
    use super::report;

    const EVERYONE_WAITS: &str = " everyone waits: nothing here will wake anybody";

    /// Runs a case, several times if need be, until its report has these texts in this order. On a busy machine,
    /// there may be no time to find out everything about the threads.
    #[track_caller]
    fn shows(case: &str, routines: usize, texts: &[&str]) -> String {
        let mut reports = Vec::new();
        for _ in 0..4 {
            let report = report(case, routines);
            let mut rest = &report[..];
            let mut find = |text: &&str| match rest.split_once(text) {
                Some((_, behind)) => {
                    rest = behind;
                    true
                }
                None => false,
            };
            if texts.iter().all(&mut find) {
                return report;
            }
            reports.push(report);
        }
        panic!("no {texts:?} (in order) in {reports:#?}");
    }

    #[test]
    fn a_lock_and_a_channel_are_a_futex_and_nobody_wakes_anybody() {
        for case in ["lock", "channel"] {
            let stands = " s, blocked in futex (a lock or condition), spawned at ";
            let report = shows(case, 1, &[stands, EVERYONE_WAITS]);
            assert!(report.ends_with(EVERYONE_WAITS), "{report}");
        }
    }

    #[test]
    fn two_that_share_a_lock_name_each_other() {
        let stands = |other: &str| {
            format!("blocked in futex (a lock or condition, the same as '{other}' of main/store), ")
        };
        let [compactor, flusher] = ["compactor", "flusher"].map(stands);
        let report = shows("shared-lock", 2, &[&compactor, &flusher, EVERYONE_WAITS]);
        assert!(report.ends_with(EVERYONE_WAITS), "{report}");
    }

    #[test]
    fn a_sleep_ends_by_itself() {
        let stands = " s, blocked in clock_nanosleep (a sleep), spawned at ";
        let report = shows("sleep", 1, &[stands]);
        assert!(!report.contains(EVERYONE_WAITS), "{report}");
    }

    #[test]
    fn a_spinning_routine_runs() {
        let share = " % of a CPU, spawned at ";
        shows("spin", 1, &[" s, using ", share]);
    }

    #[test]
    fn a_server_is_shown_with_its_address() {
        let stands = [" s, blocked in accept4 (fd ", ", TCP 127.0.0.1:"];
        let report = shows("accept", 1, &stands);
        assert!(!report.contains(EVERYONE_WAITS), "{report}");
    }

    #[test]
    fn a_read_of_stdin_is_shown_as_such() {
        let stands = " s, blocked in read (fd 0, stdin, a pipe), spawned at ";
        let report = shows("stdin", 1, &[stands]);
        assert!(!report.contains(EVERYONE_WAITS), "{report}");
    }

    #[test]
    fn a_routine_two_levels_down_has_its_path_and_status() {
        let path = " main/storage/database flushes running ";
        let texts = [path, ", status \"flushing 3/10\"", EVERYONE_WAITS];
        let report = shows("deep", 1, &texts);
        assert!(report.ends_with(EVERYONE_WAITS), "{report}");
    }

    #[test]
    fn a_routine_that_never_asks_is_said_to() {
        shows("deaf", 1, &[", never asked its quitter"]);
    }
}
