//! Waiting threads and futures, and how they are woken.

use std::cell::Cell;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use crossbeam_channel::Sender;

use super::crowd;
use super::few::Few;
use super::waiters::{Crowd, Waiters};
use crate::routine::panics::drop_quietly;
use crate::sync::{Condvar, Mutex, lock, wait_until};

/// A thread or future that waits: for a quit, in a roster's list, or for routines to end, in a tally's
/// list.
pub(super) enum Waiter {
    Thread(Arc<Parker>),
    /// A future. The list owns the waker, so that a wait allocates nothing but its place in the list.
    Future(Waker),
}

impl Waiter {
    /// A waker of quitter's own, which never hangs. It is called with the threads, before the wakers of
    /// executors. (A second variant with a waker would make every entry of a list larger by a word.)
    #[cfg(feature = "process")]
    pub(super) fn own(waker: Waker) -> Self {
        Self::Thread(Arc::new(Parker {
            own: Some(waker),
            ..Parker::default()
        }))
    }

    pub(super) fn is_thread(&self) -> bool {
        matches!(self, Self::Thread(_))
    }

    fn wake(self) {
        match self {
            Self::Thread(parker) => _ = parker.wake(Vec::new()),
            Self::Future(waker) => catch(|| waker.wake()),
        }
    }

    fn wake_by_ref(&self) {
        match self {
            Self::Thread(parker) => _ = parker.wake(Vec::new()),
            Self::Future(waker) => wake_by_ref(waker),
        }
    }
}

/// The place where one thread sleeps.
#[derive(Default)]
pub(super) struct Parker {
    state: Mutex<State>,
    changed: Condvar,
    /// Called instead of waking a thread that sleeps here.
    #[cfg(feature = "process")]
    own: Option<Waker>,
}

#[derive(Default)]
enum State {
    #[default]
    Waiting,
    /// Woken, and asked to wake these others.
    Woken(Vec<Arc<Parker>>),
    /// The thread no longer waits, and wakes no others.
    Gone,
}

impl Parker {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Blocks until the thread is woken, or until `until`. Returns whether it was woken: then it is not in
    /// a list any more.
    pub(super) fn park(&self, until: Option<Instant>) -> bool {
        let mut state = lock(&self.state);
        while matches!(*state, State::Waiting) && !is_past(until) {
            state = wait_until(&self.changed, state, until);
        }
        let last = std::mem::take(&mut *state);
        drop(state);
        let is_woken = matches!(last, State::Woken(_));
        last.wake_others();
        is_woken
    }

    /// To be called when the thread no longer waits.
    ///
    /// If the time of a thread is up, another thread may already have taken it from its list, and be about
    /// to wake it and pass others on to it. From now on, this thread accepts no others.
    pub(super) fn leave(&self) {
        let left = std::mem::replace(&mut *lock(&self.state), State::Gone);
        left.wake_others();
    }

    /// Wakes the thread, which then wakes `others`. Returns the threads that the caller has to wake itself.
    fn wake(&self, others: Vec<Arc<Self>>) -> Vec<Arc<Self>> {
        #[cfg(feature = "process")]
        if let Some(own) = &self.own {
            own.wake_by_ref();
            return others;
        }
        let mut state = lock(&self.state);
        match &mut *state {
            State::Gone => return others,
            State::Woken(passed_on) => passed_on.extend(others),
            State::Waiting => *state = State::Woken(others),
        }
        drop(state);
        self.changed.notify_one();
        Vec::new()
    }
}

impl State {
    fn wake_others(self) {
        if let Self::Woken(others) = self {
            wake_threads(others);
        }
    }
}

fn wake_threads(parkers: Vec<Arc<Parker>>) {
    for parker in parkers {
        parker.wake(Vec::new());
    }
}

/// Wakes a future without consuming its waker.
fn wake_by_ref(waker: &Waker) {
    catch(|| waker.wake_by_ref());
}

/// Calls the executor's code, and catches its panics, so that the other futures are still woken.
fn catch(call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        drop_quietly(payload);
    }
}

thread_local! {
    static CALLS_NO_WAKERS: Cell<bool> = const { Cell::new(false) };
}

/// Makes this thread call no wakers from now on: they are the executor's code, which may hang, and the end
/// of the program depends on this thread.
pub(crate) fn call_no_wakers() {
    CALLS_NO_WAKERS.set(true);
}

/// Wakes futures that wait in no list of the tree.
#[cfg(feature = "process")]
pub(crate) fn wake_futures(wakers: impl Iterator<Item = Waker>) {
    let mut futures = Futures::default();
    wakers.for_each(|waker| futures.wakers.push(waker));
    futures.wake();
}

/// Futures to be woken, after unlocking.
#[must_use = "the futures are woken by `wake`"]
#[derive(Default)]
pub(super) struct Futures {
    wakers: Few<Waker>,
    crowds: Vec<Crowd>,
}

impl Futures {
    fn is_empty(&self) -> bool {
        self.wakers.is_empty() && self.crowds.is_empty()
    }

    /// An upper bound of the number of futures.
    pub(super) fn len(&self) -> usize {
        self.wakers.len() + self.crowds.iter().map(Crowd::len).sum::<usize>()
    }

    pub(super) fn append(&mut self, more: Self) {
        self.wakers.append(more.wakers);
        self.crowds.extend(more.crowds);
    }

    /// Wakes all futures on this thread.
    pub(super) fn wake_here(self) {
        self.for_each(Waiter::wake);
    }

    /// Wakes all futures without consuming their wakers.
    pub(super) fn wake_each(&self) {
        self.wakers.iter().for_each(wake_by_ref);
        let crowds = self.crowds.iter().flat_map(Crowd::iter);
        crowds.for_each(Waiter::wake_by_ref);
    }

    /// Drops the wakers, which runs the executor's code, too.
    pub(super) fn drop_wakers(self) {
        self.for_each(|waiter| catch(|| drop(waiter)));
    }

    fn for_each(self, f: impl Fn(Waiter)) {
        self.wakers.for_each(|waker| f(Waiter::Future(waker)));
        self.crowds.into_iter().for_each(|crowd| crowd.for_each(&f));
    }

    /// Wakes all futures. A separate thread does so if this one calls no wakers, or if there are so many
    /// that the caller, which may be one of the threads that poll them, would be busy for milliseconds.
    pub(super) fn wake(self) {
        /// Waking this many takes less than a millisecond.
        const MANY: usize = 2048;
        if self.is_empty() {
            return;
        }
        if self.len() <= MANY && !CALLS_NO_WAKERS.get() {
            return self.wake_here();
        }
        crowd::wake(self);
    }
}

/// The channel and descriptor that stay open until their node quits. Their listeners are in no list of the
/// tree. Each is present only once it was asked for.
#[derive(Default)]
pub(super) struct Open {
    pub(super) channel: Option<Sender<Infallible>>,
    #[cfg(all(unix, feature = "io"))]
    pub(super) descriptor: Option<crate::io::descriptor::QuitTrigger>,
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

/// Everything that a step has to wake after unlocking.
#[must_use = "whoever waits is woken by `perform`, after unlocking"]
#[derive(Default)]
pub(super) struct Wakes {
    threads: Few<Arc<Parker>>,
    futures: Futures,
    /// The quit channels and descriptors to close.
    open: Few<Open>,
}

impl Wakes {
    pub(super) fn add_all(&mut self, list: &mut Waiters) {
        let crowd = list.take_all(|waiter| self.add(waiter));
        if crowd.len() > 0 {
            self.futures.crowds.push(crowd);
        }
    }

    /// Adds the waiters to be woken when `live` routines are left.
    pub(super) fn add_ready(&mut self, list: &mut Waiters, live: usize) {
        list.take_ready(live, |waiter| self.add(waiter));
    }

    fn add(&mut self, waiter: Waiter) {
        match waiter {
            Waiter::Thread(parker) => self.threads.push(parker),
            Waiter::Future(waker) => self.futures.wakers.push(waker),
        }
    }

    pub(super) fn close(&mut self, open: Open) {
        if !open.is_empty() {
            self.open.push(open);
        }
    }

    /// Wakes all waiters, and closes the channels and descriptors.
    ///
    /// Waking a thread takes microseconds. If there are many, the caller wakes one, which wakes the others,
    /// so that a quit does not delay its caller. The caller itself closes channels: the first quit has
    /// closed them when it returns.
    pub(super) fn perform(self) {
        self.perform_except_futures().wake();
    }

    /// Like [`perform`](Self::perform), but returns the futures, which have to be woken last: their wakers
    /// are the executor's code, which may hang.
    pub(super) fn perform_except_futures(self) -> Futures {
        /// Zero under loom, so that the models cover threads that wake others.
        const FEW: usize = if cfg!(loom) { 0 } else { 16 };
        if self.threads.len() <= FEW {
            self.threads.for_each(|parker| _ = parker.wake(Vec::new()));
        } else {
            let mut threads: Vec<_> = self.threads.into_iter().collect();
            while threads.len() > FEW
                && let Some(first) = threads.pop()
            {
                threads = first.wake(threads);
            }
            wake_threads(threads);
        }
        drop(self.open);
        self.futures
    }
}

/// The earlier of two moments, where `None` means never.
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

pub(super) fn is_past(moment: Option<Instant>) -> bool {
    moment.is_some_and(|moment| moment <= Instant::now())
}
