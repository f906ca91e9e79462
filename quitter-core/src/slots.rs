//! A list of words that takes no lock: reports read it, and so does code that is about to end the process.

use std::iter::successors;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The value of a free slot.
pub(crate) const FREE: u64 = 0;

/// A block of slots, and the next block. Blocks are never freed: there are as many slots as there were words
/// at one time.
pub(crate) struct Slots<const N: usize> {
    slots: [AtomicU64; N],
    next: OnceLock<Box<Self>>,
}

impl<const N: usize> Slots<N> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: [const { AtomicU64::new(FREE) }; N],
            next: OnceLock::new(),
        }
    }

    /// Puts a word into a free slot. The slot is free again once [`FREE`] is stored in it.
    pub(crate) fn put(&self, word: u64) -> &AtomicU64 {
        let takes = |slot: &&AtomicU64| {
            let order = Ordering::SeqCst;
            let is_free = slot.load(Ordering::Relaxed) == FREE;
            is_free && slot.compare_exchange(FREE, word, order, order).is_ok()
        };
        let mut block = self;
        loop {
            if let Some(slot) = block.slots.iter().find(takes) {
                return slot;
            }
            block = block.next.get_or_init(|| Box::new(Self::new()));
        }
    }

    /// All slots, including the free ones.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AtomicU64> {
        let blocks = successors(Some(self), |block| block.next.get().map(|next| &**next));
        blocks.flat_map(|block| &block.slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_more_than_a_block_and_free_slots_are_used_again() {
        let slots = Slots::<16>::new();
        let words = || {
            let words = slots.iter().map(|slot| slot.load(Ordering::Relaxed));
            words.filter(|word| *word != FREE).collect::<Vec<_>>()
        };
        let put: Vec<_> = (1..=100).map(|word| slots.put(word)).collect();
        assert_eq!(words(), (1..=100).collect::<Vec<_>>());
        put[3].store(FREE, Ordering::Relaxed);
        assert!(std::ptr::eq(slots.put(101), put[3]));
        put.iter()
            .for_each(|slot| slot.store(FREE, Ordering::Relaxed));
        assert_eq!(words(), []);
    }
}
