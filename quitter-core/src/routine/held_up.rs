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
    /// The panics that are in the hooks right now, oldest first.
    panics: Vec<Panicking>,
    entered: u64,
}

struct Panicking {
    /// Those that came later have greater ones.
    number: u64,
    due: Instant,
    /// Records the failure, and quits.
    fail: Fail,
}

impl HeldUp {
    pub(crate) const fn new() -> Self {
        Self {
            watcher: None,
            is_watched: false,
            panics: Vec::new(),
            entered: 0,
        }
    }

    /// Returns the panic's number, and who is to be told when it is due. `None`: nobody watches.
    fn enter(&mut self, due: Instant, fail: Fail) -> Option<(u64, Option<Tell>)> {
        let watcher = self.watcher.as_ref()?;
        // Once for all panics until the watcher has looked.
        let is_watched = std::mem::replace(&mut self.is_watched, true);
        let tell = (!is_watched).then(|| Arc::clone(watcher));
        let number = self.entered;
        self.entered += 1;
        self.panics.push(Panicking { number, due, fail });
        Some((number, tell))
    }

    /// The hooks of a panic have returned. What it held is to be dropped after unlocking.
    fn leave(&mut self, number: u64) -> Option<Panicking> {
        let at = self
            .panics
            .binary_search_by_key(&number, |panic| panic.number);
        at.ok().map(|at| self.panics.remove(at))
    }

    /// Takes out the oldest panic if it is due, else says when to look again, if at all.
    fn next(&mut self, now: Instant) -> Result<Fail, Option<Instant>> {
        match self.panics.first() {
            Some(oldest) if oldest.due <= now => Ok(self.panics.remove(0).fail),
            Some(oldest) => Err(Some(oldest.due)),
            None => {
                self.is_watched = false;
                Err(None)
            }
        }
    }
}

/// Begins to watch the panics of routines. `tell` is called with the time of the next
/// [look](fail_those_due).
pub(crate) fn watch(tell: impl Fn(Instant) + Send + Sync + 'static) {
    held_up().watcher = Some(Arc::new(tell));
}

/// Records the panics whose hooks have not returned in time. Returns when to look again, if at all.
pub(crate) fn fail_those_due() -> Option<Instant> {
    loop {
        // A statement of its own: nothing is called under the lock.
        let next = held_up().next(Instant::now());
        match next {
            Ok(fail) => fail(),
            Err(look_again) => return look_again,
        }
    }
}

/// Sees to it that a panic is recorded, by `fail`, even if the panic hooks do not return. To be
/// dropped when they have. `None`: nobody watches.
pub(crate) fn announce(fail: impl FnOnce() + Send + 'static) -> Option<InHooks> {
    let due = Instant::now() + HOOKS_RETURN;
    // A statement of its own: nobody is told under the lock.
    let (number, tell) = held_up().enter(due, Box::new(fail))?;
    let in_hooks = InHooks { number };
    if let Some(tell) = tell {
        tell(due);
    }
    Some(in_hooks)
}

/// The panic hooks are running.
pub(crate) struct InHooks {
    number: u64,
}

impl Drop for InHooks {
    fn drop(&mut self) {
        // Dropped after the lock is released: the last handle of a quitter may go with it.
        let returned = held_up().leave(self.number);
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
            let (number, tell) = held_up.enter(due, Box::new(|| unreachable!())).unwrap();
            told += usize::from(tell.is_some());
            assert!(held_up.leave(number).is_some());
        }
        assert!(held_up.panics.is_empty());
        assert_eq!(told, 1);
        assert!(matches!(held_up.next(due), Err(None)));
        let (_, tell) = held_up.enter(due, Box::new(|| {})).unwrap();
        assert!(tell.is_some());
    }

    #[test]
    fn panics_are_due_one_after_the_other() {
        let mut held_up = watched();
        let first = Instant::now();
        let second = first + Duration::from_secs(1);
        held_up.enter(first, Box::new(|| {}));
        held_up.enter(second, Box::new(|| {}));
        assert!(held_up.next(first).is_ok());
        assert!(matches!(held_up.next(first), Err(Some(due)) if due == second));
        assert!(held_up.next(second).is_ok());
        assert!(matches!(held_up.next(second), Err(None)));
    }
}
