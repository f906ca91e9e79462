//! A body that never returns causes no warning about unreachable code.

#![deny(warnings)]

use quitter::{MainQuitter, QuitSource};

#[quitter::main(timeout = "0s", sources = [QuitSource::all_done()])]
fn main(main: &MainQuitter) -> ! {
    main.send_quit();
    std::process::exit(0)
}
