//! A whole program under denied lints, as users write it.

#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    unreachable_pub,
    unused,
    rust_2018_idioms,
    future_incompatible
)]
#![deny(unused_qualifications, single_use_lifetimes, let_underscore_drop)]

use quitter::{MainQuitter, QuitSource, RoutineQuitter};

/// Beats once.
#[quitter::routine]
#[allow(clippy::needless_pass_by_value)]
fn heartbeat(q: &RoutineQuitter) {
    q.set_status("beating");
}

/// Starts the program.
#[quitter::main(timeout = "1m 30s", sources = [QuitSource::all_done()], start = "before_body")]
#[allow(clippy::unnecessary_wraps)]
pub fn main(main: &MainQuitter) -> Result<(), std::io::Error> {
    main.add_routine(heartbeat)
        .expect("nothing has told the program to quit");
    Ok(())
}
