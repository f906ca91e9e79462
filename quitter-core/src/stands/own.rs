//! Quitter's own threads, which are not waited for and run none of the program's code. A thread that calls
//! a function of the program is not quitter's own during the call.
//!
//! Some of these threads wake routines when something happens outside the program, such as the end of a child
//! process. While such a thread exists, a report must not say that nothing will wake a routine.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::slots::{FREE, Slots};
use crate::system;

/// The ids of the threads, each shifted left by one to make room for [`WAKES`]. Most processes need no more
/// slots than these. There are more if each child process has a thread that waits.
static OWN: Slots<16> = Slots::new();

/// Set for a thread that wakes routines.
const WAKES: u64 = 1;

/// The thread whose mark was removed last.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Marks its thread as quitter's own until it is dropped.
pub(crate) struct Own {
    value: u64,
    /// `None` while the program's code runs.
    slot: Option<&'static AtomicU64>,
}

/// Marks this thread as quitter's own: it only waits, or works for quitter.
pub(crate) fn mark() -> Own {
    Own::new(system::thread_id() << 1)
}

/// Marks this thread as quitter's own, and as one that wakes routines, or may call code that does.
pub(crate) fn mark_as_waking() -> Own {
    Own::new(system::thread_id() << 1 | WAKES)
}

/// Whether this is the id of one of quitter's own threads that wakes nobody.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "only Linux says what threads wait for")
)]
pub(crate) fn wakes_nobody(id: u64) -> bool {
    has(id << 1)
}

/// Whether this is the id of one of quitter's own threads, or of the last one, which may still be about to
/// end.
pub(crate) fn is_or_was_own(id: u64) -> bool {
    let value = id << 1;
    has(value) || has(value | WAKES) || LAST.load(Ordering::Relaxed) | WAKES == value | WAKES
}

fn has(value: u64) -> bool {
    OWN.iter().any(|slot| slot.load(Ordering::Relaxed) == value)
}

impl Own {
    fn new(value: u64) -> Self {
        let slot = Some(OWN.put(value));
        Self { value, slot }
    }

    /// Runs the program's code. During the call, the thread is not quitter's own.
    pub(crate) fn run_user_code<T>(&mut self, f: impl FnOnce() -> T) -> T {
        if let Some(slot) = self.slot.take() {
            slot.store(FREE, Ordering::Relaxed);
        }
        let result = system::accepting_signals(f);
        self.slot = Some(OWN.put(self.value));
        result
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            LAST.store(self.value, Ordering::Relaxed);
            slot.store(FREE, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_wakes_routines_is_own_but_not_one_that_wakes_nobody() {
        let id = system::thread_id();
        let own = mark_as_waking();
        assert!(is_or_was_own(id) && !wakes_nobody(id));
        drop(own);
        let own = mark();
        assert!(is_or_was_own(id) && wakes_nobody(id));
        drop(own);
        assert!(!wakes_nobody(id));
    }
}
