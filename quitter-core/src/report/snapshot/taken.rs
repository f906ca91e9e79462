//! Takes snapshots: first what the tree lists, then what the system says about each routine.

use std::sync::Arc;
#[cfg(feature = "stacks")]
use std::time::Instant;

use super::Snapshot;
use crate::report::look::{Listed, Look, look};
use crate::routine::record::Record;
#[cfg(feature = "stacks")]
use crate::stacks;
use crate::tree::Node;

/// A snapshot of the tree, to which what the system says can be added.
pub(crate) struct Taken {
    snapshot: Snapshot,
    /// The routines of each quitter.
    records: Vec<Vec<Arc<Record>>>,
}

impl Taken {
    /// Lists what lives at the quitter of `node` and below.
    pub(crate) fn of(node: &Arc<Node>) -> Self {
        let found = node.all_found();
        let snapshot = Snapshot::of(node, &found);
        // Drops the nodes: holding one would keep the quitter in the tree.
        let records = found.into_iter().map(|found| found.routines);
        Self {
            snapshot,
            records: records.collect(),
        }
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Adds what the system says without a pause.
    pub(crate) fn at_a_glance(mut self) -> Snapshot {
        self.look(Look::GLANCE);
        self.snapshot
    }

    /// Adds everything that the system says. This takes up to a second with the feature `stacks`, and up to a
    /// tenth of that without.
    pub(crate) fn in_full(mut self) -> Snapshot {
        #[cfg(feature = "stacks")]
        let until = Instant::now() + stacks::TIME_LIMIT;
        self.look(Look::THOROUGH);
        #[cfg(feature = "stacks")]
        {
            let stacks = stacks::of(self.records.iter().flatten(), until);
            self.snapshot.add_stacks(stacks);
        }
        self.snapshot
    }

    fn look(&mut self, how: Look<'_>) {
        let quitters = self.snapshot.quitters.iter_mut().zip(&self.records);
        let listed =
            quitters.flat_map(|(at, records)| Listed::of(&at.path, &mut at.routines, records));
        look(listed, how);
    }
}
