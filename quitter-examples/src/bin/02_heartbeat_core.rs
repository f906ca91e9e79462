//! The heartbeat program with the core alone: no attribute, no procedural macro.
//!
//! Spells out how the main quitter is made and how the program exits.
//!
//! Start it with `cargo run -p quitter-examples --bin heartbeat_core`. Three hearts beat for five
//! seconds, then one. Press Ctrl-C at any time: the program ends at once with exit code 0, and says
//! why it quits and that all routines returned.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use quitter_core::{AddRoutineError, ExitReport, MainQuitter, QuitSource, RoutineQuitter};

const QUIT_TIMEOUT: Duration = Duration::from_secs(2);
const BEAT: Duration = Duration::from_secs(1);
const CHILD_BEATS: usize = 5;
const CHILD_QUIT_TIMEOUT: Duration = Duration::from_secs(2);

fn init_main_quitter() -> MainQuitter {
    let os_signal = QuitSource::os_signal().described("OS interrupt/termination signal");
    MainQuitter::new(QUIT_TIMEOUT, [os_signal])
}

fn main() -> ExitReport {
    let main_quitter = init_main_quitter();
    match main_quitter.add_routine(main_heartbeat) {
        // A signal may come before the routine is started. That is a quit like any other.
        Ok(_) | Err(AddRoutineError::Quitting) => main_quitter.exit(),
        Err(no_thread) => panic!("{no_thread}"),
    }
}

fn main_heartbeat(q: &RoutineQuitter) -> Result<(), Box<dyn Error + Send + Sync>> {
    let child_quitter = q.child("childQuitter")?;
    child_quitter.add_routine(child_heartbeat_a)?;
    child_quitter.add_routine(child_heartbeat_b)?;

    for _ in q.ticks(BEAT).take(CHILD_BEATS) {
        beat(q)?;
    }
    child_quitter.quit_and_wait(CHILD_QUIT_TIMEOUT)?;
    for _ in q.ticks(BEAT) {
        beat(q)?;
    }
    Ok(())
}

fn child_heartbeat_a(q: &RoutineQuitter) -> io::Result<()> {
    q.ticks(BEAT).try_for_each(|_| beat(q))
}

fn child_heartbeat_b(q: &RoutineQuitter) -> io::Result<()> {
    q.ticks(BEAT).try_for_each(|_| beat(q))
}

/// Unlike `println!`, this does not panic when the reader is gone, as in `heartbeat_core | head -1`.
fn beat(q: &RoutineQuitter) -> io::Result<()> {
    writeln!(io::stdout(), "Heartbeat from '{}'", q.name())
}
