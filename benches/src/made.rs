//! Items that are made and dropped again: children, and routines that are recorded without a thread.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_shutdown::{DelayShutdownToken, ShutdownManager};
use crossbeam_utils::CachePadded;
use crossbeam_utils::sync::WaitGroup;
use quitter::{Quitter, RoutineGuard};
use tokio_graceful::{Shutdown, ShutdownGuard};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::flags::{Flag, Tree};

/// Makes items that its caller holds for a while and drops.
pub trait Makes: Sync {
    /// The items.
    type Item: Send;
    /// Makes a maker that has made no item.
    fn new() -> Self;
    /// Makes one more item.
    fn make(&self) -> Self::Item;
}

/// Makes children.
pub struct Children<T>(T);

impl<T: Tree> Makes for Children<T> {
    type Item = T;
    fn new() -> Self {
        Self(T::new())
    }
    #[inline]
    fn make(&self) -> T {
        self.0.child()
    }
}

/// The floor for a child: one small allocation.
pub struct Allocations;

impl Makes for Allocations {
    type Item = Box<MaybeUninit<[u8; 32]>>;
    fn new() -> Self {
        Self
    }
    #[inline]
    fn make(&self) -> Self::Item {
        Box::new_uninit()
    }
}

/// Makes guards, which are recorded by name and place.
pub struct Guards(Quitter);

impl Makes for Guards {
    type Item = RoutineGuard;
    fn new() -> Self {
        Self(Flag::new())
    }
    #[inline]
    fn make(&self) -> RoutineGuard {
        self.0.guard("routine").expect("not quitting")
    }
}

/// The tracker of tokio-util, which counts.
impl Makes for TaskTracker {
    type Item = TaskTrackerToken;
    fn new() -> Self {
        Self::new()
    }
    #[inline]
    fn make(&self) -> TaskTrackerToken {
        self.token()
    }
}

/// crossbeam's wait group, which counts its clones.
impl Makes for WaitGroup {
    type Item = Self;
    fn new() -> Self {
        Self::new()
    }
    #[inline]
    fn make(&self) -> Self {
        self.clone()
    }
}

/// Tokens that delay the end of async-shutdown.
impl Makes for ShutdownManager<()> {
    type Item = DelayShutdownToken<()>;
    fn new() -> Self {
        Self::new()
    }
    #[inline]
    fn make(&self) -> Self::Item {
        self.delay_shutdown_token().expect("not quitting")
    }
}

/// Guards that delay the end of tokio-graceful.
impl Makes for Shutdown {
    type Item = ShutdownGuard;
    fn new() -> Self {
        Self::no_signal()
    }
    #[inline]
    fn make(&self) -> ShutdownGuard {
        self.guard()
    }
}

/// Raises a counter by one as long as it lives.
pub struct Counted(&'static AtomicUsize);

impl Counted {
    #[inline]
    fn new(counter: &'static AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted {
    #[inline]
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// The floor for a count: a counter in static memory.
pub struct OneCounter;

static ONE: AtomicUsize = AtomicUsize::new(0);

impl Makes for OneCounter {
    type Item = Counted;
    fn new() -> Self {
        Self
    }
    #[inline]
    fn make(&self) -> Self::Item {
        Counted::new(&ONE)
    }
}

/// The floor for a count by several threads: a counter for each thread.
pub struct OwnCounters;

static OWN: [CachePadded<AtomicUsize>; 64] = [const { CachePadded::new(AtomicUsize::new(0)) }; 64];

thread_local!(static INDEX: Cell<usize> = {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) % OWN.len())
});

impl Makes for OwnCounters {
    type Item = Counted;
    fn new() -> Self {
        Self
    }
    #[inline]
    fn make(&self) -> Self::Item {
        Counted::new(&OWN[INDEX.get()])
    }
}
