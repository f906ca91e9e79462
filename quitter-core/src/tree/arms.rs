//! Arms: what keeps threads that use one quitter at the same time out of each other's way.
//!
//! Whoever makes a child or a routine writes to the node that it is made at: to its count of
//! holders, and to its roster. Threads that do so at one node hand these lines back and forth, at
//! many times the price of the work. So a node that several threads use often gives each of them an
//! arm: a child of the node that nobody sees. What a thread makes there belongs to the node, and is
//! found by every walk, since walks go over children.
//!
//! A node's roster holds its arms, and they hold the node: a circle, which the last quitter of the
//! node cuts (rule 7). From then on what is made at an arm holds it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;
use once_cell::race::OnceBox;

use super::Node;
use crate::sync::{Mutex, lock};

/// The arms of one node.
#[derive(Default)]
pub(super) struct Arms {
    /// How often threads used the node that were not its first, up to [`OFTEN`]. Roughly: they may
    /// lose counts.
    uses: AtomicUsize,
    slots: OnceBox<Slots>,
    /// Set when the circle is cut. Held while the slots are made.
    closed: Mutex<bool>,
}

type Slots = [CachePadded<Mutex<Slot>>; SLOTS];

/// As many threads as rarely meet.
const SLOTS: usize = 16;

/// A node that is used less often by others than its first thread is better off without arms.
const OFTEN: usize = 64;

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Arm(Arc<Node>),
    Closed,
}

impl Arms {
    /// The arm of this thread; `None`: it uses the node itself.
    pub(super) fn of(&self, node: &Arc<Node>, thread: u32) -> Option<Arc<Node>> {
        let mut slot = lock(&self.slots.get()?[thread as usize % SLOTS]);
        if let Slot::Empty = *slot {
            *slot = Slot::Arm(node.arm());
        }
        match &*slot {
            Slot::Arm(arm) => Some(Arc::clone(arm)),
            _ => None,
        }
    }

    /// Counts a use by a thread that is not the node's first. After many there are arms.
    pub(super) fn count(&self) {
        let uses = self.uses.load(Ordering::Relaxed);
        if uses < OFTEN {
            return self.uses.store(uses + 1, Ordering::Relaxed);
        }
        let closed = lock(&self.closed);
        if !*closed {
            self.slots.get_or_init(Box::default);
        }
    }

    /// Cuts the circle: the node has no quitter any more, and will never have one again.
    pub(super) fn close(&self) {
        *lock(&self.closed) = true;
        for slot in self.slots.get().into_iter().flatten() {
            let arm = std::mem::replace(&mut *lock(slot), Slot::Closed);
            // It may be the last to hold the node.
            drop(arm);
        }
    }
}

/// No thread's number.
pub(super) const NOBODY: u32 = 0;

/// The number of this thread. That a number comes again after four thousand million threads does no
/// harm.
#[inline]
pub(super) fn this_thread() -> u32 {
    thread_local! {
        static OWN: Cell<u32> = const { Cell::new(NOBODY) };
    }
    #[cold]
    fn next() -> u32 {
        static LAST: AtomicU32 = AtomicU32::new(NOBODY);
        LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1)
    }
    if OWN.get() == NOBODY {
        OWN.set(next());
    }
    OWN.get()
}
