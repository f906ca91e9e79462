//! Counts threads before they block, and notes when each returns.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::asleep;

/// The list of the threads that block.
pub struct Muster {
    start: Instant,
    arrived: AtomicUsize,
    /// When each thread returned, in nanoseconds from `start`.
    returned: Vec<AtomicU64>,
}

impl Muster {
    /// Makes a list for `n` threads.
    pub fn new(n: usize) -> Self {
        Self {
            start: Instant::now(),
            arrived: AtomicUsize::new(0),
            returned: (0..n).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts the calling thread, blocks it, and notes when it returns. Each thread calls this.
    pub fn block(&self, wait: impl FnOnce()) {
        let place = self.arrived.fetch_add(1, Ordering::Relaxed);
        wait();
        let now = self.start.elapsed().as_nanos() as u64;
        self.returned[place].store(now, Ordering::Release);
    }

    /// Waits until every thread blocks.
    pub fn wait_until_all_block(&self) {
        while self.arrived.load(Ordering::Relaxed) < self.returned.len() {
            thread::yield_now();
        }
        asleep::wait_for_others();
    }

    /// The nanoseconds between `from` and the return of the last thread.
    pub fn last_return(&self, from: Instant) -> f64 {
        let last = self.returned.iter().map(|at| at.load(Ordering::Acquire));
        let last = last.max().unwrap_or_default();
        last as f64 - (from - self.start).as_nanos() as f64
    }
}
