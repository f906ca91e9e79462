//! The tree's locks and atomics: std's, or loom's in this crate's own tests under `--cfg loom`. Elsewhere
//! the locks are always std's.
//!
//! A build of the library never uses loom, so that loom can be a dev-dependency and stays out of the
//! lock files of dependents.

#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence},
};

#[cfg(all(test, loom))]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence},
};

use std::sync::{PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

/// One more than the number of quits in this process. Every poll reads it, so nothing else shares its cache
/// line.
#[cfg(not(all(test, loom)))]
pub(crate) fn quit_epoch() -> &'static AtomicU64 {
    static EPOCH: CachePadded<AtomicU64> = CachePadded::new(AtomicU64::new(1));
    &EPOCH
}

#[cfg(all(test, loom))]
pub(crate) fn quit_epoch() -> &'static CachePadded<AtomicU64> {
    loom::lazy_static! {
        static ref EPOCH: CachePadded<AtomicU64> = CachePadded::new(AtomicU64::new(1));
    }
    &EPOCH
}

/// Locks the mutex, even if it is poisoned.
///
/// No user code runs under a lock of this crate, so a poisoned lock guards nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks the mutex unless another thread holds it.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Like [`lock`], for std's mutex.
pub(crate) fn lock_std<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Like [`lock_std`], but waits for other threads for at most `at_most`.
pub(crate) fn lock_within<T>(
    mutex: &std::sync::Mutex<T>,
    at_most: Duration,
) -> Option<std::sync::MutexGuard<'_, T>> {
    const PAUSE: Duration = Duration::from_micros(200);
    let until = Instant::now() + at_most;
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
        }
    }
}

/// Waits for a notification, or until `until`, whichever comes first.
pub(crate) fn wait_until<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    until: Option<Instant>,
) -> MutexGuard<'a, T> {
    match until {
        None => condvar.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(until) => {
            let left = until.saturating_duration_since(Instant::now());
            let waited = condvar.wait_timeout(guard, left);
            waited.unwrap_or_else(PoisonError::into_inner).0
        }
    }
}
