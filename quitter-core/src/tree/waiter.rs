//! Waiting threads and futures, in one list, and how they are woken.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::task::Waker;
use std::time::Instant;

use crossbeam_channel::Sender;

use super::list::{Item, List, Slot};
use crate::sync::{Condvar, Mutex, lock, wait_until};

/// Something that waits: for a quit in a roster's list, or for routines to end in a tally's.
pub(super) struct Waiter {
    slot: Slot,
    /// How many routines may be left when it is woken: one, for a routine that waits for all but
    /// itself.
    spare: usize,
    kind: Kind,
}

enum Kind {
    Thread(Parker),
    /// A future. The waker is gone once it was used; until then the future is in its list.
    Future(std::sync::Mutex<Option<Waker>>),
}

/// Where one thread sleeps.
struct Parker {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Waiting,
    /// Woken, and asked to wake these.
    Woken(Vec<Arc<Waiter>>),
    /// The thread waits no longer, and wakes nobody.
    Gone,
}

impl Item for Waiter {
    fn slot(&self) -> &Slot {
        &self.slot
    }
}

impl Waiter {
    /// A waiter for the calling thread.
    pub(super) fn thread(spare: usize) -> Arc<Self> {
        let kind = Kind::Thread(Parker {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        Self::new(spare, kind)
    }

    /// A waiter for a future. It is not to be put into a list before it has a waker.
    pub(super) fn future(spare: usize) -> Arc<Self> {
        Self::new(spare, Kind::Future(std::sync::Mutex::default()))
    }

    fn new(spare: usize, kind: Kind) -> Arc<Self> {
        Arc::new(Self {
            slot: Slot::default(),
            spare,
            kind,
        })
    }

    /// Whether it wants to know that so many routines are left.
    fn wants(&self, live: usize) -> bool {
        live <= self.spare
    }

    /// Blocks until the waiter is woken, or until `until`, and returns whether it was woken: then it is
    /// in no list any more. For threads.
    pub(super) fn park(&self, until: Option<Instant>) -> bool {
        let Kind::Thread(parker) = &self.kind else {
            return false;
        };
        let mut state = lock(&parker.state);
        while matches!(*state, State::Waiting) && !is_past(until) {
            state = wait_until(&parker.changed, state, until);
        }
        let last = std::mem::take(&mut *state);
        drop(state);
        let is_woken = matches!(last, State::Woken(_));
        last.wake_others();
        is_woken
    }

    /// To be called when the thread waits no longer.
    ///
    /// A thread whose time is up may have been taken from its list already, by another that is about to
    /// wake it and to pass others on. From here on it takes none.
    pub(super) fn leave(&self) {
        if let Kind::Thread(parker) = &self.kind {
            let left = std::mem::replace(&mut *lock(&parker.state), State::Gone);
            left.wake_others();
        }
    }

    /// Keeps the waker of a future that was polled. Returns whether the future has to enter its list:
    /// it was woken since the last call, or never was in it.
    pub(super) fn keep_waker(&self, waker: &Waker) -> bool {
        let Kind::Future(kept) = &self.kind else {
            return false;
        };
        let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
        if lock().as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            return false;
        }
        // To clone a waker, and to drop one, is the executor's code.
        let waker = waker.clone();
        let before = lock().replace(waker);
        before.is_none()
    }

    /// Wakes it. A thread wakes `others` in its turn. Returns those that are left for the caller.
    fn wake(&self, others: Vec<Arc<Waiter>>) -> Vec<Arc<Waiter>> {
        let parker = match &self.kind {
            Kind::Thread(parker) => parker,
            Kind::Future(waker) => {
                let mut kept = waker.lock().unwrap_or_else(PoisonError::into_inner);
                let waker = kept.take();
                drop(kept);
                if let Some(waker) = waker {
                    // The executor's code. If it panics, the others are woken all the same. The payload
                    // is not dropped, since that may panic, too.
                    let woken = catch_unwind(AssertUnwindSafe(|| waker.wake()));
                    std::mem::forget(woken);
                }
                return others;
            }
        };
        let mut state = lock(&parker.state);
        match &mut *state {
            State::Gone => return others,
            State::Woken(passed_on) => passed_on.extend(others),
            State::Waiting => *state = State::Woken(others),
        }
        drop(state);
        parker.changed.notify_one();
        Vec::new()
    }
}

impl State {
    fn wake_others(self) {
        if let Self::Woken(others) = self {
            wake_each(others);
        }
    }
}

pub(super) fn wake_each(waiters: Vec<Arc<Waiter>>) {
    for waiter in waiters {
        waiter.wake(Vec::new());
    }
}

/// The things that are open until their node quits: whoever listens to them is in no list of the
/// tree's. Only there when somebody has asked for them.
#[derive(Default)]
pub(super) struct Open {
    pub(super) channel: Option<Sender<Infallible>>,
    #[cfg(all(unix, feature = "io"))]
    pub(super) descriptor: Option<crate::io::descriptor::Unquit>,
}

impl Open {
    fn is_empty(&self) -> bool {
        #[cfg(all(unix, feature = "io"))]
        if self.descriptor.is_some() {
            return false;
        }
        self.channel.is_none()
    }
}

/// Everything that a step has to wake once it has unlocked.
#[must_use = "whoever waits is woken by `perform`, after unlocking"]
#[derive(Default)]
pub(super) struct Wakes {
    waiters: Vec<Arc<Waiter>>,
    /// The quit channels and descriptors to be closed.
    open: Vec<Open>,
}

impl Wakes {
    pub(super) fn add_all(&mut self, list: &mut List<Waiter>) {
        list.take_all(&mut self.waiters);
    }

    /// Adds those that want to know that `live` routines are left.
    pub(super) fn add_wanting(&mut self, list: &mut List<Waiter>, live: usize) {
        list.take(|waiter| waiter.wants(live), &mut self.waiters);
    }

    pub(super) fn close(&mut self, open: Open) {
        if !open.is_empty() {
            self.open.push(open);
        }
    }

    /// Wakes everybody, and closes the channels and descriptors.
    ///
    /// To wake a thread takes microseconds. Where there are many, the caller wakes one, which wakes
    /// the others, so that a quit does not keep its caller. Channels are closed by the caller: the
    /// first quit has closed them when it returns.
    pub(super) fn perform(self) {
        wake_each(self.perform_but_futures());
    }

    /// As [`perform`](Self::perform), but returns the futures, which come last: their wakers are the
    /// executor's code, which may hang.
    #[must_use]
    pub(super) fn perform_but_futures(self) -> Vec<Arc<Waiter>> {
        /// Loom is to see threads that wake others, too.
        const FEW: usize = if cfg!(loom) { 0 } else { 16 };
        let is_future = |waiter: &Arc<Waiter>| matches!(waiter.kind, Kind::Future(_));
        let (futures, mut waiters): (Vec<_>, Vec<_>) =
            self.waiters.into_iter().partition(is_future);
        while waiters.len() > FEW
            && let Some(first) = waiters.pop()
        {
            waiters = first.wake(waiters);
        }
        wake_each(waiters);
        drop(self.open);
        futures
    }
}

/// The earlier of two moments, of which `None` is never.
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

pub(super) fn is_past(moment: Option<Instant>) -> bool {
    moment.is_some_and(|moment| moment <= Instant::now())
}
