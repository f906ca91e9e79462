//! A program with the attribute whose quit sources are signals, run as a process.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../common/mod.rs"]
mod common;

use std::process::Command;

use nix::sys::signal::Signal::{SIGINT, SIGTERM, SIGUSR2};

use common::Process;

#[test]
fn a_signal_among_the_sources_stands_beside_the_others() {
    let program = || {
        let mut program = Process::start(&mut Command::new(env!("CARGO_BIN_EXE_signals")));
        program.wait_for("listening");
        program
    };
    let stopped = program();
    stopped.send(SIGTERM);
    let stopped = stopped.end().with_code(1);
    stopped.saying(&["Received quit from 'stop': SIGTERM"]);
    let interrupted = program();
    interrupted.send(SIGINT);
    let interrupted = interrupted.end().with_code(0);
    interrupted.saying(&["Received quit from 'OS interrupt/termination signal': SIGINT"]);
}

#[test]
fn a_signal_named_in_the_attribute_asks_for_a_dump() {
    let mut program = Process::start(&mut Command::new(env!("CARGO_BIN_EXE_dumps")));
    program.wait_for("listening");
    program.send(SIGUSR2);
    program.wait_for("Dump on SIGUSR2:");
    program.wait_for("listener");
    program.send(SIGTERM);
    program.end().with_code(0);
}
