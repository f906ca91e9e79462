//! The program at the top of the README: one routine that quits when told, and one that hangs.
//!
//! Start it with `cargo run -p quitter-examples --bin first` and press Ctrl-C. The heart stops at
//! once. The flusher does not return, so after a second a line says what the program is waiting for, and
//! after three seconds the program ends with exit code 1 and a report that names the flusher.

use std::error::Error;
use std::thread;
use std::time::Duration;

use quitter::{MainQuitter, RoutineQuitter};

#[quitter::routine]
fn heartbeat(q: &RoutineQuitter) {
    for _ in q.ticks(Duration::from_secs(1)) {
        println!("beat");
    }
}

fn flusher(q: &RoutineQuitter) {
    q.set_status("flushing 3/10");
    thread::sleep(Duration::from_secs(3600)); // A disk that hangs. `q.sleep` would wake up.
}

#[quitter::main(timeout = "3s")]
fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    let db = main.child("db")?;
    db.add_routine(flusher)?;
    println!("press Ctrl-C");
    Ok(())
}
