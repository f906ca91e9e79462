//! Routines inside the panic hooks: a hook that does not return must not hide a panic.
//!
//! std calls the panic hook before it unwinds. The hook writes to stderr, which may be a full pipe,
//! and a hook of the user's may do anything. Until it returns, nobody can know whether the routine
//! would catch the panic: a slow hook and one that never returns look the same. So time decides.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::process::Process;

/// How long the panic hooks of a routine may take before the panic counts as the routine's failure.
///
/// A failure cannot be taken back once the program quits for it, and a routine that catches its
/// panic has not failed. So this is longer than hooks take that return at all: those that write a
/// backtrace or send a crash report. Not for ever, or a program whose stderr is stuck would live
/// on without the routine and nobody would know.
const HOOKS_RETURN: Duration = Duration::from_secs(8);

fn held_up() -> MutexGuard<'static, HeldUp> {
    let held_up = Process::current().held_up.lock();
    held_up.unwrap_or_else(PoisonError::into_inner)
}

type Fail = Box<dyn FnOnce() + Send>;
type Tell = Arc<dyn Fn(Instant) + Send + Sync>;

/// The panics that are in the hooks.
pub(crate) struct HeldUp {
    /// Tells the watcher when to look. `None`: there is no watcher.
    watcher: Option<Tell>,
    /// The watcher is going to look.
    is_watched: bool,
    /// The panics that are in the hooks right now, each at its place, and places that are free. So whoever
    /// leaves a crowd does not move it.
    panics: Vec<Option<Panicking>>,
    free: Vec<usize>,
    entered: u64,
}

struct Panicking {
    /// Those that came later have greater ones.
    number: u64,
    due: Instant,
    /// Records the failure, and quits.
    fail: Fail,
}

/// Finds a panic in the list.
struct Key {
    place: usize,
    /// Tells it apart from others that had the place before, or have it now.
    number: u64,
}

impl HeldUp {
    pub(crate) const fn new() -> Self {
        Self {
            watcher: None,
            is_watched: false,
            panics: Vec::new(),
            free: Vec::new(),
            entered: 0,
        }
    }

    /// Returns where the panic is, and who is to be told when it is due. `None`: nobody watches.
    fn enter(&mut self, due: Instant, fail: Fail) -> Option<(Key, Option<Tell>)> {
        let watcher = self.watcher.as_ref()?;
        // Once for all panics until the watcher has looked.
        let is_watched = std::mem::replace(&mut self.is_watched, true);
        let tell = (!is_watched).then(|| Arc::clone(watcher));
        let number = self.entered;
        self.entered += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.panics.push(None);
            self.panics.len() - 1
        });
        self.panics[place] = Some(Panicking { number, due, fail });
        Some((Key { place, number }, tell))
    }

    /// The hooks of a panic have returned. What it held is to be dropped after unlocking.
    fn leave(&mut self, key: &Key) -> Option<Panicking> {
        let there = self.panics.get_mut(key.place)?;
        let returned = there.take_if(|panic| panic.number == key.number)?;
        self.free.push(key.place);
        Some(returned)
    }

    /// Takes out the panics that are due, and says when to look again, if at all. The first of them is the
    /// oldest, since the program quits for that one.
    fn take_due(&mut self, now: Instant) -> (Vec<Panicking>, Option<Instant>) {
        let mut due: Vec<Panicking> = Vec::new();
        for (place, there) in self.panics.iter_mut().enumerate() {
            if let Some(panic) = there.take_if(|panic| panic.due <= now) {
                due.push(panic);
                self.free.push(place);
            }
        }
        let oldest = (0..due.len()).min_by_key(|at| due[*at].number);
        if let Some(oldest) = oldest {
            due.swap(0, oldest);
        }
        let left = self.panics.iter().flatten();
        let look_again = left.map(|panic| panic.due).min();
        self.is_watched = look_again.is_some();
        (due, look_again)
    }
}

/// Begins to watch the panics of routines. `tell` is called with the time of the next
/// [look](fail_those_due).
pub(crate) fn watch(tell: impl Fn(Instant) + Send + Sync + 'static) {
    held_up().watcher = Some(Arc::new(tell));
}

/// Records the panics whose hooks have not returned in time. Returns when to look again, if at all.
pub(crate) fn fail_those_due() -> Option<Instant> {
    // A statement of its own: nothing is called under the lock.
    let (due, look_again) = held_up().take_due(Instant::now());
    due.into_iter().for_each(|panic| (panic.fail)());
    look_again
}

/// Sees to it that a panic is recorded, by `fail`, even if the panic hooks do not return. To be
/// dropped when they have. `None`: nobody watches.
pub(crate) fn announce(fail: impl FnOnce() + Send + 'static) -> Option<InHooks> {
    let due = Instant::now() + HOOKS_RETURN;
    // A statement of its own: nobody is told under the lock.
    let (key, tell) = held_up().enter(due, Box::new(fail))?;
    let in_hooks = InHooks { key };
    if let Some(tell) = tell {
        tell(due);
    }
    Some(in_hooks)
}

/// The panic hooks are running.
pub(crate) struct InHooks {
    key: Key,
}

impl Drop for InHooks {
    fn drop(&mut self) {
        // Dropped after the lock is released: the last handle of a quitter may go with it.
        let returned = held_up().leave(&self.key);
        drop(returned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> HeldUp {
        HeldUp {
            watcher: Some(Arc::new(|_| {})),
            ..HeldUp::new()
        }
    }

    #[test]
    fn a_panic_whose_hooks_have_returned_is_forgotten_and_the_watcher_told_once() {
        let mut held_up = watched();
        let due = Instant::now();
        let mut told = 0;
        for _ in 0..1000 {
            let (key, tell) = held_up.enter(due, Box::new(|| unreachable!())).unwrap();
            told += usize::from(tell.is_some());
            assert!(held_up.leave(&key).is_some());
        }
        assert_eq!(held_up.panics.len(), 1, "a place is used again");
        assert_eq!(told, 1);
        assert!(held_up.take_due(due).1.is_none());
        let (_, tell) = held_up.enter(due, Box::new(|| {})).unwrap();
        assert!(tell.is_some());
    }

    #[test]
    fn panics_that_are_due_are_recorded_and_the_oldest_first_and_others_left_alone() {
        let mut held_up = watched();
        let (record, recorded) = std::sync::mpsc::channel();
        let enter = |held_up: &mut HeldUp, name: &'static str, due| {
            let record = record.clone();
            let fail = move || record.send(name).unwrap();
            held_up.enter(due, Box::new(fail)).unwrap().0
        };
        let first = Instant::now();
        let second = first + Duration::from_secs(1);
        let returns = enter(&mut held_up, "returns", first);
        let oldest = enter(&mut held_up, "oldest", first);
        let later = enter(&mut held_up, "later", second);
        held_up.leave(&returns).unwrap();
        let reuses = enter(&mut held_up, "takes the place", first);
        assert_eq!(reuses.place, returns.place);
        let (due, look_again) = held_up.take_due(first);
        due.into_iter().for_each(|panic| (panic.fail)());
        let recorded: Vec<_> = recorded.try_iter().collect();
        assert_eq!(recorded, ["oldest", "takes the place"]);
        assert_eq!(look_again, Some(second));
        // Their places are theirs no more.
        assert!(held_up.leave(&oldest).is_none() && held_up.leave(&returns).is_none());
        let (due, look_again) = held_up.take_due(second);
        assert_eq!((due.len(), look_again), (1, None));
        assert!(held_up.leave(&later).is_none());
    }

    #[test]
    fn hooks_that_return_are_told_apart_whichever_returns_first() {
        let first = Instant::now();
        let later = |n: u64| first + Duration::from_secs(n);
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut held_up = watched();
            let keys = [0, 1, 2].map(|n| {
                let (key, _) = held_up.enter(later(n), Box::new(|| {})).unwrap();
                key
            });
            for n in order {
                let returned = held_up.leave(&keys[n]).unwrap();
                assert_eq!(returned.due, later(n as u64));
            }
            assert!(held_up.leave(&keys[0]).is_none());
        }
    }
}
