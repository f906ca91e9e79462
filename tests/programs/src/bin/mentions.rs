//! Mentions a crate, and thereby starts its routine.

use quitter_test_programs as _;

#[quitter::main(timeout = "2s", sources = [quitter::QuitSource::all_done()])]
fn main() {}
