//! The longest poll by another thread while a large tree quits.
//!
//! Measured by the wall clock and not by CPU time, because a thread that waits for a lock uses no CPU time.
//! The system counts separately how often it preempted a thread. Polls during which that happened say
//! nothing about the library, and are left out.

use std::hint::black_box;
use std::mem;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use quitter::Quitter;

use super::quit::tree_of_tens;
use crate::flags::Tree;
use crate::workload::Figures;

/// A thread polls the root, and then, in a new tree, a leaf.
pub fn run<T: Tree>(n: usize) -> Figures {
    let root = measure::<T>(n, |_| 0, |root| root.tell());
    let leaf = measure::<T>(n, |len| len - 1, |root| root.tell());
    figures(root, leaf)
}

/// The floor: the same loop, for as long as a quit by tokio-util takes, while nothing quits.
pub fn run_quiet(n: usize) -> Figures {
    let quiet = |_: &Quitter| thread::sleep(Duration::from_millis(30));
    let root = measure::<Quitter>(n, |_| 0, quiet);
    let leaf = measure::<Quitter>(n, |len| len - 1, quiet);
    figures(root, leaf)
}

fn figures(root: Polls, leaf: Polls) -> Figures {
    vec![
        ("root longest", root.longest),
        ("root 95 %", root.quantile(0.95)),
        ("leaf longest", leaf.longest),
        ("leaf 95 %", leaf.quantile(0.95)),
    ]
}

fn measure<T: Tree>(n: usize, which: impl Fn(usize) -> usize, quit: impl FnOnce(&T)) -> Polls {
    let nodes = tree_of_tens::<T>(n);
    let polled = &nodes[which(nodes.len())];
    let start = Barrier::new(2);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let poller = scope.spawn(|| {
            start.wait();
            poll_until(&over, || _ = black_box(polled.is_told()))
        });
        start.wait();
        quit(&nodes[0]);
        over.store(true, Ordering::Relaxed);
        poller.join().expect("it does not panic")
    })
}

/// Calls `poll` until it is over.
pub(super) fn poll_until(over: &AtomicBool, poll: impl Fn()) -> Polls {
    let mut polls = Polls::default();
    let mut switches = involuntary_switches();
    let mut from = Instant::now();
    while !over.load(Ordering::Relaxed) {
        poll();
        let until = Instant::now();
        let took = until - from;
        from = until;
        // Reading the count costs more than a poll, so this only reads it after long polls.
        if took >= LONG {
            let before = mem::replace(&mut switches, involuntary_switches());
            from = Instant::now();
            if switches != before {
                continue;
            }
        }
        polls.add(took);
    }
    polls
}

const LONG: Duration = Duration::from_micros(1);

/// How often this thread was preempted.
fn involuntary_switches() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("Linux");
    usage.involuntary_context_switches()
}

/// The durations of polls, each with one reading of the clock.
pub(super) struct Polls {
    /// The nanoseconds spent in polls of each length, in steps of 8 ns. The last step has all longer polls.
    spent: Vec<u64>,
    longest: f64,
}

const STEP: u64 = 8;

impl Default for Polls {
    fn default() -> Self {
        Self {
            spent: vec![0; 4096],
            longest: 0.0,
        }
    }
}

impl Polls {
    /// The nanoseconds of the longest poll.
    pub(super) fn longest(&self) -> f64 {
        self.longest
    }

    fn add(&mut self, took: Duration) {
        let took = took.as_nanos() as u64;
        let last = self.spent.len() - 1;
        self.spent[last.min((took / STEP) as usize)] += took;
        self.longest = self.longest.max(took as f64);
    }

    /// The length of poll that this part of all moments does not exceed. It counts moments and not polls, because
    /// one poll of ten milliseconds would be lost among millions of short ones.
    fn quantile(&self, part: f64) -> f64 {
        let all: u64 = self.spent.iter().sum();
        let mut left = (all as f64 * part) as u64;
        for (step, spent) in (1..).zip(&self.spent) {
            if left < *spent && step < self.spent.len() as u64 {
                return (step * STEP) as f64;
            }
            left = left.saturating_sub(*spent);
        }
        self.longest
    }
}
