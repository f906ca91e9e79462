//! `progress`: its exit code for each way in which it ends.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

use std::process::Command;

use nix::sys::signal::Signal::{self, SIGINT, SIGTERM};

use common::Process;

fn progress(arguments: &[&str]) -> Process {
    Process::start(Command::new(env!("CARGO_BIN_EXE_progress")).args(arguments))
}

#[test]
fn work_that_is_done_exits_with_0() {
    let said = ["main, which returned", "Quit: all routines returned"];
    progress(&["3"]).end().with_code(0).saying(&said);
}

fn is_cut_short_and_ended_by(signal: Signal) {
    let ended = progress(&["1000"])
        .signal_at("files to copy: 1000", signal)
        .with_signal(signal);
    let copied = ended.stdout.lines().find_map(|line| {
        let rest = line.strip_prefix("stopped, files copied: ")?;
        rest.strip_suffix(" of 1000")
    });
    assert!(copied.unwrap().parse::<u32>().unwrap() < 1000, "{ended:?}");
}

#[test]
fn ctrl_c_cuts_the_work_short_and_ends_the_program() {
    is_cut_short_and_ended_by(SIGINT);
}

#[test]
fn sigterm_cuts_the_work_short_and_ends_the_program() {
    is_cut_short_and_ended_by(SIGTERM);
}

#[test]
fn a_failure_exits_with_1_and_says_what_failed() {
    let said = ["Error: the disk is full after 1000 files\n"];
    progress(&["1001"]).end().with_code(1).saying(&said);
}

#[test]
fn bad_arguments_are_answered_with_the_usage() {
    for arguments in [&[][..], &["some"]] {
        progress(arguments)
            .end()
            .with_code(2)
            .saying(&["usage: progress FILES"]);
    }
}
