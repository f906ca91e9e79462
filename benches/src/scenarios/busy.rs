//! Threads start and end work in a loop; meanwhile, another thread asks whether any work is live.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quitter::Quitter;
use tokio_util::task::TaskTracker;

use crate::workload::Figures;

/// How long the asking thread goes on.
const SPAN: Duration = Duration::from_secs(3);

/// How long the asking thread sleeps between two questions. If it never slept, the busy threads would
/// preempt it in the middle of a question, which says nothing about the library.
const PAUSE: Duration = Duration::from_millis(1);

/// Guards of one shared quitter, and a wait that checks once.
pub fn quitter(threads: usize) -> Figures {
    let root = Quitter::root("root");
    let work = || drop(root.guard("routine").expect("not quitting"));
    let ask = || drop(black_box(root.wait_done(Duration::ZERO)));
    longest(threads, work, ask)
}

/// Tokens of one shared tracker, and a look at its count.
pub fn task_tracker(threads: usize) -> Figures {
    let tracker = TaskTracker::new();
    let work = || drop(tracker.token());
    let ask = || _ = black_box(tracker.is_empty());
    longest(threads, work, ask)
}

fn longest(threads: usize, work: impl Fn() + Sync, ask: impl Fn()) -> Figures {
    let start = Barrier::new(threads + 1);
    let over = AtomicBool::new(false);
    let mut longest = Duration::ZERO;
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                start.wait();
                while !over.load(Ordering::Relaxed) {
                    work();
                }
            });
        }
        start.wait();
        let until = Instant::now() + SPAN;
        while Instant::now() < until {
            let from = Instant::now();
            ask();
            longest = longest.max(from.elapsed());
            thread::sleep(PAUSE);
        }
        over.store(true, Ordering::Relaxed);
    });
    vec![("longest", longest.as_nanos() as f64)]
}
