//! Panics while another panic hangs in the panic hook forever.

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../common/mod.rs"]
mod common;

use std::process::Command;

use common::Process;

/// Only on Linux does quitter know that the main quitter is made on the only thread.
#[test]
fn a_hook_that_hangs_before_the_first_routine_hides_no_panic_of_a_routine() {
    let program = env!("CARGO_BIN_EXE_hook");
    Process::start(&mut Command::new(program))
        .end()
        .with_code(1)
        .saying(&[
            "routine 'panics' of main panicked at tests/programs/src/bin/hook.rs:",
            ": on the record",
        ]);
}
