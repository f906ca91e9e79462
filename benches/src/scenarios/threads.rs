//! Many threads that block, are told to quit, and return.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::crew::{Blocks, Crew, StdCondvar};
use crate::muster::Muster;
use crate::workload::Figures;

/// Threads of a crew.
pub fn run<C: Crew>(n: usize) -> Figures {
    let muster = Arc::new(Muster::new(n));
    let mut crew = C::new();
    for _ in 0..n {
        let muster = Arc::clone(&muster);
        crew.fork(move |wait| muster.block(wait));
    }
    muster.wait_until_all_block();
    let from = Instant::now();
    crew.tell();
    let told = Instant::now();
    crew.wait();
    figures(&muster, from, told)
}

/// Threads of a scope, which blocks until all of them have ended.
pub fn scope(n: usize) -> Figures {
    let muster = Muster::new(n);
    let condvar = StdCondvar::new();
    let (from, told) = thread::scope(|scope| {
        for _ in 0..n {
            scope.spawn(|| muster.block(|| condvar.wait()));
        }
        muster.wait_until_all_block();
        let from = Instant::now();
        condvar.tell();
        (from, Instant::now())
    });
    figures(&muster, from, told)
}

/// How long the quit held up its caller, how long until the last thread returned from its blocking call, and how
/// long until the wait for all threads returned.
fn figures(muster: &Muster, from: Instant, told: Instant) -> Figures {
    let done = from.elapsed();
    vec![
        ("call", (told - from).as_nanos() as f64),
        ("last", muster.last_return(from)),
        ("done", done.as_nanos() as f64),
    ]
}
