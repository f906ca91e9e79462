//! The cases of tasks: each on a multi-threaded and on a single-threaded runtime.

use std::future::{Future, pending};
use std::io;

use tokio::runtime::{Builder, Runtime};

/// The name of each case, and what happens in it.
pub const TASK_CASES: &[(&str, &str)] = &[
    ("task-clean", "the worker is a task that returns when told"),
    (
        "task-clean-current",
        "the same, on a runtime of a single thread",
    ),
    ("task-pending", "the worker is a task that awaits forever"),
    (
        "task-pending-current",
        "the same, on a runtime of a single thread",
    ),
    (
        "task-blocking",
        "the worker is a task that blocks its thread forever",
    ),
    (
        "task-blocking-current",
        "the same, on a runtime of a single thread",
    ),
    ("task-spinning", "the worker is a task that spins"),
    (
        "task-spinning-current",
        "the same, on a runtime of a single thread",
    ),
    (
        "task-spawn-blocking",
        "the worker is a task that awaits `spawn_blocking`, which blocks forever",
    ),
    (
        "task-spawn-blocking-current",
        "the same, on a runtime of a single thread",
    ),
];

/// Whether the runtime has a single thread.
pub fn is_current(case: &str) -> bool {
    case.ends_with("-current")
}

/// The runtime that `#[tokio::main]` makes, of the case's flavor.
pub fn runtime(case: &str) -> io::Result<Runtime> {
    let mut builder = match is_current(case) {
        true => Builder::new_current_thread(),
        false => Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

/// The work. `told` becomes ready when the worker is told to end.
pub async fn work(case: &str, told: impl Future<Output = ()>) {
    match case.trim_end_matches("-current") {
        "task-pending" => pending().await,
        "task-blocking" => crate::hang(),
        "task-spinning" => loop {
            std::hint::spin_loop();
        },
        "task-spawn-blocking" => {
            let hangs = tokio::task::spawn_blocking(|| crate::hang());
            hangs.await.expect("it never returns");
        }
        _ => told.await,
    }
}
