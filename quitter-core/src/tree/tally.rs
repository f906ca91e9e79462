//! Tallies: exact counts of the live routines of a subtree, kept as long as somebody waits for them.
//!
//! A wait must not be fooled by a routine that starts its successor at a quitter that the walk has passed,
//! and ends before the walk reaches its own. So a wait attaches a tally to every roster of the subtree,
//! under that roster's lock, and adds the number of routines that are live there. From then on, each
//! routine that starts or ends at the roster changes the tally under the same lock, and a roster that is
//! created below takes over its parent's tallies. Once the walk is over, the tally is the number of live
//! routines of the subtree at every instant: a wait is done when it is zero, without a second walk, however
//! many routines come and go meanwhile.
//!
//! While nobody waits, there are no tallies, and a start only checks an empty list.

use std::sync::{Arc, PoisonError};

use super::live::LiveAt;
use super::node::Node;
use super::waiter::{Waiter, Wakes};
use super::waiters::{Key, Waiters};
use crate::routine::record::Record;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering, lock};

pub(super) struct Tally {
    /// A [`Count`] in one word, so that both numbers are read at one instant: the number of live routines,
    /// plus [`ATTACHING`] while the tally is being attached, plus [`IDLE`] for each idle hook.
    count: AtomicU64,
    waiters: Mutex<Waiters>,
    /// Set when nobody waits any more: rosters then drop the tally.
    over: AtomicBool,
    started: std::sync::Mutex<Started>,
}

#[derive(PartialEq, Eq)]
pub(super) struct Count {
    pub(super) live: usize,
    pub(super) idle: usize,
}

/// One idle hook, in the tally's word.
const IDLE: u64 = 1 << 32;

impl Count {
    fn of(word: u64) -> Self {
        Self {
            live: (word % IDLE) as usize,
            idle: (word / IDLE) as usize,
        }
    }
}

/// A routine that started since the tally was created, for a look that has to name one.
enum Started {
    Unwanted,
    Wanted,
    Seen(LiveAt),
}

/// The most live routines that a waiter may allow when it is woken: see [`Waiters`].
const MOST_SPARE: usize = 1;

/// Keeps all waiters waiting until the tally is attached.
const ATTACHING: usize = MOST_SPARE + 1;

impl Tally {
    /// A tally for waits for a subtree, to which it has to be attached.
    pub(super) fn of_subtree() -> Arc<Self> {
        Arc::new(Self::new(ATTACHING, Started::Unwanted))
    }

    /// A tally for waits for one live routine.
    pub(super) fn of_one() -> Arc<Self> {
        Arc::new(Self::new(1, Started::Unwanted))
    }

    /// A tally for one look, to be attached. It keeps one of the routines that start from then on.
    pub(super) fn for_a_look() -> Arc<Self> {
        Arc::new(Self::new(ATTACHING, Started::Wanted))
    }

    fn new(live: usize, started: Started) -> Self {
        Self {
            count: AtomicU64::new(live as u64),
            waiters: Mutex::default(),
            over: AtomicBool::new(false),
            started: std::sync::Mutex::new(started),
        }
    }

    /// To be called when the walk that attaches the tally is over: from then on the tally is exact.
    /// [`wake`](Self::wake) has to be called next.
    pub(super) fn attached(&self) {
        self.count.fetch_sub(ATTACHING as u64, Ordering::AcqRel);
    }

    /// Counts the live routines of a roster. Called under the roster's lock.
    pub(super) fn add(&self, live: usize) {
        self.count.fetch_add(live as u64, Ordering::AcqRel);
    }

    /// Counts idle hooks. Called under their roster's lock.
    pub(super) fn add_idle(&self, hooks: usize) {
        let idle = hooks as u64 * IDLE;
        self.count.fetch_add(idle, Ordering::AcqRel);
    }

    /// Stops counting idle hooks, which are removed. Called under their roster's lock. If
    /// [`may_wake`](Self::may_wake) says so, [`wake`](Self::wake) has to be called after unlocking.
    pub(super) fn on_hook_removal(&self, hooks: usize) {
        let idle = hooks as u64 * IDLE;
        self.count.fetch_sub(idle, Ordering::AcqRel);
    }

    /// Counts an idle hook as live, since it starts. Called under its roster's lock. A single step, so that
    /// the hook always counts as either idle or live.
    pub(super) fn on_hook_start(&self) {
        self.count.fetch_sub(IDLE - 1, Ordering::AcqRel);
    }

    /// Counts a routine that starts. Called under its roster's lock.
    pub(super) fn on_start(&self, node: &Arc<Node>, record: &Arc<Record>) {
        let mut started = self.started();
        if let Started::Wanted = *started {
            *started = Started::Seen(LiveAt::one(node, record));
        }
        drop(started);
        // Counted last, so that a look that sees the count also finds the routine.
        self.add(1);
    }

    /// Counts a routine that ends, and returns how many are live. Called under its roster's lock. If
    /// [`may_wake`](Self::may_wake) says so, [`wake`](Self::wake) has to be called after unlocking.
    pub(super) fn on_end(&self) -> usize {
        let before = self.count.fetch_sub(1, Ordering::AcqRel);
        Count::of(before).live - 1
    }

    /// Whether there may be waiters to wake when `live` routines are left.
    pub(super) fn may_wake(live: usize) -> bool {
        live <= MOST_SPARE
    }

    /// Collects the waiters for which few enough routines are left.
    pub(super) fn wake(&self, wakes: &mut Wakes) {
        if Self::may_wake(self.live()) {
            let mut waiters = lock(&self.waiters);
            wakes.add_ready(&mut waiters, self.live());
        }
    }

    /// Collects all waiters, since their limits may have changed.
    pub(super) fn wake_all(&self, wakes: &mut Wakes) {
        wakes.add_all(&mut lock(&self.waiters));
    }

    pub(super) fn live(&self) -> usize {
        self.count().live
    }

    pub(super) fn count(&self) -> Count {
        Count::of(self.count.load(Ordering::Acquire))
    }

    /// Adds a waiter, and removes the one with the key `before`, if that is still there. The new waiter has
    /// to read [`live`](Self::live) afterwards: a thread that changes the count looks for waiters after
    /// that, so no wake-up is lost (rule 9).
    pub(super) fn enter(&self, waiter: Waiter, spare: u32, before: Option<Key>) -> Key {
        let mut waiters = lock(&self.waiters);
        let left = before.and_then(|before| waiters.remove(before));
        let key = waiters.enter(waiter, spare);
        drop(waiters);
        drop(left);
        key
    }

    pub(super) fn is_entered(&self, key: Key) -> bool {
        lock(&self.waiters).contains(key)
    }

    pub(super) fn leave(&self, key: Key) {
        let left = lock(&self.waiters).remove(key);
        drop(left);
    }

    fn started(&self) -> std::sync::MutexGuard<'_, Started> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a routine that started since the tally was created. From then on the tally holds none, since
    /// the tally may be dropped under a lock that the drop of the routine's node takes, too.
    pub(super) fn take_started(&self) -> Option<LiveAt> {
        match std::mem::replace(&mut *self.started(), Started::Unwanted) {
            Started::Seen(live) => Some(live),
            Started::Wanted | Started::Unwanted => None,
        }
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}
