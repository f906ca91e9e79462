//! Runs one large workload once, and prints a line for each figure, in nanoseconds.
//!
//! `scenario WORKLOAD IMPLEMENTATION N`, as in `scenario quit-flat tokio-util 1000`.

use quitter_benches::scenarios::SCENARIOS;
use quitter_benches::workload::run_named;

fn main() {
    run_named(SCENARIOS, |scenario, n| scenario(n));
}
