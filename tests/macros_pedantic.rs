//! Both attributes under every lint that a careful user might deny. The test is that this file
//! compiles and that clippy accepts it.

#![cfg(feature = "macros")]
#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    unused_results
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(
    clippy::absolute_paths,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::impl_trait_in_params,
    clippy::indexing_slicing,
    clippy::min_ident_chars,
    clippy::missing_docs_in_private_items,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::shadow_reuse,
    clippy::shadow_same,
    clippy::shadow_unrelated,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used
)]

use core::time::Duration;
use std::process::ExitCode;

use quitter::{ExitReport, MainQuitter, QuitSource, Quitting, RoutineQuitter};

/// Waits for the quit.
#[quitter::routine(name = "waits", manual)]
pub fn wait(quitter: &RoutineQuitter) {
    quitter.wait_quit();
}

/// Never ends by itself.
#[quitter::routine(manual)]
pub fn spin(quitter: &RoutineQuitter) -> ! {
    loop {
        quitter.wait_quit();
    }
}

/// Ends at the quit.
///
/// # Errors
///
/// Returns `Quitting` at the quit.
#[quitter::routine(manual)]
pub fn sleep(quitter: &RoutineQuitter) -> Result<(), Quitting> {
    quitter.sleep(Duration::MAX)
}

/// A program that succeeds.
mod returns_a_code {
    use super::{ExitCode, QuitSource};

    /// Starts the program.
    #[quitter::main(timeout = "2s", sources = [QuitSource::all_done()])]
    pub(super) fn main() -> ExitCode {
        ExitCode::SUCCESS
    }
}

/// A program that never ends by itself.
mod never_returns {
    use super::MainQuitter;

    /// Starts the program.
    #[quitter::main(timeout = "1h", start = "before_body")]
    pub(super) fn main(quitter: &MainQuitter) -> ! {
        loop {
            quitter.wait_quit();
        }
    }
}

/// A program that may fail.
mod returns_a_result {
    use super::{Duration, ExitCode, MainQuitter, Quitting};

    /// Starts the program.
    #[quitter::main(start = "after_body")]
    pub(super) fn main(quitter: &MainQuitter) -> Result<ExitCode, Quitting> {
        quitter.sleep(Duration::ZERO)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A program with an empty body.
mod does_nothing {
    /// Starts the program.
    #[quitter::main]
    pub(super) fn main() {}
}

/// Uses the programs that must not run here because they would not end.
pub const ENDLESS: [fn() -> ExitReport; 3] = [
    never_returns::main,
    returns_a_result::main,
    does_nothing::main,
];

#[test]
fn programs_under_denied_lints_run() {
    let report = returns_a_code::main();
    assert_eq!(report.exit_code, 0, "{report}");
}
