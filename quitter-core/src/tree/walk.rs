//! Walks over the rosters of a subtree, one lock at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use super::node::Node;
use super::roster::State;

/// How many walks wait for a lock, in the whole process. Only a hint, so it is not modelled by loom.
static WAITING: CachePadded<AtomicUsize> = CachePadded::new(AtomicUsize::new(0));

/// Until this is dropped, threads that want any roster's lock let this walk go first.
///
/// A thread that holds the lock may have been preempted, and has to run again first. So all others yield
/// the CPU, not only those that want the same lock. And std's lock is unfair: threads that start routines
/// in a loop could keep a walk out for seconds.
pub(super) struct GoesFirst(());

impl GoesFirst {
    pub(super) fn new() -> Self {
        WAITING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for GoesFirst {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Called before a routine that starts or ends takes a lock.
#[inline]
pub(super) fn let_walks_go_first() {
    if WAITING.load(Ordering::Relaxed) > 0 {
        give_way();
    }
}

/// Yields for a bounded time, since a walk may wait for a thread that runs very rarely.
#[cold]
fn give_way() {
    const TIMES: usize = if cfg!(loom) { 0 } else { 20 };
    for _ in 0..TIMES {
        thread::yield_now();
        if WAITING.load(Ordering::Relaxed) == 0 {
            return;
        }
    }
}

/// Calls `visit` for `top` and every node below it that has a roster, under that roster's lock. The last
/// argument is the value that `visit` returned for the node above, or `above` for `top`.
pub(super) fn walk<T: Copy>(
    top: &Arc<Node>,
    above: T,
    visit: impl FnMut(&Arc<Node>, &mut State, T) -> T,
) {
    let mut walk = Walk::new(top, above, visit);
    walk.visit_free();
    if walk.held.is_empty() {
        return;
    }
    let _first = GoesFirst::new();
    while let Some((node, above)) = walk.held.pop() {
        let mut state = node.roster().lock_in_walk();
        walk.visit(&node, &mut state, above);
        drop(state);
        walk.visit_free();
    }
}

/// Like [`walk`], but waits for no lock beyond `until`. Returns the nodes that it could not visit.
pub(super) fn try_walk<T: Copy>(
    top: &Arc<Node>,
    above: T,
    until: Instant,
    visit: impl FnMut(&Arc<Node>, &mut State, T) -> T,
) -> Vec<Arc<Node>> {
    const PAUSE: Duration = Duration::from_micros(200);
    let mut walk = Walk::new(top, above, visit);
    walk.visit_free();
    let _first = (!walk.held.is_empty()).then(GoesFirst::new);
    while !walk.held.is_empty() && Instant::now() < until {
        thread::sleep(PAUSE);
        walk.todo.append(&mut walk.held);
        walk.visit_free();
    }
    walk.held.into_iter().map(|(node, _)| node).collect()
}

/// A thread that holds a lock may have been preempted. A walk that waited for each such thread in turn
/// would add up all these waits. So it first visits the nodes that are free, and comes back to those that
/// were locked.
struct Walk<T, F> {
    visit: F,
    todo: Vec<(Arc<Node>, T)>,
    held: Vec<(Arc<Node>, T)>,
}

impl<T: Copy, F: FnMut(&Arc<Node>, &mut State, T) -> T> Walk<T, F> {
    fn new(top: &Arc<Node>, above: T, visit: F) -> Self {
        Self {
            visit,
            todo: vec![(Arc::clone(top), above)],
            held: Vec::new(),
        }
    }

    fn visit_free(&mut self) {
        while let Some((node, above)) = self.todo.pop() {
            match node.roster().try_lock() {
                Some(mut state) => self.visit(&node, &mut state, above),
                None => self.held.push((Arc::clone(&node), above)),
            }
        }
    }

    fn visit(&mut self, node: &Arc<Node>, state: &mut State, above: T) {
        let result = (self.visit)(node, state, above);
        for child in &state.children {
            match child.upgrade() {
                Some(child) => self.todo.push((child, result)),
                // Nothing holds the child any more, so nothing is live there. The fence makes what its
                // routines did visible to this walk, as if the child had been visited.
                None => fence(Ordering::Acquire),
            }
        }
    }
}
