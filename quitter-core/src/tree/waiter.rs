//! Waiting threads, and what it takes to wake them.

use std::convert::Infallible;
use std::sync::Arc;
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
    parker: Parker,
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
        Arc::new(Self {
            slot: Slot::default(),
            spare,
            parker: Parker {
                state: Mutex::default(),
                changed: Condvar::new(),
            },
        })
    }

    /// Whether it wants to know that so many routines are left.
    pub(super) fn wants(&self, live: usize) -> bool {
        live <= self.spare
    }

    /// Blocks until the waiter is woken, or until `until`.
    pub(super) fn park(&self, until: Option<Instant>) {
        let mut state = lock(&self.parker.state);
        while matches!(*state, State::Waiting) && !is_past(until) {
            state = wait_until(&self.parker.changed, state, until);
        }
        let woken = std::mem::take(&mut *state);
        drop(state);
        woken.wake_others();
    }

    /// To be called when the thread waits no longer.
    ///
    /// A thread whose time is up may have been taken from its list already, by another that is about to
    /// wake it and to pass others on. From here on it takes none.
    pub(super) fn leave(&self) {
        let left = std::mem::replace(&mut *lock(&self.parker.state), State::Gone);
        left.wake_others();
    }

    /// Wakes the thread, which wakes `others` in its turn. Returns those that it does not take.
    fn wake(&self, others: Vec<Arc<Waiter>>) -> Vec<Arc<Waiter>> {
        let mut state = lock(&self.parker.state);
        let left = match &mut *state {
            State::Gone => return others,
            State::Woken(passed_on) => {
                passed_on.extend(others);
                Vec::new()
            }
            State::Waiting => {
                *state = State::Woken(others);
                Vec::new()
            }
        };
        drop(state);
        self.parker.changed.notify_one();
        left
    }
}

impl State {
    fn wake_others(self) {
        if let Self::Woken(others) = self {
            wake_each(others);
        }
    }
}

fn wake_each(waiters: Vec<Arc<Waiter>>) {
    for waiter in waiters {
        waiter.wake(Vec::new());
    }
}

/// Everything that a step has to wake once it has unlocked.
#[must_use = "whoever waits is woken by `perform`, after unlocking"]
#[derive(Default)]
pub(super) struct Wakes {
    waiters: Vec<Arc<Waiter>>,
    /// Those that keep quit channels open.
    channels: Vec<Sender<Infallible>>,
}

impl Wakes {
    pub(super) fn add_all(&mut self, list: &mut List<Waiter>) {
        list.take_all(&mut self.waiters);
    }

    /// Adds those that want to know that `live` routines are left.
    pub(super) fn add_wanting(&mut self, list: &mut List<Waiter>, live: usize) {
        list.take(|waiter| waiter.wants(live), &mut self.waiters);
    }

    pub(super) fn close(&mut self, channel: Option<Sender<Infallible>>) {
        self.channels.extend(channel);
    }

    /// Wakes everybody and closes the channels.
    ///
    /// To wake a thread takes microseconds. Where there are many, the caller wakes one, which wakes
    /// the others, so that a quit does not keep its caller. Channels are closed by the caller: a quit
    /// that has returned has closed them.
    pub(super) fn perform(self) {
        /// Loom is to see threads that wake others, too.
        const FEW: usize = if cfg!(loom) { 0 } else { 16 };
        let mut waiters = self.waiters;
        while waiters.len() > FEW
            && let Some(first) = waiters.pop()
        {
            waiters = first.wake(waiters);
        }
        wake_each(waiters);
        drop(self.channels);
    }
}

/// The earlier of two moments, of which `None` is never.
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

pub(super) fn is_past(moment: Option<Instant>) -> bool {
    moment.is_some_and(|moment| moment <= Instant::now())
}
