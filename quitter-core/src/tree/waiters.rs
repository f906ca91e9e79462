//! The list of those that wait for one thing. Each leaves it in constant time, by its key.

use super::list::shrink;
use super::waiter::Waiter;

/// Finds a waiter in its list. A waiter that was taken is found no more, whoever has its place.
#[derive(Clone, Copy)]
pub(super) struct Key {
    at: usize,
    number: u64,
}

struct Entry {
    number: u64,
    /// How many routines may be left when it is woken: one, for a routine that waits for all but
    /// itself.
    spare: usize,
    waiter: Waiter,
}

/// The first waiter takes no memory of the heap: a quitter for each connection has one.
#[derive(Default)]
pub(super) struct Waiters {
    first: Option<Entry>,
    others: Vec<Option<Entry>>,
    /// How many of all are threads.
    threads: usize,
    /// The places of others that have left.
    free: Vec<usize>,
    /// How many have ever entered.
    entered: u64,
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

    /// At most how many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The key's place of the first one. The others count from one.
const FIRST: usize = 0;

impl Waiters {
    pub(super) fn enter(&mut self, waiter: Waiter, spare: usize) -> Key {
        self.entered += 1;
        self.threads += usize::from(waiter.is_thread());
        let number = self.entered;
        let entry = Some(Entry {
            number,
            spare,
            waiter,
        });
        let at = if self.first.is_none() {
            self.first = entry;
            FIRST
        } else if let Some(at) = self.free.pop() {
            self.others[at - 1] = entry;
            at
        } else {
            self.others.push(entry);
            self.others.len()
        };
        Key { at, number }
    }

    /// Takes a waiter from the list, if it is in it. It is to be dropped after unlocking.
    pub(super) fn remove(&mut self, key: Key) -> Option<Waiter> {
        if !self.contains(key) {
            return None;
        }
        let removed = match key.at {
            FIRST => self.first.take(),
            at => self.take_other(at),
        };
        let removed = removed.map(|entry| entry.waiter);
        let is_thread = removed.as_ref().is_some_and(Waiter::is_thread);
        self.threads -= usize::from(is_thread);
        removed
    }

    fn take_other(&mut self, at: usize) -> Option<Entry> {
        let removed = self.others[at - 1].take();
        self.free.push(at);
        if self.free.len() == self.others.len() {
            self.others.clear();
            self.free.clear();
            // The last of many gives their memory back.
            shrink(&mut self.others);
            shrink(&mut self.free);
        }
        removed
    }

    pub(super) fn contains(&self, key: Key) -> bool {
        let there = match key.at {
            FIRST => self.first.as_ref(),
            at => self.others.get(at - 1).and_then(Option::as_ref),
        };
        there.is_some_and(|there| there.number == key.number)
    }

    /// Moves all waiters out of the list, to where they can be woken after unlocking. Futures that are
    /// among themselves are returned as they are: there may be a million.
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

    /// Moves those out of the list that want to know that `live` routines are left.
    pub(super) fn take_wanting(&mut self, live: usize, mut to: impl FnMut(Waiter)) {
        let first = self.first.as_ref().map(|entry| (FIRST, entry));
        let others = self.others.iter().enumerate();
        let others = others.filter_map(|(at, entry)| Some((at + 1, entry.as_ref()?)));
        let wanting = first.into_iter().chain(others);
        let wanting = wanting.filter(|(_, entry)| live <= entry.spare);
        let number_of = |(at, entry): (usize, &Entry)| Key {
            at,
            number: entry.number,
        };
        let keys: Vec<Key> = wanting.map(number_of).collect();
        keys.into_iter()
            .filter_map(|key| self.remove(key))
            .for_each(&mut to);
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len() - self.free.len()
    }

    /// Some of the futures, each of which holds the node that it waits at: not more than there are.
    pub(super) fn some_futures(&self) -> usize {
        let first = self.first.as_ref().map(|entry| &entry.waiter);
        usize::from(matches!(first, Some(Waiter::Future(_))))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::task::Waker;

    use super::*;

    fn enter(list: &mut Waiters, spare: usize) -> Key {
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
    fn those_that_want_to_know_that_so_many_are_left_are_taken_and_no_others() {
        let mut list = Waiters::default();
        let keys = [0, 1, 0, 1].map(|spare| enter(&mut list, spare));
        let mut taken = 0;
        list.take_wanting(1, |_| taken += 1);
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
