//! A program with the attribute that dumps its live tree on a signal.

use quitter::RoutineQuitter;

#[quitter::routine]
fn listener(q: &RoutineQuitter) {
    println!("listening");
    q.wait_quit();
}

#[quitter::main(timeout = "2s", dump_on = "SIGUSR2")]
fn main() {}
