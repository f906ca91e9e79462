//! `drain` and `foreign_work`, run with real signals.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

use std::process::{Command, Stdio};

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use common::{Ended, Process, broken_pipe};

/// The number at the start of the line that ends with `text`.
#[track_caller]
fn number(ended: &Ended, text: &str) -> u64 {
    let mut lines = ended.stdout.lines();
    let number = lines.find_map(|line| line.strip_suffix(text));
    let number = number.unwrap_or_else(|| panic!("no {text:?} in {ended:?}"));
    number.parse().unwrap()
}

#[test]
fn every_order_that_was_taken_is_shipped() {
    let mut drain = Process::start(&mut Command::new(env!("CARGO_BIN_EXE_drain")));
    drain.wait_for("50 orders taken so far"); // Orders come faster than they are packed, so some wait.
    drain.send(SIGINT);
    let ended = drain
        .end()
        .with_code(0)
        .saying(&["Quit: all routines returned"]);
    let taken = number(&ended, " orders taken");
    assert!(taken > 0);
    assert_eq!(number(&ended, " orders shipped"), taken);
}

#[test]
fn foreign_work_is_waited_for_and_then_ends_the_program() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreign_work"));
    let said = ["'all routines done'", "Quit: all routines returned"];
    let ended = Process::start(command.arg("4"))
        .end()
        .with_code(0)
        .saying(&said);
    assert!(
        ended.stdout.ends_with("all frames are rendered\n"),
        "{ended:?}"
    );
}

#[test]
fn foreign_work_stops_early_at_the_quit_and_says_what_is_left() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreign_work"));
    let ended = Process::start(command.arg("100000"))
        .signal_at("the first frame is rendered", SIGTERM)
        .with_code(0)
        .saying(&["SIGTERM", "Quit: all routines returned"]);
    assert!(ended.stdout.ends_with(" are left\n"), "{ended:?}");
}

#[test]
fn foreign_work_whose_lines_nobody_reads_ends_the_program_with_a_report() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreign_work"));
    Process::start_into(command.arg("100"), broken_pipe(), Stdio::piped())
        .end()
        .with_code(1)
        .saying(&["routine 'render' of main failed: Broken pipe"]);
}

#[test]
fn foreign_work_answers_a_bad_number_with_the_usage() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreign_work"));
    let ended = Process::start(command.arg("many")).end().with_code(2);
    ended.saying(&["usage: foreign_work [FRAMES]"]);
}
