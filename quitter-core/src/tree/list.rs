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

pub(super) struct List<T> {
    /// An item's slot is its place here. `None`: one has left for good.
    places: Vec<Option<Arc<T>>>,
    len: usize,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            len: 0,
        }
    }
}

impl<T: Item> List<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.places.iter().flatten()
    }

    /// Adds an item, unless it is in the list.
    #[inline]
    pub(super) fn push(&mut self, item: Arc<T>) {
        if item.slot().get() == OUT {
            item.slot().set(self.places.len());
            self.places.push(Some(item));
            self.len += 1;
        }
    }

    pub(super) fn contains(&self, item: &T) -> bool {
        let there = self.places.get(item.slot().get());
        there.is_some_and(|there| {
            there
                .as_ref()
                .is_some_and(|there| std::ptr::eq(&**there, item))
        })
    }

    /// Takes an item from the list, if it is in it. The last one gets its place.
    #[inline]
    pub(super) fn remove(&mut self, item: &T) -> Option<Arc<T>> {
        let at = item.slot().get();
        if at == OUT {
            return None;
        }
        let removed = self.places.swap_remove(at);
        if let Some(Some(moved)) = self.places.get(at) {
            moved.slot().set(at);
        }
        self.removed(removed)
    }

    /// Takes an item from the list, if it is in it, and leaves its place empty. For a list to which hardly
    /// anything is added any more: of a crowd that leaves, nobody has to look up another, which is in no
    /// cache.
    pub(super) fn remove_for_good(&mut self, item: &T) -> Option<Arc<T>> {
        let removed = self.places.get_mut(item.slot().get())?.take();
        while let Some(None) = self.places.last() {
            self.places.pop();
        }
        self.removed(removed)
    }

    #[inline]
    fn removed(&mut self, removed: Option<Arc<T>>) -> Option<Arc<T>> {
        let removed = removed?;
        removed.slot().clear();
        self.len -= 1;
        shrink(&mut self.places);
        Some(removed)
    }

    /// Moves all items to `to`.
    pub(super) fn take_all(&mut self, to: &mut Vec<Arc<T>>) {
        let taken = std::mem::take(self);
        let taken = taken.places.into_iter().flatten();
        to.extend(taken.inspect(|item| item.slot().clear()));
    }
}

/// Gives memory back once three quarters of a list have left. Those that left pay for the move.
pub(super) fn shrink<T>(list: &mut Vec<T>) {
    const KEPT: usize = 64;
    if list.capacity() > KEPT && list.len() < list.capacity() / 4 {
        list.shrink_to(list.len() * 2);
    }
}
