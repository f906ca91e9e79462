//! The longest time to start a routine, on threads that start and end routines in a loop while another thread
//! takes snapshots of their tree.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quitter::Quitter;

use super::slow_poll::poll_until;
use crate::workload::Figures;

/// How many snapshots are taken.
const SNAPSHOTS: u32 = 20;

/// The time between two snapshots.
const PAUSE: Duration = Duration::from_millis(10);

/// Takes snapshots of a quitter with `n` routines, while others start there.
pub fn run(n: usize) -> Figures {
    measure(n, |root| drop(black_box(root.snapshot())))
}

/// The floor: the same threads, without snapshots.
pub fn run_quiet(n: usize) -> Figures {
    measure(n, |_| ())
}

fn measure(n: usize, look: impl Fn(&Quitter)) -> Figures {
    let threads = thread::available_parallelism().map_or(1, |cores| cores.get() - 1);
    let threads = threads.clamp(1, 4);
    let root = Quitter::root("root");
    let start = Barrier::new(threads + 1);
    let over = AtomicBool::new(false);
    let guard = || root.guard("routine").expect("not quitting");
    let mut looked = Duration::ZERO;
    let longest = thread::scope(|scope| {
        let starters: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    // The same threads make the routines that stay, so these are in the same lists.
                    let steady: Vec<_> = (0..n / threads).map(|_| guard()).collect();
                    start.wait();
                    let polls = poll_until(&over, || drop(guard()));
                    start.wait();
                    drop(steady);
                    polls.longest()
                })
            })
            .collect();
        start.wait();
        for _ in 0..SNAPSHOTS {
            thread::sleep(PAUSE);
            let from = Instant::now();
            look(&root);
            looked += from.elapsed();
        }
        over.store(true, Ordering::Relaxed);
        start.wait();
        let longest = starters.into_iter().map(|starter| starter.join());
        longest
            .map(|longest| longest.expect("it does not panic"))
            .fold(0.0, f64::max)
    });
    let snapshot = (looked / SNAPSHOTS).as_nanos() as f64;
    vec![("longest start", longest), ("snapshot", snapshot)]
}
