//! Runs one of the programs that are ended from outside, until SIGINT: `program IMPLEMENTATION THREADS`.

use std::process::ExitCode;

use quitter_benches::programs::PROGRAMS;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().expect("the name of an implementation");
    let threads = arguments.next().expect("how many threads block");
    let program = PROGRAMS.implementation(&name).expect("a known name");
    program(threads.parse().expect("a number"))
}
