//! The tree's locks and atomics: std's, or loom's in this crate's own tests under `--cfg loom`.
//!
//! A build of the library never uses loom, so that loom can be a dev-dependency and stays out of the
//! lock files of dependents.

#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

#[cfg(all(test, loom))]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use std::sync::PoisonError;

use crossbeam_utils::CachePadded;

/// How many quits there were in this process. Every poll reads it: nothing else shares its line.
#[cfg(not(all(test, loom)))]
pub(crate) fn told() -> &'static AtomicU64 {
    static TOLD: CachePadded<AtomicU64> = CachePadded::new(AtomicU64::new(0));
    &TOLD
}

#[cfg(all(test, loom))]
pub(crate) fn told() -> &'static CachePadded<AtomicU64> {
    loom::lazy_static! {
        static ref TOLD: CachePadded<AtomicU64> = CachePadded::new(AtomicU64::new(0));
    }
    &TOLD
}

/// Locks, whether or not a thread panicked while it held the lock.
///
/// No code of a user runs under a lock of this crate, so a poisoned lock guards nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
