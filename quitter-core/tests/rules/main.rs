//! The rules that users rely on, tested through the public interface on trees without a main quitter:
//! rules 1 to 5, 7, 9 and 10. `depth.rs` tests rule 8, and `memory.rs` memory. The main quitter has files of
//! its own.

mod a_thread_that_the_system_refuses;
#[path = "../common/mod.rs"]
mod common;
mod crowds;
mod handles;
mod names_of_routines;
mod reports;
mod rule_10_a_failure_is_never_silent;
mod rule_10_failures_by_quitter;
mod rule_1_recorded_or_refused;
mod rule_2_quit_reaches_everyone_at_once;
mod rule_3_a_quit_never_goes_up;
mod rule_4_waiting_is_exact;
mod rule_5_one_deadline;
mod rule_7_finished_leaves_nothing;
mod rule_9_no_wake_is_lost;
mod ticks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use quitter_core::{
    AddRoutineError, FailureKind, FailuresWhileQuitting, OnFailure, QuitCause, Quitter, Quitting,
    RoutineGuard, RoutineKind, RoutineQuitter, RoutineState,
};

use common::waits::{Waiter, asleep_in, eventually};
use common::{Event, PATIENCE, SHORT, Told, Wakes, deaf, ids, in_time, names, only, paths};

include!("../common/bomb.rs");

/// More attempts than a thread can make before a quit under way takes effect.
const FOR_EVER: usize = 200_000;

/// An error with a source, as applications define them.
#[derive(Debug)]
struct Wrapped<E>(&'static str, E);

impl<E> std::fmt::Display for Wrapped<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Wrapped<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.1)
    }
}
