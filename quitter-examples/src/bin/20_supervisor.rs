//! A supervisor of child processes: none outlives it, unless SIGKILL or SIGQUIT (`Ctrl-\`) ends it.
//!
//! Shows that a child process is a routine: named, stopped, waited for and reported like any other. One
//! of three ignores the signal that asks it to stop, one has children of its own, and one crashes again
//! and again and is restarted each time.
//!
//! Start it with `cargo run -p quitter-examples --bin supervisor` and press Ctrl-C. A second later, one
//! second before the quit timeout is over, the stubborn process is killed. The report says so, and
//! the exit code is 1. Press Ctrl-C again, more than half a second after the first time, and all
//! processes are killed at once. It runs on Unix.

use std::error::Error;
use std::process::Command;
use std::time::Duration;

use quitter::{MainQuitter, OnFailure, ProcessOutput, RoutineQuitter};

/// Ignores the signal that asks it to stop.
const STUBBORN: &str = "trap '' TERM; echo started as $$; while :; do sleep 1; done";

/// The script's children are in its process group, so they are asked to stop, too.
const FAMILY: &str = "sleep 1000 & echo child $!; sleep 1000 & echo child $!; wait";

const CRASHER: &str = "ulimit -c 0; echo started as $$; sleep 0.3; kill -ABRT $$";

/// Starts a process, and restarts it each time it has ended. A failure is reported at once, and the
/// program goes on.
#[quitter::routine]
fn restarts(q: &RoutineQuitter) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let crasher = q.routine("crasher").on_failure(OnFailure::Report);
        let crasher = crasher
            .output(ProcessOutput::Prefixed)
            .process(sh(CRASHER))?;
        let end = crasher.wait(Duration::MAX)?;
        q.set_status(format!("last end: {end}"));
        // Nobody reads the output any more, so a new process would end in the same way.
        if end.is_output_closed() {
            return Ok(());
        }
        // At the quit, this returns an error that is not a failure.
        q.sleep(Duration::from_millis(200))?;
    }
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    command
}

#[quitter::main(timeout = "2s")]
fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    for (name, script) in [("stubborn", STUBBORN), ("family", FAMILY)] {
        main.routine(name)
            .kill_before_deadline(Duration::from_secs(1))
            .output(ProcessOutput::Prefixed)
            .process(sh(script))?;
    }
    Ok(())
}
