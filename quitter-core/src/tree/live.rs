//! The routines that a look has found, quitter by quitter.

use std::sync::Arc;

use super::node::Node;
use super::wait::Limits;
use crate::routine::record::Record;

/// The live routines of one quitter.
#[derive(Clone)]
pub(crate) struct LiveAt {
    pub(crate) node: Arc<Node>,
    pub(crate) routines: Vec<Arc<Record>>,
}

impl LiveAt {
    pub(crate) fn one(node: &Arc<Node>, record: &Arc<Record>) -> Self {
        Self {
            node: Arc::clone(node.owner()),
            routines: vec![Arc::clone(record)],
        }
    }

    /// Blocks until `record`, one of these, has ended, and returns whether it has in time.
    pub(crate) fn wait_for(&self, record: &Record, limits: &Limits) -> bool {
        let parts = self.node.parts();
        parts
            .iter()
            .all(|part| part.wait_for(record, limits.clone()))
    }
}

/// Nodes as a walk has visited them, each after the one above it, with what is live there.
#[derive(Default)]
pub(super) struct Visited {
    nodes: Vec<Visit>,
    has_live: bool,
}

struct Visit {
    node: Arc<Node>,
    /// Where the node above stands in the list.
    above: usize,
    routines: Vec<Arc<Record>>,
}

impl Visited {
    /// Adds a node that was found below the one that was added as number `above`, and what is live
    /// there. Returns the number of the quitter that both belong to.
    pub(super) fn push<'a>(
        &mut self,
        node: &Arc<Node>,
        above: usize,
        live: impl Iterator<Item = &'a Arc<Record>>,
    ) -> usize {
        let is_shard = node.is_shard() && !self.nodes.is_empty();
        let at = if is_shard { above } else { self.nodes.len() };
        if !is_shard {
            self.nodes.push(Visit {
                node: Arc::clone(node),
                above,
                routines: Vec::new(),
            });
        }
        self.nodes[at].routines.extend(live.cloned());
        self.has_live |= !self.nodes[at].routines.is_empty();
        at
    }

    /// Whether nothing is live so far.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_live
    }

    /// Those that have live routines: quitters before those above them, siblings and the routines of a
    /// quitter in the order of their ids.
    pub(super) fn in_order(mut self) -> Vec<LiveAt> {
        let mut below: Vec<Vec<usize>> = self.nodes.iter().map(|_| Vec::new()).collect();
        for (at, visit) in self.nodes.iter().enumerate().skip(1) {
            below[visit.above].push(at);
        }
        let mut live = Vec::new();
        if self.is_empty() {
            return live;
        }
        // Backwards: a node before those below it, and siblings from the last to the first.
        let mut todo = vec![0];
        while let Some(at) = todo.pop() {
            let visit = &mut self.nodes[at];
            let mut routines = std::mem::take(&mut visit.routines);
            if !routines.is_empty() {
                routines.sort_unstable_by_key(|record| record.id);
                let node = Arc::clone(&visit.node);
                live.push(LiveAt { node, routines });
            }
            let mut siblings = std::mem::take(&mut below[at]);
            siblings.sort_unstable_by_key(|at| self.nodes[*at].node.id());
            todo.extend(siblings);
        }
        live.reverse();
        live
    }
}
