//! The nodes of the tree: which nodes there are, and where.
//!
//! A node is small, since most quitters only ever answer whether they are quitting. A node with something
//! to find (a live routine, a waiting thread, a child that has these) gets a [`Roster`], and walks visit
//! only nodes with rosters: idle nodes cost a quit or a wait nothing.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use once_cell::race::OnceBox;

use super::quit::{Quit, UNCHECKED};
use super::roster::{Root, Roster};
use super::shards::{NO_THREAD, SHARD};
use crate::error::Quitting;
use crate::report::failure::{Failures, RoutineFailure};
use crate::report::path::QuitterPath;
use crate::routine::record::next_id;
use crate::sync::{AtomicU32, AtomicU64};

pub(crate) struct Node {
    /// Of the nodes that one thread creates, later ones have greater ids. See [`SHARD`].
    id: u64,
    pub(super) parent: Option<Arc<Node>>,
    name: Cow<'static, str>,
    /// Whether the node is quitting, as last found out: see `quit.rs`.
    pub(super) checked: AtomicU64,
    /// The quit that this node itself was told.
    pub(super) told: OnceBox<Quit>,
    pub(super) roster: OnceBox<Roster>,
    /// The number of handles of the quitter: see `shards.rs`.
    pub(super) quitters: AtomicU32,
    /// The first thread that created a child or a routine here: see `shards.rs`.
    pub(super) first_thread: AtomicU32,
}

impl Node {
    pub(crate) fn root(name: Cow<'static, str>, quit_timeout: Option<Duration>) -> Arc<Self> {
        let root = Self::new(next_id(), None, name);
        let roster = Roster::of_root(Root::new(quit_timeout));
        let _ = root.roster.set(Box::new(roster));
        Arc::new(root)
    }

    /// Creates a child, unless this node is quitting. The child finds a quit that comes meanwhile.
    #[inline] // Half of the cost is a name that is not passed on in registers.
    pub(crate) fn child(self: &Arc<Self>, name: Cow<'static, str>) -> Result<Arc<Self>, Quitting> {
        if self.is_quitting() {
            return Err(Quitting);
        }
        let parent = self.shard_node();
        Ok(Arc::new(Self::new(next_id(), Some(parent), name)))
    }

    /// Creates a shard of this node: see `shards.rs`.
    pub(super) fn new_shard(self: &Arc<Self>) -> Arc<Self> {
        let parent = Some(Arc::clone(self));
        Arc::new(Self::new(next_id() | SHARD, parent, Cow::Borrowed("")))
    }

    #[inline]
    fn new(id: u64, parent: Option<Arc<Self>>, name: Cow<'static, str>) -> Self {
        Self {
            id,
            parent,
            name,
            checked: AtomicU64::new(UNCHECKED),
            told: OnceBox::new(),
            roster: OnceBox::new(),
            quitters: AtomicU32::new(1),
            first_thread: AtomicU32::new(NO_THREAD),
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn is_shard(&self) -> bool {
        self.id & SHARD != 0
    }

    /// The node that users know: this one, or the one that this is a shard of.
    pub(crate) fn owner(self: &Arc<Self>) -> &Arc<Self> {
        match &self.parent {
            Some(parent) if self.is_shard() => parent,
            _ => self,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The node itself, its parent, and so on up to the root.
    pub(crate) fn upwards(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |node| node.parent.as_ref())
    }

    /// The ids and names of this node, of its parent, and so on up to the root, without shards.
    pub(crate) fn lineage(self: &Arc<Self>) -> impl Iterator<Item = (u64, &Cow<'static, str>)> {
        let known = self.upwards().filter(|node| !node.is_shard());
        known.map(|node| (node.id, &node.name))
    }

    /// The names from the root down, joined with slashes.
    pub(crate) fn path(self: &Arc<Self>) -> String {
        let mut names: Vec<&str> = self.lineage().map(|(_, name)| &**name).collect();
        names.reverse();
        names.join("/")
    }

    pub(super) fn is_below_or_at(self: &Arc<Self>, top: &Arc<Self>) -> bool {
        self.upwards().any(|node| Arc::ptr_eq(node, top))
    }

    pub(crate) fn is_root(self: &Arc<Self>) -> bool {
        self.owner().parent.is_none()
    }

    fn uppermost(self: &Arc<Self>) -> &Arc<Self> {
        self.upwards().last().unwrap_or(self)
    }

    /// The state that exists once per tree.
    fn tree(self: &Arc<Self>) -> &Root {
        let roster = self.uppermost().roster.get();
        let root = roster.and_then(Roster::root);
        root.expect("a root has a roster with it")
    }

    pub(crate) fn root_node(self: &Arc<Self>) -> Arc<Self> {
        Arc::clone(self.uppermost())
    }

    /// How long the whole tree has once its root is told to quit.
    pub(super) fn tree_timeout(self: &Arc<Self>) -> Option<Duration> {
        self.tree().quit_timeout
    }

    /// Whether this is the main quitter's tree, not a separate one of a library or test.
    pub(crate) fn is_of_main(self: &Arc<Self>) -> bool {
        self.tree_timeout().is_some()
    }

    /// Records or only counts a failure: see [`FailureLog::record`](crate::report::failure::FailureLog).
    pub(crate) fn record_failure(
        self: &Arc<Self>,
        matters: bool,
        counts: bool,
        failure: impl FnOnce(QuitterPath) -> RoutineFailure,
    ) {
        let mut failures = self.tree().failures();
        failures.record(matters, counts, self.lineage(), failure);
    }

    /// The failures of the whole tree so far.
    pub(crate) fn failures(self: &Arc<Self>) -> Failures {
        self.tree().failures().failures().clone()
    }

    /// The failures of the whole tree so far, unless other threads hold their lock for longer than
    /// `at_most`.
    pub(crate) fn try_failures(self: &Arc<Self>, at_most: Duration) -> Option<Failures> {
        let failures = self.tree().try_failures(at_most)?;
        Some(failures.failures().clone())
    }

    /// Removes the node from its parent's list when it is dropped (invariant 3). The list identifies it by
    /// its address on the heap.
    fn leave(&self, parent: &Arc<Node>, was_at: *const Node) {
        if let Some(roster) = self.roster.get() {
            parent.roster().forget(was_at, roster);
            roster.stop_counting_hooks();
        }
    }
}

impl Drop for Node {
    /// If this node was the last to hold its parent, drops the parent, too, and so on upwards (invariant
    /// 8).
    fn drop(&mut self) {
        let Some(mut parent) = self.parent.take() else {
            return;
        };
        self.leave(&parent, self);
        loop {
            let was_at = Arc::as_ptr(&parent);
            let Some(mut node) = Arc::into_inner(parent) else {
                return;
            };
            let Some(above) = node.parent.take() else {
                return;
            };
            node.leave(&above, was_at);
            parent = above;
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
