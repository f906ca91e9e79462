//! A list in which each item knows its place, so that removal takes constant time.

use std::sync::Arc;

use crate::sync::Ordering;

/// An item's place in its list. It is only used under the list's lock, so std's atomics are good enough
/// even under loom.
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
    /// An item's slot is its index here. `None`: removed for good.
    places: Vec<Option<Arc<T>>>,
    /// How many places are empty.
    holes: usize,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            holes: 0,
        }
    }
}

impl<T: Item> List<T> {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.holes
    }

    pub(super) fn is_empty(&self) -> bool {
        // The last place is never empty.
        self.places.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.places.iter().flatten()
    }

    /// Adds an item, unless it is in a list.
    #[inline]
    pub(super) fn push(&mut self, item: Arc<T>) {
        if item.slot().get() == OUT {
            item.slot().set(self.places.len());
            self.places.push(Some(item));
        }
    }

    pub(super) fn contains(&self, item: &T) -> bool {
        let there = self.places.get(item.slot().get());
        there.is_some_and(|there| {
            there
                .as_deref()
                .is_some_and(|there| std::ptr::eq(there, item))
        })
    }

    /// Removes an item, if it is in the list. The last item takes its place.
    #[inline]
    pub(super) fn remove(&mut self, item: &T) -> Option<Arc<T>> {
        let at = item.slot().get();
        if at == OUT {
            return None;
        }
        let removed = self.places.swap_remove(at);
        // The last place is never empty.
        if let Some(Some(moved)) = self.places.get(at) {
            moved.slot().set(at);
        }
        self.tidy();
        removed.inspect(|removed| removed.slot().clear())
    }

    /// Removes an item, if it is in the list, and leaves its place empty. For a list to which hardly
    /// anything is added any more: when many items leave, none has to touch another one, which would be a
    /// cache miss.
    pub(super) fn remove_for_good(&mut self, item: &T) -> Option<Arc<T>> {
        let removed = self.places.get_mut(item.slot().get())?.take()?;
        removed.slot().clear();
        self.holes += 1;
        self.tidy();
        Some(removed)
    }

    /// Removes empty places at the end.
    #[inline]
    fn tidy(&mut self) {
        while self.holes > 0 && self.places.pop_if(|last| last.is_none()).is_some() {
            self.holes -= 1;
        }
        shrink(&mut self.places);
    }

    /// Moves all items to `to`.
    pub(super) fn take_all(&mut self, to: &mut Vec<Arc<T>>) {
        let taken = std::mem::take(self);
        let taken = taken.places.into_iter().flatten();
        to.extend(taken.inspect(|item| item.slot().clear()));
    }
}

/// Frees memory once three quarters of a list have left, so that the cost of the move is spread over them.
pub(super) fn shrink<T>(list: &mut Vec<T>) {
    const KEPT: usize = 64;
    if list.capacity() > KEPT && list.len() < list.capacity() / 4 {
        list.shrink_to(list.len() * 2);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Number(u32, Slot);

    impl Item for Number {
        fn slot(&self) -> &Slot {
            &self.1
        }
    }

    fn listed(list: &List<Number>) -> Vec<u32> {
        let numbers: Vec<u32> = list.iter().map(|number| number.0).collect();
        assert_eq!(
            (numbers.len(), numbers.is_empty()),
            (list.len(), list.is_empty())
        );
        numbers
    }

    #[test]
    fn those_that_leave_for_good_leave_holes_that_nobody_sees() {
        let mut list = List::default();
        let numbers: Vec<_> = (0..6)
            .map(|n| Arc::new(Number(n, Slot::default())))
            .collect();
        numbers
            .iter()
            .for_each(|number| list.push(Arc::clone(number)));
        assert!(list.remove(&numbers[1]).is_some());
        assert_eq!(listed(&list), [0, 5, 2, 3, 4]);
        for gone in [5, 0] {
            assert!(list.remove_for_good(&numbers[gone]).is_some());
            assert!(list.remove_for_good(&numbers[gone]).is_none());
            assert!(!list.contains(&numbers[gone]));
        }
        assert_eq!(listed(&list), [2, 3, 4]);
        list.push(Arc::clone(&numbers[0]));
        assert_eq!(listed(&list), [2, 3, 4, 0]);
        // The last item fills the place, and holes at the end are removed.
        for gone in [2, 0, 4] {
            assert!(list.remove(&numbers[gone]).is_some());
        }
        assert_eq!(listed(&list), [3]);
        assert!(list.contains(&numbers[3]));
        assert!(list.remove_for_good(&numbers[3]).is_some());
        assert!(listed(&list).is_empty() && list.places.is_empty() && list.holes == 0);
    }
}
