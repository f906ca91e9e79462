//! Futures that wait for the tree, and futures that are routines: polled by hand, and on executors.

#![cfg(not(loom))]

mod at_the_deadline;
mod cancel_on_quit;
#[path = "../common/mod.rs"]
mod common;
mod executors;
mod on_every_executor;
mod on_quit;
mod polled_by_hand;
mod tracked;
mod waits;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use quitter_core::{
    FailureKind, OnFailure, QuitCause, Quitter, Quitting, RoutineKind, RoutineQuitter, RoutineState,
};

use common::waits::{asleep_in, eventually};
use common::{Event, PATIENCE, SHORT, Told, Wakes, deaf, in_time, names, only, telling};

include!("../common/bomb.rs");

/// Polls a future once, with a waker that does nothing.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The failure so far, which must be the only one.
#[track_caller]
fn failure(quitter: &Quitter) -> quitter_core::RoutineFailure {
    let failures = quitter.failures();
    assert_eq!(failures.len(), 1, "{failures:?}");
    failures[0].clone()
}
