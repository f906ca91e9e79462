//! Futures that wait for a quit or for routines. They are waiters like threads, in the same lists.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::node::Node;
use super::wait::{Limits, Step, Wait};
use super::waiter::Waiter;

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

/// Ready once nothing is live in a subtree. The deadline of a quit does not end it.
pub(crate) struct DoneWait {
    node: Arc<Node>,
    limits: Limits,
    /// Made at the first poll.
    wait: Option<(Wait, Arc<Waiter>)>,
}

impl DoneWait {
    pub(crate) fn new(node: &Arc<Node>, limits: Limits) -> Self {
        Self {
            node: Arc::clone(node.owner()),
            limits,
            wait: None,
        }
    }
}

impl Future for DoneWait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let (wait, waiter) = this.wait.get_or_insert_with(|| {
            let wait = Wait::for_subtree(&this.node, this.limits.clone());
            let waiter = Waiter::future(wait.spare());
            (wait, waiter)
        });
        waiter.keep_waker(cx.waker());
        match wait.step(waiter) {
            Step::Done => Poll::Ready(()),
            Step::TimeUp | Step::Pending(_) => Poll::Pending,
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
