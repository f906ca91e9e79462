//! Signals as quit sources of a program with the attribute.

#![cfg_attr(not(unix), allow(dead_code, unused_imports, reason = "nothing to run"))]

use quitter::{QuitSource, RoutineQuitter};

const SIGTERM: i32 = 15;

#[quitter::routine]
fn listener(q: &RoutineQuitter) {
    println!("listening");
    q.wait_quit();
}

#[cfg(unix)]
#[quitter::main(timeout = "2s", sources = [QuitSource::signal(SIGTERM).described("stop").as_failure()])]
fn main() {}

#[cfg(not(unix))]
fn main() {}
