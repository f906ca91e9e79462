//! Mentions a crate, which is enough to start its routine.

use quitter_test_programs as _;

#[quitter::main(timeout = "2s", sources = [quitter::QuitSource::all_done()])]
fn main() {}
