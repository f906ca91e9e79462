//! Routines that do not return, each for a reason of its own, and the report that names them.
//!
//! Shows what the exit report says of a routine that hangs: its path, its age, where it was forked,
//! where it was last seen asking its quitter, and its status.
//!
//! Start it with `cargo run -p quitter-examples --bin stuck` and press Ctrl-C. After two seconds,
//! the quit timeout, the program ends with exit code 1 and names the five routines, each once. A
//! second Ctrl-C, half a second or more after the first, ends it before that, with the report so far
//! and exit code 130.

use std::sync::Mutex;
use std::time::Duration;
use std::{hint, mem, thread};

use crossbeam_channel::unbounded;
use quitter::{AddRoutineError, RoutineQuitter};

static LEDGER: Mutex<u64> = Mutex::new(0);

#[quitter::routine]
fn waits_for_a_lock(q: &RoutineQuitter) {
    announce(q);
    // Nobody can wake a thread that waits for a std lock.
    drop(LEDGER.lock());
}

#[quitter::routine]
fn waits_for_a_message(q: &RoutineQuitter) {
    announce(q);
    let (_never_sends, messages) = unbounded::<String>();
    // With `select!` on `q.quit_chan()` this would return.
    let _ = messages.recv();
}

#[quitter::routine]
fn sleeps_without_its_quitter(q: &RoutineQuitter) {
    announce(q);
    // `q.sleep` would wake up.
    thread::sleep(Duration::from_secs(3600));
}

#[quitter::routine]
fn spins(q: &RoutineQuitter) -> ! {
    announce(q);
    loop {
        hint::spin_loop();
    }
}

/// Forks a routine two levels down, and is not stuck itself.
#[quitter::routine]
fn opens_the_database(q: &RoutineQuitter) -> Result<(), AddRoutineError> {
    let database = q.child("storage")?.child("database")?;
    database.add_routine(flushes).map(drop)
}

#[quitter::routine(manual)]
fn flushes(q: &RoutineQuitter) -> ! {
    announce(q);
    q.set_status("flushing 3/10");
    loop {
        thread::park();
    }
}

fn announce(q: &RoutineQuitter) {
    eprintln!("'{}' hangs from now on", q.name());
}

#[quitter::main(timeout = "2s")]
fn main() {
    // Whoever holds a lock and forgets it stops all who want it.
    mem::forget(LEDGER.lock());
    eprintln!("Press Ctrl-C once five routines hang.");
}
