//! The locks and atomics of the tree: std's, or loom's when the interleavings are explored.

#[cfg(not(loom))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use std::sync::PoisonError;

use crossbeam_utils::CachePadded;

/// How many quits there were in this process. Every poll reads it: nothing else shares its line.
#[cfg(not(loom))]
pub(crate) fn told() -> &'static AtomicU64 {
    static TOLD: CachePadded<AtomicU64> = CachePadded::new(AtomicU64::new(0));
    &TOLD
}

#[cfg(loom)]
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
