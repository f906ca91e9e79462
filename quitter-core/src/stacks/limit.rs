//! How long a capture may take. A capture for a dump or a snapshot stops for one of the exit, whose time is
//! limited.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How many exits want stacks right now.
static EXITS: AtomicUsize = AtomicUsize::new(0);

/// The limit of a capture.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "nothing is captured where there are no stacks")]
pub(super) struct Limit {
    until: Instant,
    is_for_exit: bool,
}

#[allow(dead_code, reason = "nothing is captured where there are no stacks")]
impl Limit {
    pub(super) fn of_exit(until: Instant) -> Self {
        Self {
            until,
            is_for_exit: true,
        }
    }

    pub(super) fn of_others(until: Instant) -> Self {
        Self {
            until,
            is_for_exit: false,
        }
    }

    pub(super) fn until(self) -> Instant {
        self.until
    }

    /// Whether the time is up, or an exit takes precedence.
    pub(super) fn is_over(self) -> bool {
        let gives_way = !self.is_for_exit && EXITS.load(Ordering::Relaxed) > 0;
        gives_way || Instant::now() >= self.until
    }

    /// Waits until `is_done`, or until the limit is over.
    pub(super) fn wait_until(self, is_done: impl Fn() -> bool) {
        const LONGEST_PAUSE: Duration = Duration::from_millis(2);
        let mut pause = Duration::from_micros(50);
        while !is_done() && !self.is_over() {
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The limit of a part, which may take at most `time`.
    pub(super) fn at_most(self, time: Duration) -> Self {
        let until = self.until.min(Instant::now() + time);
        Self { until, ..self }
    }

    /// If this is for an exit, other captures stop while the returned value is held.
    pub(super) fn take_precedence(self) -> Option<Precedence> {
        self.is_for_exit.then(|| {
            EXITS.fetch_add(1, Ordering::Relaxed);
            Precedence(())
        })
    }
}

pub(super) struct Precedence(());

impl Drop for Precedence {
    fn drop(&mut self) {
        EXITS.fetch_sub(1, Ordering::Relaxed);
    }
}
