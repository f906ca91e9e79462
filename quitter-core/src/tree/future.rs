//! Futures that wait for a quit or for routines. They are waiters like threads, in the same lists.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

#[cfg(feature = "tokio")]
use super::live::LiveAt;
use super::node::Node;
use super::wait::{Limits, Step, Wait};
use super::waiter::Waiter;
use crate::routine::record::Record;

/// Ready once its node is told to quit.
pub(crate) struct QuitWait {
    node: Arc<Node>,
    /// Made at the first poll that has to wait.
    waiter: Option<Arc<Waiter>>,
}

impl QuitWait {
    pub(crate) fn new(node: &Arc<Node>) -> Self {
        Self {
            node: Arc::clone(node),
            waiter: None,
        }
    }
}

impl QuitWait {
    pub(crate) fn is_over(&self) -> bool {
        self.node.is_quitting()
    }
}

impl Future for QuitWait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.node.is_quitting() {
            return Poll::Ready(());
        }
        let waiter = self.waiter.get_or_insert_with(|| Waiter::future(0));
        let has_to_enter = waiter.keep_waker(cx.waker());
        let waiter = Arc::clone(waiter);
        match has_to_enter && !self.node.enter(&waiter) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for QuitWait {
    fn drop(&mut self) {
        if let Some(waiter) = &self.waiter {
            self.node.leave_quit_list(waiter);
        }
    }
}

/// A wait for routines, which a future polls.
pub(crate) struct DoneWait {
    node: Arc<Node>,
    /// The one that is waited for; `None`: all of the subtree.
    record: Option<Arc<Record>>,
    limits: Limits,
    /// Made at the first poll.
    wait: Option<(Wait, Arc<Waiter>)>,
}

impl DoneWait {
    /// A wait for all routines of a subtree.
    pub(crate) fn for_subtree(node: &Arc<Node>, limits: Limits) -> Self {
        Self::new(Arc::clone(node.owner()), None, limits)
    }

    /// A wait for one routine of a node.
    #[cfg(feature = "tokio")]
    pub(crate) fn for_one(node: &Arc<Node>, record: &Arc<Record>, limits: Limits) -> Self {
        Self::new(Arc::clone(node), Some(Arc::clone(record)), limits)
    }

    fn new(node: Arc<Node>, record: Option<Arc<Record>>, limits: Limits) -> Self {
        Self {
            node,
            record,
            limits,
            wait: None,
        }
    }

    /// Goes on with the wait. If it is pending, the task is woken when there is something new.
    pub(crate) fn step(&mut self, cx: &mut Context<'_>) -> Step {
        if self.wait.is_none() {
            let limits = self.limits.clone();
            let wait = match &self.record {
                None => Some(Wait::for_subtree(&self.node, limits)),
                Some(record) => Wait::for_one(&self.node, record, limits),
            };
            self.wait = wait.map(|wait| {
                let waiter = Waiter::future(wait.spare());
                (wait, waiter)
            });
        }
        let Some((wait, waiter)) = &self.wait else {
            return Step::Done;
        };
        waiter.keep_waker(cx.waker());
        wait.step(waiter)
    }

    #[cfg(feature = "tokio")]
    /// Those that are live and were waited for: one honest look, after the time is up.
    pub(crate) fn look(&self) -> Result<(), Vec<LiveAt>> {
        match &self.record {
            None => self.node.look(self.limits.excluded_id()),
            Some(record) if record.is_finished() => Ok(()),
            Some(record) => Err(vec![LiveAt::one(&self.node, record)]),
        }
    }
}

impl Drop for DoneWait {
    fn drop(&mut self) {
        if let Some((wait, waiter)) = &self.wait {
            wait.leave(waiter);
        }
    }
}
