//! Threads that are started, do nothing, and are waited for, one batch after the other.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::sync::WaitGroup;
use quitter::Quitter;

use crate::workload::Figures;

/// The number of batches in one process.
const BATCHES: usize = 10;

/// Routines, and a wait for all.
pub fn routines(n: usize) -> Figures {
    let quitter = Quitter::root("root");
    per_thread(n, || {
        for _ in 0..n {
            quitter.add_routine(|_| {}).expect("a thread");
        }
        quitter.wait_done(Duration::MAX).expect("no limit");
    })
}

/// A scope, which counts its threads and joins none.
pub fn scope(n: usize) -> Figures {
    per_thread(n, || {
        thread::scope(|scope| {
            for _ in 0..n {
                scope.spawn(|| {});
            }
        });
    })
}

/// Threads that are counted by hand.
pub fn wait_group(n: usize) -> Figures {
    per_thread(n, || {
        let group = WaitGroup::new();
        for _ in 0..n {
            let counted = group.clone();
            thread::spawn(move || drop(counted));
        }
        group.wait();
    })
}

/// Threads that are joined.
pub fn join(n: usize) -> Figures {
    per_thread(n, || {
        let threads: Vec<_> = (0..n).map(|_| thread::spawn(|| {})).collect();
        for thread in threads {
            thread.join().expect("it does not panic");
        }
    })
}

fn per_thread(n: usize, batch: impl Fn()) -> Figures {
    let from = Instant::now();
    for _ in 0..BATCHES {
        batch();
    }
    let elapsed = from.elapsed().as_nanos() as f64;
    vec![("routine", elapsed / (BATCHES * n) as f64)]
}
