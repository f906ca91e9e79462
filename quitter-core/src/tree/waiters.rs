//! The list of waiters for one thing. Each leaves it in constant time, by its key.

use std::num::NonZero;

use super::list::shrink;
use super::waiter::Waiter;

/// Finds a waiter in its list. A waiter that was taken is no longer found, even if its place is reused.
///
/// Kept small, as the entries are: there may be a million of both.
#[derive(Clone, Copy)]
pub(super) struct Key {
    place: Place,
    number: Number,
}

/// Finds a waiter in a list that gets no new waiters once others have been taken from it.
pub(super) type Place = NonZero<u32>;

/// Distinguishes waiters that use the same place one after the other. A number recurs after four thousand
/// million others, and a waiter that was taken looks again long before that.
type Number = NonZero<u32>;

struct Entry {
    number: Number,
    /// How many routines may be left when the waiter is woken: one, for a routine that waits for all but
    /// itself.
    spare: u32,
    waiter: Waiter,
}

/// The first waiter needs no allocation: a quitter for a connection typically has one.
#[derive(Default)]
pub(super) struct Waiters {
    first: Option<Entry>,
    others: Vec<Option<Entry>>,
    /// How many of the waiters are threads.
    threads: usize,
    /// The free places among the others.
    free: Vec<Place>,
    /// The number of the waiter that entered last.
    last: Option<Number>,
}

/// Waiters that were taken from their list.
#[derive(Default)]
pub(super) struct Crowd(Vec<Option<Entry>>);

impl Crowd {
    pub(super) fn for_each(self, mut f: impl FnMut(Waiter)) {
        for entry in self.0.into_iter().flatten() {
            f(entry.waiter);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiter> {
        self.0.iter().flatten().map(|entry| &entry.waiter)
    }

    /// An upper bound of the number of waiters.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The place of the first waiter. The others follow.
const FIRST: Place = Place::MIN;

/// The index among the others of the waiter at a place. `None`: it is the first waiter.
fn among_others(place: Place) -> Option<usize> {
    (place.get() as usize).checked_sub(2)
}

impl Key {
    pub(super) fn place(self) -> Place {
        self.place
    }
}

impl Waiters {
    pub(super) fn enter(&mut self, waiter: Waiter, spare: u32) -> Key {
        self.threads += usize::from(waiter.is_thread());
        let next = self.last.and_then(|last| last.checked_add(1));
        let number = *self.last.insert(next.unwrap_or(Number::MIN));
        let place = if self.first.is_none() {
            FIRST
        } else if let Some(place) = self.free.pop() {
            place
        } else {
            self.others.push(None);
            let place = u32::try_from(self.others.len()).ok();
            let place = place.and_then(|count| FIRST.checked_add(count));
            place.expect("so many do not fit into memory")
        };
        let there = match among_others(place) {
            None => &mut self.first,
            Some(at) => &mut self.others[at],
        };
        *there = Some(Entry {
            number,
            spare,
            waiter,
        });
        Key { place, number }
    }

    /// Removes a waiter, if it is in the list. The result has to be dropped after unlocking.
    pub(super) fn remove(&mut self, key: Key) -> Option<Waiter> {
        self.contains(key).then(|| self.remove_at(key.place))?
    }

    /// Like [`remove`](Self::remove), where no other waiter can have taken the place.
    pub(super) fn remove_at(&mut self, place: Place) -> Option<Waiter> {
        let removed = match among_others(place) {
            None => self.first.take(),
            Some(at) => self.take_other(at, place),
        };
        let removed = removed?.waiter;
        self.threads -= usize::from(removed.is_thread());
        Some(removed)
    }

    fn take_other(&mut self, at: usize, place: Place) -> Option<Entry> {
        let removed = Some(self.others.get_mut(at)?.take()?);
        self.free.push(place);
        if self.free.len() == self.others.len() {
            self.others.clear();
            self.free.clear();
            // The last of many waiters to leave frees their memory.
            shrink(&mut self.others);
            shrink(&mut self.free);
        }
        removed
    }

    pub(super) fn contains(&self, key: Key) -> bool {
        let there = match among_others(key.place) {
            None => self.first.as_ref(),
            Some(at) => self.others.get(at).and_then(Option::as_ref),
        };
        there.is_some_and(|there| there.number == key.number)
    }

    /// Moves all waiters out of the list, so that they can be woken after unlocking. If the others are all
    /// futures, they are returned as a block: there may be a million.
    pub(super) fn take_all(&mut self, mut to: impl FnMut(Waiter)) -> Crowd {
        if let Some(first) = self.first.take() {
            to(first.waiter);
        }
        let threads = std::mem::take(&mut self.threads);
        let mut others = Crowd(std::mem::take(&mut self.others));
        self.free = Vec::new();
        if threads > 0 {
            std::mem::take(&mut others).for_each(to);
        }
        others
    }

    /// Moves the waiters out of the list that are to be woken when `live` routines are left.
    pub(super) fn take_ready(&mut self, live: usize, mut to: impl FnMut(Waiter)) {
        let all = std::iter::once(&self.first).chain(&self.others);
        let wants = |entry: &Entry| live <= entry.spare as usize;
        let wanting = (FIRST.get()..).zip(all).filter_map(|(place, entry)| {
            entry.as_ref().filter(|entry| wants(entry))?;
            Place::new(place)
        });
        let wanting: Vec<Place> = wanting.collect();
        wanting
            .into_iter()
            .filter_map(|place| self.remove_at(place))
            .for_each(&mut to);
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len() - self.free.len()
    }

    /// A lower bound of the number of futures, each of which holds the node that it waits at.
    pub(super) fn some_futures(&self) -> usize {
        let first = self.first.as_ref().map(|entry| &entry.waiter);
        usize::from(matches!(first, Some(Waiter::Future(_))))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::task::Waker;

    use super::*;

    fn enter(list: &mut Waiters, spare: u32) -> Key {
        list.enter(Waiter::Future(Waker::noop().clone()), spare)
    }

    #[test]
    fn a_waiter_that_has_left_takes_nobody_along_who_has_its_place() {
        let mut list = Waiters::default();
        let keys = [0; 3].map(|spare| enter(&mut list, spare));
        for key in keys {
            assert!(list.remove(key).is_some());
        }
        let new = [0; 3].map(|spare| enter(&mut list, spare));
        for old in keys {
            assert!(list.remove(old).is_none());
        }
        assert_eq!(list.len(), 3);
        assert!(new.iter().all(|key| list.contains(*key)));
    }

    #[test]
    fn places_are_used_again_and_given_back_when_all_have_left() {
        let mut list = Waiters::default();
        let first = enter(&mut list, 0);
        for _ in 0..10_000 {
            let key = enter(&mut list, 0);
            list.remove(key);
        }
        assert!(list.others.capacity() < 100);
        let many: Vec<Key> = (0..10_000).map(|_| enter(&mut list, 0)).collect();
        for key in many {
            list.remove(key);
        }
        assert!(list.others.capacity() < 100 && list.free.capacity() < 100);
        list.remove(first);
        assert_eq!(list.len(), 0);
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_entry_is_small() {
        assert_eq!(
            (size_of::<Option<Entry>>(), size_of::<Option<Key>>()),
            (24, 8)
        );
    }

    #[test]
    fn those_that_want_to_know_that_so_many_are_left_are_taken_and_no_others() {
        let mut list = Waiters::default();
        let keys = [0, 1, 0, 1].map(|spare| enter(&mut list, spare));
        let mut taken = 0;
        list.take_ready(1, |_| taken += 1);
        assert_eq!(taken, 2);
        assert_eq!(
            keys.map(|key| list.contains(key)),
            [true, false, true, false]
        );
        let crowd = list.take_all(|_| taken += 1);
        crowd.for_each(|_| taken += 1);
        assert_eq!((taken, list.len()), (4, 0));
    }
}
