//! Signals as quit sources of a program with the attribute.

use quitter::{QuitSource, RoutineQuitter};

const SIGTERM: i32 = 15;

#[quitter::routine]
fn listener(q: &RoutineQuitter) {
    println!("listening");
    q.wait_quit();
}

#[quitter::main(timeout = "2s", sources = [QuitSource::signal(SIGTERM).described("stop").as_failure()])]
fn main() {}
