//! Tallies: exact counts of what is live in a subtree, kept as long as somebody waits for it.
//!
//! A wait must not be fooled by a routine that starts its successor at a quitter that a walk has
//! passed, and ends before the walk reaches its own. So a wait attaches a tally to every roster of
//! the subtree, under that roster's lock, and adds what is live there. From then on each routine that
//! starts or ends at the roster changes the tally under the same lock, and a roster made below takes
//! the tally over from its parent's. Once the walk is over, the tally is the number of live routines
//! of the subtree at every instant: a wait is over when it is zero, without a second walk, however
//! much comes and goes meanwhile.
//!
//! While nobody waits there are no tallies, and a start costs nothing but a look at an empty list.

use std::sync::{Arc, PoisonError};

use super::live::LiveAt;
use super::node::Node;
use super::waiter::{Waiter, Wakes};
use super::waiters::{Key, Waiters};
use crate::routine::record::Record;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering, lock};

pub(super) struct Tally {
    /// A [`Count`] in one word, so that a look at it is one instant: how many routines are live, and
    /// [`ATTACHING`] more while the tally is being attached; above these [`IDLE`] for each idle hook.
    count: AtomicU64,
    waiters: Mutex<Waiters>,
    /// Set when nobody waits any more: rosters then let the tally go.
    over: AtomicBool,
    started: std::sync::Mutex<Started>,
}

/// How many routines are live, and how many hooks wait for a quit.
pub(super) struct Count {
    pub(super) live: usize,
    pub(super) idle: usize,
}

/// One idle hook, in the word that counts.
const IDLE: u64 = 1 << 32;

impl Count {
    fn of(word: u64) -> Self {
        Self {
            live: (word % IDLE) as usize,
            idle: (word / IDLE) as usize,
        }
    }
}

/// A routine that has started since the tally was made, for a look that has to name one.
enum Started {
    Unwanted,
    Wanted,
    Seen(LiveAt),
}

/// At this many live routines the first waiters may be woken: see [`Waiters`].
const MOST_SPARE: usize = 1;

/// Keeps everybody waiting until a tally is attached.
const ATTACHING: usize = MOST_SPARE + 1;

impl Tally {
    /// A tally for waits for a subtree, to be attached to it.
    pub(super) fn of_subtree() -> Arc<Self> {
        Arc::new(Self::new(ATTACHING, Started::Unwanted))
    }

    /// A tally for waits for one routine, which is live.
    pub(super) fn of_one() -> Arc<Self> {
        Arc::new(Self::new(1, Started::Unwanted))
    }

    /// A tally for one look, to be attached. It names a routine that has started since.
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

    /// Called when the walk that attaches it is over: from here on the tally is exact.
    /// [`wake`](Self::wake) is to be called.
    pub(super) fn attached(&self) {
        self.count.fetch_sub(ATTACHING as u64, Ordering::AcqRel);
    }

    /// Counts what is live at a roster. Called under its lock.
    pub(super) fn add(&self, live: usize) {
        self.count.fetch_add(live as u64, Ordering::AcqRel);
    }

    /// Counts hooks that wait for a quit. Called under their roster's lock.
    pub(super) fn add_idle(&self, hooks: usize) {
        let idle = hooks as u64 * IDLE;
        self.count.fetch_add(idle, Ordering::AcqRel);
    }

    /// Counts a hook that is taken back. Called under its roster's lock.
    pub(super) fn on_take_back(&self) {
        self.count.fetch_sub(IDLE, Ordering::AcqRel);
    }

    /// Counts an idle hook that starts. Called under its roster's lock. In one step, so that it is
    /// always seen as the one or the other.
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
        // A look that finds the count also finds the routine.
        self.add(1);
    }

    /// Counts a routine that ends, and returns how many are live. Called under its roster's lock. If so few
    /// [may be waited for](Self::may_wake), [`wake`](Self::wake) is to be called after unlocking.
    pub(super) fn on_end(&self) -> usize {
        let before = self.count.fetch_sub(1, Ordering::AcqRel);
        Count::of(before).live - 1
    }

    /// Whether there may be waiters that are to be woken when so many routines are live.
    pub(super) fn may_wake(live: usize) -> bool {
        live <= MOST_SPARE
    }

    /// Gathers the waiters for which few enough routines are left.
    pub(super) fn wake(&self, wakes: &mut Wakes) {
        if Self::may_wake(self.live()) {
            let mut waiters = lock(&self.waiters);
            wakes.add_wanting(&mut waiters, self.live());
        }
    }

    /// Gathers all waiters: their limits may have changed.
    pub(super) fn wake_all(&self, wakes: &mut Wakes) {
        wakes.add_all(&mut lock(&self.waiters));
    }

    pub(super) fn live(&self) -> usize {
        self.count().live
    }

    pub(super) fn count(&self) -> Count {
        Count::of(self.count.load(Ordering::Acquire))
    }

    /// Adds a waiter, in the place of the one that has this key, if that is still there. It looks at
    /// [`live`](Self::live) afterwards: whoever changes that before looks for waiters after, so no wake
    /// is lost (rule 9).
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

    /// Takes a routine that has started since the tally was made. From then on the tally holds none,
    /// since it may be dropped under a lock, which the drop of a node takes, too.
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
