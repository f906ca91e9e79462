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

/// Until ten dumps in a row say so: the body may not have returned yet, and a thread that has just started is not
/// attributed yet.
#[test]
#[cfg(target_os = "linux")]
fn the_main_thread_is_not_outside_the_tree_while_it_exits() {
    const IN_A_ROW: usize = 10;
    let mut program = Process::start(&mut Command::new(env!("CARGO_BIN_EXE_dumps")));
    program.wait_for("listening");
    let until = std::time::Instant::now() + common::PATIENCE;
    let mut right = 0;
    while right < IN_A_ROW {
        program.send(SIGUSR2);
        let outside = program.wait_for("outside the tree: ");
        right = match outside.trim_end() {
            "outside the tree: no threads" => right + 1,
            _ => 0,
        };
        assert!(std::time::Instant::now() < until, "{outside}");
    }
    program.send(SIGTERM);
    program.end().with_code(0);
}
