//! A list in which each item knows its place, so that it leaves in constant time.

use std::sync::Arc;

use crate::sync::Ordering;

/// An item's place in its list. It is only used under the list's lock, so std's atomics will do under
/// loom, too.
#[derive(Debug)]
pub(crate) struct Slot(std::sync::atomic::AtomicUsize);

/// The place of an item that is in no list.
const OUT: usize = usize::MAX;

impl Default for Slot {
    fn default() -> Self {
        Self(OUT.into())
    }
}

impl Slot {
    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, at: usize) {
        self.0.store(at, Ordering::Relaxed);
    }

    fn clear(&self) {
        self.set(OUT);
    }
}

/// An item of a [`List`]. It is in one list at a time.
pub(crate) trait Item {
    fn slot(&self) -> &Slot;
}

pub(super) struct List<T>(Vec<Arc<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Item> List<T> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.0.iter()
    }

    /// Adds an item, unless it is in the list.
    #[inline]
    pub(super) fn push(&mut self, item: Arc<T>) {
        if item.slot().get() == OUT {
            item.slot().set(self.0.len());
            self.0.push(item);
        }
    }

    pub(super) fn contains(&self, item: &T) -> bool {
        let there = self.0.get(item.slot().get());
        there.is_some_and(|there| std::ptr::eq(&**there, item))
    }

    /// Takes an item from the list, if it is in it.
    #[inline]
    pub(super) fn remove(&mut self, item: &T) -> Option<Arc<T>> {
        let at = item.slot().get();
        if at == OUT {
            return None;
        }
        let removed = self.0.swap_remove(at);
        removed.slot().clear();
        if let Some(moved) = self.0.get(at) {
            moved.slot().set(at);
        }
        shrink(&mut self.0);
        Some(removed)
    }

    /// Moves all items to `to`.
    pub(super) fn take_all(&mut self, to: &mut Vec<Arc<T>>) {
        let mut taken = std::mem::take(&mut self.0);
        for item in &taken {
            item.slot().clear();
        }
        match to.is_empty() {
            true => *to = taken,
            false => to.append(&mut taken),
        }
    }
}

/// Gives memory back once three quarters of a list have left. Those that left pay for the move.
pub(super) fn shrink<T>(list: &mut Vec<T>) {
    const KEPT: usize = 64;
    if list.capacity() > KEPT && list.len() < list.capacity() / 4 {
        list.shrink_to(list.len() * 2);
    }
}
