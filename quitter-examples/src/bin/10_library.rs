//! A library with a thread of its own, its tests, and a program that uses it.
//!
//! Shows how a library takes part in a program's tree without deciding anything for the program: its
//! user hands it a quitter, and it never listens for signals. Its tests make trees of their own.
//!
//! Start the program with `cargo run -p quitter-examples --bin library` and press Ctrl-C: exit code
//! 0. Run the tests with `cargo test -p quitter-examples --bin library`.

use std::error::Error;
use std::thread;
use std::time::Duration;

use metrics::Metrics;
use quitter::MainQuitter;

/// The library; elsewhere, this would be a crate.
mod metrics {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use quitter::{AddRoutineError, Quitter, RoutineQuitter, Timeouts};

    /// Counts requests, and passes the count on once in a while.
    pub(crate) struct Metrics {
        requests: Arc<AtomicU64>,
        quitter: Quitter,
    }

    impl Metrics {
        /// Starts under the caller's quitter, and ends with it at the latest.
        pub(crate) fn start(
            parent: &Quitter,
            period: Duration,
            publish: impl Fn(u64) + Send + 'static,
        ) -> Result<Self, AddRoutineError> {
            let quitter = parent.child("metrics")?;
            let requests = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&requests);
            let publisher = quitter.routine("publisher");
            publisher.add(move |q: &RoutineQuitter| {
                for _ in q.ticks(period) {
                    publish(counted.load(Ordering::Relaxed));
                }
                publish(counted.load(Ordering::Relaxed)); // With the requests since the last tick.
            })?;
            Ok(Self { requests, quitter })
        }

        pub(crate) fn count_request(&self) {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }

        /// Stops the library before the program ends. Only the library's own routines are told to quit.
        pub(crate) fn stop(self, timeout: Duration) -> Result<(), Timeouts> {
            self.quitter.quit_and_wait(timeout)
        }
    }
}

#[quitter::main(timeout = "2s", end = "with_body")]
fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    let publish = |requests| println!("{requests} requests so far");
    let metrics = Metrics::start(main, Duration::from_secs(1), publish)?;
    while !main.has_to_quit() {
        thread::sleep(Duration::from_millis(10)); // Stands in for a request.
        metrics.count_request();
    }
    metrics.stop(Duration::from_secs(1))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::unbounded;
    use quitter::Quitter;

    use super::Metrics;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn stopping_publishes_the_last_count_and_leaves_the_program_running() {
        let program = Quitter::root("program");
        let (publish, published) = unbounded();
        let publish = move |count| publish.send(count).unwrap();
        let metrics = Metrics::start(&program, Duration::MAX, publish).unwrap();
        metrics.count_request();
        metrics.count_request();
        metrics.stop(PATIENCE).unwrap();
        assert_eq!(published.iter().collect::<Vec<_>>(), [2]);
        assert!(!program.has_to_quit());
    }

    #[test]
    fn the_quit_of_the_program_ends_the_library() {
        let program = Quitter::root("program");
        let metrics = Metrics::start(&program, Duration::from_millis(1), |_| {}).unwrap();
        program.quit_and_wait(PATIENCE).unwrap();
        assert!(program.failures().is_empty());
        drop(metrics);
    }

    #[test]
    fn nothing_starts_in_a_program_that_is_quitting() {
        let program = Quitter::root("program");
        program.send_quit();
        let refused = Metrics::start(&program, Duration::MAX, |_| {});
        assert!(refused.is_err_and(|error| error.is_quitting()));
    }
}
