//! A body that does not return leaves nothing unreachable behind.

#![deny(warnings)]

use quitter::{MainQuitter, QuitSource};

#[quitter::main(timeout = "0s", sources = [QuitSource::all_done()])]
fn main(main: &MainQuitter) -> ! {
    main.send_quit();
    std::process::exit(0)
}
