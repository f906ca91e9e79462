//! Shards: they keep threads that use one quitter at the same time out of each other's way.
//!
//! To make a child or a routine is to write to the node that it is made at: to its count of holders,
//! and to its roster. Threads that do so at one node hand these cache lines back and forth, at many
//! times the price of the work. So a quitter that several threads use often gives each of them a
//! shard: a child of its node that nobody sees. What a thread makes there belongs to the quitter, and
//! every walk finds it, since walks go over children. A quitter that is used less often by others than
//! its first thread has none: a shard costs as much memory as several children.
//!
//! A node's roster holds its shards, and they hold the node: a circle. It is cut when the last handle
//! of the quitter goes (rule 7); from then on, what was made at a shard holds it. That is why handles
//! are counted. A node without a roster has no shards to cut off, and gets none later: only a handle
//! makes shards, and a routine that outlives the handles has checked in, and so made the roster.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::sync::{Arc, LazyLock};
use std::thread;

use crossbeam_utils::CachePadded;
use once_cell::race::OnceBox;

use super::node::Node;
use crate::sync::{Mutex, Ordering, lock, try_lock};

/// The mark of a shard in its id, since a field of its own would cost each node eight bytes, and half
/// of what it takes to copy a new node to the heap.
pub(super) const SHARD: u64 = 1 << 63;

/// The shards of one node.
#[derive(Default)]
pub(super) struct Shards {
    /// How often threads used the node that were not its first, up to [`OFTEN`]. Roughly: they may
    /// lose counts.
    uses: AtomicUsize,
    slots: OnceBox<Slots>,
    /// Set when the circle is cut. Held while the slots are made.
    closed: Mutex<bool>,
}

/// A node that is used less often by others than its first thread is better off without shards.
const OFTEN: usize = 64;

type Slots = Box<[CachePadded<Mutex<Slot>>]>;

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Shard(Arc<Node>),
    Closed,
}

/// How many shards a node gets: twice as many as threads can run at once, so that these rarely meet.
fn slots() -> Slots {
    static COUNT: LazyLock<usize> = LazyLock::new(|| {
        let cores = thread::available_parallelism().map_or(8, usize::from);
        (2 * cores).min(16)
    });
    (0..*COUNT).map(|_| CachePadded::default()).collect()
}

impl Shards {
    /// The shard of this thread. `None`: it uses the node itself.
    #[inline]
    fn of(&self, node: &Arc<Node>, thread: u32) -> Option<Arc<Node>> {
        Self::among(self.slots.get()?, node, thread)
    }

    // Inlined, it would make its callers a quarter slower.
    #[inline(never)]
    fn among(slots: &Slots, node: &Arc<Node>, thread: u32) -> Option<Arc<Node>> {
        let slot = || &slots[thread.wrapping_add(MOVES.get()) as usize % slots.len()];
        // Two threads at one slot would meet there at each use, which takes five times as long.
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

    /// All that there are. `None`: the circle was cut, and only who looks through the children finds them.
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

    /// Counts a use by a thread that is not the node's first. After many there are shards.
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

    /// Cuts the circle: there is no handle any more, and there will never be one again.
    fn close(&self) {
        *lock(&self.closed) = true;
        for slot in self.slots.get().into_iter().flat_map(|slots| slots.iter()) {
            let shard = std::mem::replace(&mut *lock(slot), Slot::Closed);
            // Dropped after unlocking: it may be the last to hold the node.
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
        // Where there are shards, nobody writes to the node, not even its first thread.
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

    /// Called for each handle of this quitter but the first, which the node is made with.
    pub(crate) fn add_quitter(&self) {
        self.quitters.fetch_add(1, Ordering::Relaxed);
    }

    /// Called when a handle of this quitter goes.
    #[inline]
    pub(crate) fn drop_quitter(self: &Arc<Self>) {
        // Where nothing else holds the node there is nothing to cut. Otherwise as in `Arc`: the thread
        // that drops the last handle sees what others did with theirs.
        if Arc::strong_count(self) > 1
            && self.quitters.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(roster) = self.roster.get()
        {
            roster.shards().close();
        }
    }
}

thread_local! {
    /// How many slots this thread has left to others, each time for the next one.
    static MOVES: Cell<u32> = const { Cell::new(0) };
}

/// No thread's number.
pub(super) const NO_THREAD: u32 = 0;

/// The number of this thread. It does no harm that a number comes again after four thousand million
/// threads.
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
        // There was no handle that goes.
        shards.close();
        assert!(shard().is_none());
    }
}
