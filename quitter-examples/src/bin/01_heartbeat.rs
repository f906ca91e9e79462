//! Three hearts that beat once a second.
//!
//! Shows the attributes, a child quitter that quits before the program does, and the exit report.
//!
//! Start it with `cargo run -p quitter-examples --bin heartbeat`. Three hearts beat for five
//! seconds: the main heart and, under the quitter `childQuitter`, two more. Then the main heart
//! tells `childQuitter` to quit, and beats on alone.
//!
//! Press Ctrl-C at any time. The program ends at once with exit code 0, and says why it quits and that
//! all routines returned. `heartbeat_core` is the same program without the attributes.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use quitter::RoutineQuitter;

const BEAT: Duration = Duration::from_secs(1);
const CHILD_BEATS: usize = 5;
const CHILD_QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Started by the main quitter. An error here ends the program and is reported.
#[quitter::routine]
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

/// Started by hand: `manual` only gives the routine its name in reports.
#[quitter::routine(manual)]
fn child_heartbeat_a(q: &RoutineQuitter) -> io::Result<()> {
    q.ticks(BEAT).try_for_each(|_| beat(q))
}

#[quitter::routine(manual)]
fn child_heartbeat_b(q: &RoutineQuitter) -> io::Result<()> {
    q.ticks(BEAT).try_for_each(|_| beat(q))
}

/// Unlike `println!`, this does not panic when the reader is gone, as in `heartbeat | head -1`.
fn beat(q: &RoutineQuitter) -> io::Result<()> {
    writeln!(io::stdout(), "Heartbeat from '{}'", q.name())
}

/// The set-up goes here. The routines start once this function has returned.
#[quitter::main(timeout = "2s")]
fn main() {}
