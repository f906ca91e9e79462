//! The example `library` with std and ctrlc: a library with a thread of its own, its tests, and a program
//! that uses it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use metrics::Metrics;

/// The library; elsewhere, this would be a crate.
mod metrics {
    use std::error::Error;
    use std::fmt;
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
    use std::thread;
    use std::time::Duration;

    /// Counts requests, and passes the count on once in a while. Ends when it is dropped.
    pub(crate) struct Metrics {
        requests: Arc<AtomicU64>,
        quit: Sender<()>,
        is_done: Receiver<()>,
    }

    #[derive(Debug)]
    pub(crate) struct TimedOut;

    impl Error for TimedOut {}

    impl fmt::Display for TimedOut {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the publisher did not return in time")
        }
    }

    impl Metrics {
        pub(crate) fn start(
            period: Duration,
            publish: impl Fn(u64) + Send + 'static,
        ) -> io::Result<Self> {
            let requests = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&requests);
            let (quit, quits) = mpsc::channel();
            let (done, is_done) = mpsc::channel();
            let publisher = thread::Builder::new().name("publisher".to_owned());
            publisher.spawn(move || {
                let _done = done; // Dropped when the thread ends or panics.
                while quits.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                    publish(counted.load(Ordering::Relaxed));
                }
                publish(counted.load(Ordering::Relaxed)); // With the requests since the last tick.
            })?;
            Ok(Self {
                requests,
                quit,
                is_done,
            })
        }

        pub(crate) fn count_request(&self) {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }

        /// Stops the library before the program ends.
        pub(crate) fn stop(self, timeout: Duration) -> Result<(), TimedOut> {
            drop(self.quit);
            match self.is_done.recv_timeout(timeout) {
                Err(RecvTimeoutError::Timeout) => Err(TimedOut),
                _ => Ok(()),
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let is_quitting = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_quitting);
    ctrlc::set_handler(move || told.store(true, Ordering::SeqCst))?;
    let publish = |requests| println!("{requests} requests so far");
    let metrics = Metrics::start(Duration::from_secs(1), publish)?;
    while !is_quitting.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(10)); // Stands in for a request.
        metrics.count_request();
    }
    metrics.stop(Duration::from_secs(1))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::Metrics;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn stopping_publishes_the_last_count() {
        let (publish, published) = mpsc::channel();
        let publish = move |count| publish.send(count).unwrap();
        let metrics = Metrics::start(PATIENCE, publish).unwrap();
        metrics.count_request();
        metrics.count_request();
        metrics.stop(PATIENCE).unwrap();
        assert_eq!(published.iter().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn dropping_ends_the_library() {
        let (publish, published) = mpsc::channel();
        let publish = move |count| publish.send(count).unwrap_or(());
        drop(Metrics::start(PATIENCE, publish).unwrap());
        assert_eq!(published.iter().count(), 1);
    }
}
