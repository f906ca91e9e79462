//! Walks over the rosters of a subtree, one lock at a time.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use super::node::Node;
use super::roster::State;

/// Calls `visit` for `top` and every node below it that has a roster, under that roster's lock, with
/// what it returned for the node above.
pub(super) fn walk<T: Copy>(
    top: &Arc<Node>,
    above: T,
    visit: impl FnMut(&Arc<Node>, &mut State, T) -> T,
) {
    let mut walk = Walk::new(top, above, visit);
    walk.visit_free();
    while let Some((node, above)) = walk.held.pop() {
        let mut state = node.roster().lock_first();
        walk.visit(&node, &mut state, above);
        drop(state);
        walk.visit_free();
    }
}

/// Does what [`walk`] does, but waits for no lock beyond `until`. Returns the nodes that it could not
/// visit.
pub(super) fn try_walk<T: Copy>(
    top: &Arc<Node>,
    above: T,
    until: Instant,
    visit: impl FnMut(&Arc<Node>, &mut State, T) -> T,
) -> Vec<Arc<Node>> {
    const PAUSE: Duration = Duration::from_micros(200);
    let mut walk = Walk::new(top, above, visit);
    walk.visit_free();
    while !walk.held.is_empty() && Instant::now() < until {
        thread::sleep(PAUSE);
        walk.todo.append(&mut walk.held);
        walk.visit_free();
    }
    walk.held.into_iter().map(|(node, _)| node).collect()
}

/// A thread that holds a lock may have lost its processor. A walk that waited for each such thread in
/// turn would wait for all their turns added up, so it first visits what it can, and comes back to
/// what was held.
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
                // Nobody holds the child any more, so nothing is live there. What its routines did is
                // to be visible to whoever finds that out, as if it had been visited.
                None => fence(Ordering::Acquire),
            }
        }
    }
}
