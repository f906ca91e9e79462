//! Futures that know the tree, and futures that are routines: polled by hand, and on executors.

#![cfg(not(loom))]

mod at_the_deadline;
mod cancel_on_quit;
#[path = "../common/mod.rs"]
mod common;
mod executors;
mod on_every_executor;
mod on_quit;
mod polled_by_hand;
mod waits;

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use quitter_core::{
    FailureKind, OnFailure, QuitCause, Quitter, Quitting, RoutineKind, RoutineQuitter, Timeouts,
};

use common::{Event, PATIENCE, SHORT, deaf, eventually, fall_asleep, in_time, names};

/// Polls a future once, for nobody.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Sets off the event when it is dropped.
struct Told(Event);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

/// The only listed routine.
#[track_caller]
fn only(timeouts: &Timeouts) -> &quitter_core::StuckRoutine {
    assert_eq!(timeouts.len(), 1, "{timeouts}");
    timeouts.routines().next().unwrap()
}

/// The only failure so far.
#[track_caller]
fn failure(quitter: &Quitter) -> quitter_core::RoutineFailure {
    let failures = quitter.failures();
    assert_eq!(failures.len(), 1, "{failures:?}");
    failures[0].clone()
}
