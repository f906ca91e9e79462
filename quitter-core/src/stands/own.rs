//! Quitter's own threads, which are not waited for and run no code of the program's. One that calls a
//! function of the program is quitter's own except during the call.
//!
//! Some wake routines when something happens outside of the program, such as the end of a child process.
//! While there is one of these, it is not true that nothing will wake anybody.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::system;

/// Most processes need no second block. There are more where each child process has a thread that waits.
static OWN: Block = Block::new();

/// Room for the numbers of some threads, each shifted by one to make room for [`WAKES`]. A list without
/// a lock, since reports read it.
struct Block {
    slots: [AtomicU64; 16],
    next: OnceLock<Box<Block>>,
}

/// It wakes routines.
const WAKES: u64 = 1;

/// The one that was marked until last.
static LAST: AtomicU64 = AtomicU64::new(0);

/// This thread is quitter's own until this is dropped.
pub(crate) struct Own {
    value: u64,
    /// `None`: code of the program's runs.
    slot: Option<&'static AtomicU64>,
}

/// Makes this thread one of quitter's own: it only waits, or works for quitter.
pub(crate) fn mark() -> Own {
    Own::new(system::thread_id() << 1)
}

/// Makes this thread one of quitter's own that wakes routines, or may call code that does.
pub(crate) fn mark_as_waking() -> Own {
    Own::new(system::thread_id() << 1 | WAKES)
}

fn take(value: u64) -> &'static AtomicU64 {
    let free = |slot: &&AtomicU64| {
        let taken = slot.compare_exchange(0, value, Ordering::Relaxed, Ordering::Relaxed);
        taken.is_ok()
    };
    let mut block = &OWN;
    loop {
        if let Some(slot) = block.slots.iter().find(free) {
            return slot;
        }
        block = block.next.get_or_init(|| Box::new(Block::new()));
    }
}

impl Block {
    const fn new() -> Self {
        Self {
            slots: [const { AtomicU64::new(0) }; 16],
            next: OnceLock::new(),
        }
    }
}

/// Whether this is the number of one of them that wakes nobody.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "only Linux says what threads wait for")
)]
pub(crate) fn wakes_nobody(id: u64) -> bool {
    has(id << 1)
}

/// Whether this is the number of one of them, or of the last one, which may still be about to end.
pub(crate) fn is_or_was_own(id: u64) -> bool {
    let value = id << 1;
    has(value) || has(value | WAKES) || LAST.load(Ordering::Relaxed) | WAKES == value | WAKES
}

fn has(value: u64) -> bool {
    let mut blocks =
        std::iter::successors(Some(&OWN), |block| block.next.get().map(|next| &**next));
    blocks.any(|block| {
        let mut slots = block.slots.iter();
        slots.any(|slot| slot.load(Ordering::Relaxed) == value)
    })
}

impl Own {
    fn new(value: u64) -> Self {
        let slot = Some(take(value));
        Self { value, slot }
    }

    /// Runs code of the program's. The thread is not quitter's own meanwhile.
    pub(crate) fn lend<T>(&mut self, f: impl FnOnce() -> T) -> T {
        if let Some(slot) = self.slot.take() {
            slot.store(0, Ordering::Relaxed);
        }
        let result = f();
        self.slot = Some(take(self.value));
        result
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            LAST.store(self.value, Ordering::Relaxed);
            slot.store(0, Ordering::Relaxed);
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

    #[test]
    fn there_is_room_for_more_than_a_block() {
        let marks: Vec<_> = (0..100).map(|n| Own::new((u64::MAX >> 1) - n)).collect();
        assert!((0..100).all(|n| has((u64::MAX >> 1) - n)));
        drop(marks);
        assert!((0..100).all(|n| !has((u64::MAX >> 1) - n)));
    }
}
