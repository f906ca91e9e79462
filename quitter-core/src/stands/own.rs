//! Quitter's own threads, which are not waited for and run no code of the program's.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::system;

/// A process has one of each kind, and one for each exit. Should there be more, a report does not find
/// that everyone waits.
static OWN: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

/// The one that was marked until last.
static LAST: AtomicU64 = AtomicU64::new(0);

/// This thread is quitter's own until this is dropped.
pub(crate) struct Own(Option<&'static AtomicU64>);

/// Makes this thread one of quitter's own: it only waits, or works for quitter.
pub(crate) fn mark() -> Own {
    let id = system::thread_id();
    let free = |slot: &&AtomicU64| {
        let taken = slot.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed);
        taken.is_ok()
    };
    Own(OWN.iter().find(free))
}

/// Whether this is the number of one of them.
pub(crate) fn is_own(id: u64) -> bool {
    OWN.iter().any(|slot| slot.load(Ordering::Relaxed) == id)
}

/// Whether this is the number of one of them, or of the last one, which may still be about to end.
pub(crate) fn is_or_was_own(id: u64) -> bool {
    is_own(id) || LAST.load(Ordering::Relaxed) == id
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            LAST.store(slot.load(Ordering::Relaxed), Ordering::Relaxed);
            slot.store(0, Ordering::Relaxed);
        }
    }
}
