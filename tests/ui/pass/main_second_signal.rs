#![deny(warnings)]
#![forbid(unsafe_code)]

use std::time::Duration;

use quitter::{QuitSource, SecondSignal};

#[quitter::main(
    sources = [QuitSource::all_done()],
    second_signal = SecondSignal::ExitUnlessWithin(Duration::from_millis(500)),
    progress_lines = false,
)]
fn main() {}
