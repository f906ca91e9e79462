//! Shards, which avoid contention between threads that use one quitter at the same time.
//!
//! Creating a child or a routine writes to the node: to its reference count, and to its roster. Threads
//! that do so at one node pass these cache lines back and forth, at many times the cost of the work. So a
//! quitter that several threads use often gives each of them a shard: a hidden child of its node. A child
//! or routine that a thread creates at a shard belongs to the quitter, and every walk finds it, since walks
//! visit children. A quitter that is rarely used by threads other than its first has no shards: a shard
//! costs as much memory as several children.
//!
//! A node's roster holds its shards, and they hold the node: a reference cycle. The cycle is broken when
//! the last handle of the quitter is dropped (rule 7); from then on, a shard is held by what was created at
//! it. That is why handles are counted. A node without a roster has no shards to cut off, and gets none
//! later: only handles create shards, and a routine that outlives the handles has checked in, and so
//! created the roster.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::sync::{Arc, LazyLock};
use std::thread;

use crossbeam_utils::CachePadded;
use once_cell::race::OnceBox;

use super::node::Node;
use crate::sync::{Mutex, Ordering, lock, try_lock};

/// Marks a shard in its id, since a separate field would cost each node eight bytes, and half as much time
/// again to copy a new node to the heap.
pub(super) const SHARD: u64 = 1 << 63;

/// The shards of one node.
#[derive(Default)]
pub(super) struct Shards {
    /// How often threads other than its first used the node, up to [`OFTEN`]. Approximate, since increments
    /// may be lost.
    uses: AtomicUsize,
    slots: OnceBox<Slots>,
    /// Set when the cycle is broken. Locked while the slots are created.
    closed: Mutex<bool>,
}

/// A node that other threads use less often than this is better off without shards.
const OFTEN: usize = 64;

type Slots = Box<[CachePadded<Mutex<Slot>>]>;

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Shard(Arc<Node>),
    Closed,
}

/// Creates the slots of a node: twice as many as threads can run at once, so that they rarely share one.
fn slots() -> Slots {
    static COUNT: LazyLock<usize> = LazyLock::new(|| {
        let cores = thread::available_parallelism().map_or(8, usize::from);
        (2 * cores).min(16)
    });
    (0..*COUNT).map(|_| CachePadded::default()).collect()
}

impl Shards {
    /// The shard of this thread. `None`: the thread uses the node itself.
    #[inline]
    fn of(&self, node: &Arc<Node>, thread: u32) -> Option<Arc<Node>> {
        Self::among(self.slots.get()?, node, thread)
    }

    // Inlined, this would make its callers a quarter slower.
    #[inline(never)]
    fn among(slots: &Slots, node: &Arc<Node>, thread: u32) -> Option<Arc<Node>> {
        let slot = || &slots[thread.wrapping_add(MOVES.get()) as usize % slots.len()];
        // Two threads that share a slot would contend at each use, which takes five times as long.
        let mut slot = try_lock(slot()).unwrap_or_else(|| {
            MOVES.set(MOVES.get().wrapping_add(1));
            lock(slot())
        });
        if let Slot::Empty = *slot {
            *slot = Slot::Shard(node.new_shard());
        }
        match &*slot {
            Slot::Shard(shard) => Some(Arc::clone(shard)),
            _ => None,
        }
    }

    /// All shards. `None`: the cycle was broken, and the shards can only be found among the children.
    pub(super) fn all(&self) -> Option<Vec<Arc<Node>>> {
        let mut shards = Vec::new();
        for slot in self.slots.get().into_iter().flat_map(|slots| slots.iter()) {
            match &*lock(slot) {
                Slot::Empty => {}
                Slot::Shard(shard) => shards.push(Arc::clone(shard)),
                Slot::Closed => return None,
            }
        }
        Some(shards)
    }

    /// Counts a use by a thread that is not the node's first. After many uses, creates the slots for
    /// shards.
    fn count(&self) {
        let uses = self.uses.load(Ordering::Relaxed);
        if uses < OFTEN {
            return self.uses.store(uses + 1, Ordering::Relaxed);
        }
        let closed = lock(&self.closed);
        if !*closed {
            self.slots.get_or_init(|| Box::new(slots()));
        }
    }

    /// Breaks the cycle: there is no handle any more, and there will never be one again.
    fn close(&self) {
        *lock(&self.closed) = true;
        for slot in self.slots.get().into_iter().flat_map(|slots| slots.iter()) {
            let shard = std::mem::replace(&mut *lock(slot), Slot::Closed);
            // Dropped after unlocking: the shard may be the last to hold the node.
            drop(shard);
        }
    }
}

impl Node {
    /// The node on which this thread adds children and routines: the quitter's own, or a shard.
    #[inline]
    pub(crate) fn shard_node(self: &Arc<Self>) -> Arc<Self> {
        let node = self.owner();
        let thread = this_thread();
        let roster = node.roster.get();
        // Once there are shards, no thread writes to the node, not even its first.
        if let Some(shard) = roster.and_then(|roster| roster.shards().of(node, thread)) {
            return shard;
        }
        match node.first_thread.load(Ordering::Relaxed) {
            first if first == thread => {}
            NO_THREAD => node.first_thread.store(thread, Ordering::Relaxed),
            _ => node.roster().shards().count(),
        }
        Arc::clone(node)
    }

    /// Called for each handle of this quitter but the first, which is created with the node.
    pub(crate) fn add_quitter(&self) {
        self.quitters.fetch_add(1, Ordering::Relaxed);
    }

    /// Called when a handle of this quitter is dropped.
    #[inline]
    pub(crate) fn drop_quitter(self: &Arc<Self>) {
        // If nothing else holds the node, there is no cycle to break. The ordering is as in `Arc`: the
        // thread that drops the last handle sees what others did with theirs.
        if Arc::strong_count(self) > 1
            && self.quitters.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(roster) = self.roster.get()
        {
            roster.shards().close();
        }
    }
}

thread_local! {
    /// How many times this thread has left its slot to another thread, and moved to the next slot.
    static MOVES: Cell<u32> = const { Cell::new(0) };
}

/// A number that no thread has.
pub(super) const NO_THREAD: u32 = 0;

/// The number of this thread. It does no harm that numbers recur after four thousand million threads.
#[inline]
fn this_thread() -> u32 {
    thread_local! {
        static OWN: Cell<u32> = const { Cell::new(NO_THREAD) };
    }
    #[cold]
    fn next() -> u32 {
        static LAST: AtomicU32 = AtomicU32::new(NO_THREAD);
        LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1)
    }
    if OWN.get() == NO_THREAD {
        OWN.set(next());
    }
    OWN.get()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_leaves_its_shard_to_another_that_it_meets_there() {
        const LONGEST: Duration = Duration::from_secs(10);
        let root = Node::root("root".into(), None);
        let shards = root.roster().shards();
        (0..=OFTEN).for_each(|_| shards.count());
        let shard = || shards.of(&root, this_thread());
        let own = || shard().expect("it is used often");
        let first = own();
        assert!(Arc::ptr_eq(&own(), &first));
        let slots = shards.slots.get().expect("it is used often");
        let is_first =
            |slot: &Slot| matches!(slot, Slot::Shard(shard) if Arc::ptr_eq(shard, &first));
        let second = thread::scope(|scope| {
            let (is_held, held) = mpsc::channel();
            let (release, released) = mpsc::channel::<()>();
            scope.spawn(move || {
                let _slot = slots
                    .iter()
                    .map(|slot| lock(slot))
                    .find(|slot| is_first(slot));
                is_held.send(()).expect("it is waited for");
                _ = released.recv_timeout(LONGEST);
            });
            held.recv().expect("a slot has the first shard");
            let second = own();
            drop(release);
            second
        });
        assert!(!Arc::ptr_eq(&second, &first));
        assert!(Arc::ptr_eq(&own(), &second));
        // Called by hand, since there was no handle whose drop would do so.
        shards.close();
        assert!(shard().is_none());
    }
}
