//! The responses to failures that are set at a node, for it and the nodes below.

use std::sync::Arc;

use crossbeam_utils::atomic::AtomicCell;

use super::node::Node;
use crate::report::failure::{FailuresWhileQuitting, OnFailure};

#[derive(Default)]
pub(super) struct Policies {
    on_failure: AtomicCell<Option<OnFailure>>,
    while_quitting: AtomicCell<Option<FailuresWhileQuitting>>,
}

impl Node {
    fn policies(self: &Arc<Self>) -> &Policies {
        self.owner().roster().policies()
    }

    /// The policy set at this node, or else at the nearest node above.
    fn nearest<T: Default>(self: &Arc<Self>, set: impl Fn(&Policies) -> Option<T>) -> T {
        let set = |node: &Arc<Self>| set(node.roster.get()?.policies());
        self.upwards().find_map(set).unwrap_or_default()
    }

    /// Sets the response to failures of routines at this node and below it that have none of their own.
    pub(crate) fn set_on_failure(self: &Arc<Self>, on_failure: OnFailure) {
        self.policies().on_failure.store(Some(on_failure));
    }

    pub(crate) fn on_failure(self: &Arc<Self>) -> OnFailure {
        self.nearest(|policies| policies.on_failure.load())
    }

    /// Sets whether failures while quitting, at this node and below it, change the exit code.
    pub(crate) fn set_failures_while_quitting(self: &Arc<Self>, policy: FailuresWhileQuitting) {
        self.policies().while_quitting.store(Some(policy));
    }

    pub(crate) fn failures_while_quitting(self: &Arc<Self>) -> FailuresWhileQuitting {
        self.nearest(|policies| policies.while_quitting.load())
    }
}
