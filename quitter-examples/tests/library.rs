//! `library`, run with a real signal. Its unit tests are in the example itself.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

use std::process::Command;

use nix::sys::signal::Signal::SIGINT;

use common::Process;

#[test]
fn the_program_ends_with_the_library_stopped_first() {
    Process::start(&mut Command::new(env!("CARGO_BIN_EXE_library")))
        .signal_at("requests so far", SIGINT)
        .with_code(0)
        .saying(&["Quit: all routines returned"]);
}
