//! The routines that a look or a snapshot has found, quitter by quitter.

use std::sync::Arc;

use super::node::Node;
use super::roster::State;
use super::wait::Limits;
use super::walk::walk;
use crate::routine::record::Record;

/// The live routines of one quitter.
#[derive(Clone)]
pub(crate) struct LiveAt {
    pub(crate) node: Arc<Node>,
    pub(crate) routines: Vec<Arc<Record>>,
}

fn sort_by_id(routines: &mut [Arc<Record>]) {
    routines.sort_unstable_by_key(|record| record.id);
}

impl LiveAt {
    /// Adds routines of the same quitter.
    pub(crate) fn append(&mut self, more: &mut Vec<Arc<Record>>) {
        self.routines.append(more);
        sort_by_id(&mut self.routines);
    }

    pub(crate) fn one(node: &Arc<Node>, record: &Arc<Record>) -> Self {
        Self {
            node: Arc::clone(node.owner()),
            routines: vec![Arc::clone(record)],
        }
    }

    /// Blocks until `record`, which is one of these routines, has ended. Returns whether it ended in time.
    pub(crate) fn wait_for(&self, record: &Record, limits: &Limits) -> bool {
        let parts = self.node.parts();
        parts
            .iter()
            .all(|part| part.wait_for(record, limits.clone()))
    }
}

/// A quitter that a walk has found.
pub(crate) struct Found {
    pub(crate) node: Arc<Node>,
    /// The index in the list of the quitter above; the first one has none.
    pub(crate) above: usize,
    pub(crate) routines: Vec<Arc<Record>>,
    /// How many threads and futures wait at the quitter, for a quit or for routines, not counting the exit.
    pub(crate) waiting: usize,
}

impl Found {
    fn has_something(&self) -> bool {
        !self.routines.is_empty() || self.waiting > 0 || self.node.own_quit().is_some()
    }

    fn in_order(mut self) -> Self {
        sort_by_id(&mut self.routines);
        self
    }
}

/// The nodes that a walk has visited, each after the node above it, with their live routines.
#[derive(Default)]
pub(super) struct Visited {
    nodes: Vec<Found>,
    has_live: bool,
}

impl Visited {
    /// Adds a node below the quitter at the index `above`, with its live routines and the number of waiters
    /// there. Returns the index of the quitter that the node belongs to.
    pub(super) fn push<'a>(
        &mut self,
        node: &Arc<Node>,
        above: usize,
        live: impl Iterator<Item = &'a Arc<Record>>,
        waiting: usize,
    ) -> usize {
        let is_shard = node.is_shard() && !self.nodes.is_empty();
        let at = if is_shard { above } else { self.nodes.len() };
        if !is_shard {
            self.nodes.push(Found {
                node: Arc::clone(node),
                above,
                routines: Vec::new(),
                waiting: 0,
            });
        }
        let found = &mut self.nodes[at];
        found.routines.extend(live.cloned());
        found.waiting += waiting;
        self.has_live |= !found.routines.is_empty();
        at
    }

    /// Whether nothing is live so far.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_live
    }

    /// The quitters that have live routines: each before the quitter above it; siblings, and the routines
    /// of a quitter, in the order of their ids.
    pub(super) fn in_order(self) -> Vec<LiveAt> {
        if self.is_empty() {
            return Vec::new();
        }
        // In reverse: each node before the nodes below it, and siblings from the last to the first.
        let order = self.downwards(|ids| ids.reverse());
        let mut nodes: Vec<_> = self.nodes.into_iter().map(Some).collect();
        let upwards = order.into_iter().rev();
        let found = upwards.filter_map(|at| nodes[at].take());
        let live = found.filter(|found| !found.routines.is_empty());
        live.map(Found::in_order)
            .map(|Found { node, routines, .. }| LiveAt { node, routines })
            .collect()
    }

    /// The first quitter, and those that are not empty or have such quitters below: each after the quitter
    /// above it; siblings, and the routines of a quitter, in the order of their ids.
    fn with_something(self) -> Vec<Found> {
        let mut wanted: Vec<bool> = self.nodes.iter().map(Found::has_something).collect();
        for (at, found) in self.nodes.iter().enumerate().rev() {
            wanted[found.above] |= wanted[at];
        }
        wanted[0] = true;
        let order = self.downwards(|_| ());
        let mut nodes: Vec<_> = self.nodes.into_iter().map(Some).collect();
        let mut places = vec![0; nodes.len()];
        let mut all = Vec::new();
        for at in order.into_iter().filter(|at| wanted[*at]) {
            places[at] = all.len();
            if let Some(mut found) = nodes[at].take() {
                found.above = places[found.above];
                all.push(found.in_order());
            }
        }
        all
    }

    /// The indexes of all quitters, each after that of the quitter above it. Siblings are in the order of
    /// their ids, as changed by `arrange`.
    fn downwards(&self, arrange: fn(&mut [usize])) -> Vec<usize> {
        let mut below: Vec<Vec<usize>> = self.nodes.iter().map(|_| Vec::new()).collect();
        for (at, found) in self.nodes.iter().enumerate().skip(1) {
            below[found.above].push(at);
        }
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut todo = vec![0];
        while let Some(at) = todo.pop() {
            order.push(at);
            let mut siblings = std::mem::take(&mut below[at]);
            siblings.sort_unstable_by_key(|at| self.nodes[*at].node.id());
            arrange(&mut siblings);
            // Reversed, so that the first is popped first.
            todo.extend(siblings.into_iter().rev());
        }
        order
    }
}

impl Node {
    /// How many routines of this quitter, and of all below it, are live.
    pub(crate) fn live_routines(self: &Arc<Self>) -> usize {
        let top = self.owner();
        let mut count = 0;
        // Without a roster there is nothing to find, and a walk would create one.
        if top.roster.get().is_some() {
            walk(top, (), |node, state: &mut State, ()| {
                count += state.live(node, None).count();
            });
        }
        count
    }

    /// This quitter, and those below it that are not empty or have such quitters below.
    pub(crate) fn all_found(self: &Arc<Self>) -> Vec<Found> {
        let top = self.owner();
        let mut visited = Visited::default();
        match top.roster.get() {
            // There is nothing to find, and a walk would create a roster.
            None => _ = visited.push(top, 0, std::iter::empty(), 0),
            Some(_) => walk(top, 0, |node, state: &mut State, above| {
                visited.push(node, above, state.live(node, None), state.waiting())
            }),
        }
        visited.with_something()
    }
}
