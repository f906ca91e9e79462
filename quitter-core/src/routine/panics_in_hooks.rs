//! Routines that are inside a panic hook: a hook that does not return must not hide the panic.
//!
//! std calls the panic hook before it unwinds. The hook writes to stderr, which may be a full pipe, and a
//! user's hook may do anything. Until the hook returns, it is unknown whether the routine would catch the
//! panic, and a slow hook looks like one that never returns. So a timeout decides.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use crate::process::Process;
use crate::sync::lock_std;

/// How long the panic hooks of a routine may take before the panic counts as the routine's failure.
///
/// A failure cannot be retracted once the program quits for it, and a routine that catches its panic has
/// not failed. So this is longer than any hook takes that returns at all, even one that writes a backtrace
/// or sends a crash report. But it is bounded: otherwise a program whose stderr is stuck would run on
/// without the routine, and nobody would know.
const HOOKS_RETURN: Duration = Duration::from_secs(8);

fn panics_in_hooks() -> MutexGuard<'static, PanicsInHooks> {
    lock_std(&Process::current().panics_in_hooks)
}

type Fail = Box<dyn FnOnce() + Send>;
type Tell = Arc<dyn Fn(Instant) + Send + Sync>;

/// The panics whose hooks are running.
pub(crate) struct PanicsInHooks {
    /// Tells the watcher when to look. `None`: there is no watcher.
    watcher: Option<Tell>,
    /// The watcher has been told to look.
    is_watched: bool,
    /// The panics whose hooks are running, each at its place, and free places. So removing one of many does
    /// not move the others.
    panics: Vec<Option<Panicking>>,
    free: Vec<usize>,
    entered: u64,
}

struct Panicking {
    /// Later panics have greater numbers.
    number: u64,
    due: Instant,
    /// Records the failure, and quits.
    fail: Fail,
}

/// Finds a panic in the list.
struct Key {
    place: usize,
    /// Distinguishes the panic from others that have had the same place.
    number: u64,
}

impl PanicsInHooks {
    pub(crate) const fn new() -> Self {
        Self {
            watcher: None,
            is_watched: false,
            panics: Vec::new(),
            free: Vec::new(),
            entered: 0,
        }
    }

    /// Returns the panic's key, and the watcher if it has to be told when the panic is due. `None`: there
    /// is no watcher.
    fn enter(&mut self, due: Instant, fail: Fail) -> Option<(Key, Option<Tell>)> {
        let watcher = self.watcher.as_ref()?;
        // The watcher is told once, for all panics until it has looked.
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

    /// To be called when the hooks of a panic have returned. The result has to be dropped after unlocking.
    fn leave(&mut self, key: &Key) -> Option<Panicking> {
        let there = self.panics.get_mut(key.place)?;
        let returned = there.take_if(|panic| panic.number == key.number)?;
        self.free.push(key.place);
        Some(returned)
    }

    /// Takes out the panics that are due, the oldest first, since the program quits for that one. Also
    /// returns when to look again, if at all.
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

/// Starts watching the panics of routines. `tell` is called with the time of the next
/// [look](fail_those_due).
pub(crate) fn watch(tell: impl Fn(Instant) + Send + Sync + 'static) {
    panics_in_hooks().watcher = Some(Arc::new(tell));
}

/// Records the panics whose hooks have not returned in time. Returns when to look again, if at all.
pub(crate) fn fail_those_due() -> Option<Instant> {
    // A separate statement, so that nothing is called under the lock.
    let (due, look_again) = panics_in_hooks().take_due(Instant::now());
    due.into_iter().for_each(|panic| (panic.fail)());
    look_again
}

/// Ensures that a panic is recorded, by `fail`, even if the panic hooks do not return. Drop the result when
/// they have returned. `None`: there is no watcher.
pub(crate) fn announce(fail: impl FnOnce() + Send + 'static) -> Option<InHooks> {
    let due = Instant::now() + HOOKS_RETURN;
    // A separate statement, so that the watcher is not told under the lock.
    let (key, tell) = panics_in_hooks().enter(due, Box::new(fail))?;
    let in_hooks = InHooks { key };
    if let Some(tell) = tell {
        tell(due);
    }
    Some(in_hooks)
}

/// Exists while the panic hooks are running.
pub(crate) struct InHooks {
    key: Key,
}

impl Drop for InHooks {
    fn drop(&mut self) {
        // Dropped after unlocking: this may drop the last handle of a quitter.
        let returned = panics_in_hooks().leave(&self.key);
        drop(returned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> PanicsInHooks {
        PanicsInHooks {
            watcher: Some(Arc::new(|_| {})),
            ..PanicsInHooks::new()
        }
    }

    #[test]
    fn a_panic_whose_hooks_have_returned_is_forgotten_and_the_watcher_told_once() {
        let mut panics = watched();
        let due = Instant::now();
        let mut told = 0;
        for _ in 0..1000 {
            let (key, tell) = panics.enter(due, Box::new(|| unreachable!())).unwrap();
            told += usize::from(tell.is_some());
            assert!(panics.leave(&key).is_some());
        }
        assert_eq!(panics.panics.len(), 1, "a place is used again");
        assert_eq!(told, 1);
        assert!(panics.take_due(due).1.is_none());
        let (_, tell) = panics.enter(due, Box::new(|| {})).unwrap();
        assert!(tell.is_some());
    }

    #[test]
    fn panics_that_are_due_are_recorded_and_the_oldest_first_and_others_left_alone() {
        let mut panics = watched();
        let (record, recorded) = std::sync::mpsc::channel();
        let enter = |panics: &mut PanicsInHooks, name: &'static str, due| {
            let record = record.clone();
            let fail = move || record.send(name).unwrap();
            panics.enter(due, Box::new(fail)).unwrap().0
        };
        let first = Instant::now();
        let second = first + Duration::from_secs(1);
        let returns = enter(&mut panics, "returns", first);
        let oldest = enter(&mut panics, "oldest", first);
        let later = enter(&mut panics, "later", second);
        panics.leave(&returns).unwrap();
        let reuses = enter(&mut panics, "takes the place", first);
        assert_eq!(reuses.place, returns.place);
        let (due, look_again) = panics.take_due(first);
        due.into_iter().for_each(|panic| (panic.fail)());
        let recorded: Vec<_> = recorded.try_iter().collect();
        assert_eq!(recorded, ["oldest", "takes the place"]);
        assert_eq!(look_again, Some(second));
        // The places no longer belong to these panics.
        assert!(panics.leave(&oldest).is_none() && panics.leave(&returns).is_none());
        let (due, look_again) = panics.take_due(second);
        assert_eq!((due.len(), look_again), (1, None));
        assert!(panics.leave(&later).is_none());
    }

    #[test]
    fn hooks_that_return_are_told_apart_whichever_returns_first() {
        let first = Instant::now();
        let later = |n: u64| first + Duration::from_secs(n);
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut panics = watched();
            let keys = [0, 1, 2].map(|n| {
                let (key, _) = panics.enter(later(n), Box::new(|| {})).unwrap();
                key
            });
            for n in order {
                let returned = panics.leave(&keys[n]).unwrap();
                assert_eq!(returned.due, later(n as u64));
            }
            assert!(panics.leave(&keys[0]).is_none());
        }
    }
}
