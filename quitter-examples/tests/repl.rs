//! `repl`, with its input from a pipe.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

use std::io::{PipeWriter, Write, pipe};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGINT;

use common::Process;

fn repl() -> (Process, PipeWriter) {
    let (stdin, keyboard) = pipe().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_repl"));
    (Process::start_reading(&mut command, stdin), keyboard)
}

#[test]
fn sums_are_answered_until_exit_is_typed() {
    let (mut repl, mut keyboard) = repl();
    keyboard.write_all(b"2 3 4\ntwo\n").unwrap();
    repl.wait_for("9");
    repl.wait_for("invalid digit");
    keyboard.write_all(b"exit\n").unwrap();
    let said = ["'exit' was typed", "Quit: all routines returned"];
    repl.end().with_code(0).saying(&said);
}

#[test]
fn the_end_of_the_input_ends_the_program() {
    let (repl, keyboard) = repl();
    drop(keyboard);
    let said = ["the end of the input", "Quit: all routines returned"];
    repl.end().with_code(0).saying(&said);
}

#[test]
fn a_sum_that_is_out_of_range_is_refused_and_the_prompt_goes_on() {
    let (mut repl, mut keyboard) = repl();
    keyboard.write_all(b"9223372036854775807 1\n").unwrap();
    repl.wait_for("out of range");
    keyboard.write_all(b"1 1\nexit\n").unwrap();
    repl.wait_for("2");
    repl.end().with_code(0);
}

#[test]
fn ctrl_c_ends_the_prompt_at_once_though_it_waits_for_input() {
    let (mut repl, mut keyboard) = repl();
    keyboard.write_all(b"1 1\n").unwrap();
    repl.wait_for("2");
    let sent = Instant::now();
    repl.send(SIGINT);
    let said = [
        "'OS interrupt/termination signal': SIGINT",
        "Quit: all routines returned",
    ];
    repl.end().with_code(0).saying(&said);
    assert!(sent.elapsed() < Duration::from_secs(2));
}
