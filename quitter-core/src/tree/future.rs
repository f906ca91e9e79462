//! Futures that wait for a quit or for routines. They are waiters like threads, in the same lists.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

#[cfg(feature = "tokio")]
use super::live::LiveAt;
use super::node::Node;
use super::wait::{Limits, Step, Wait};
use super::waiter::{Waiter, WakerId};
use super::waiters::Key;
use crate::routine::record::Record;

/// A future's place in a list, and the waker that is there.
struct Entered {
    key: Key,
    /// That of the clone, which is not always that of the waker it is a clone of.
    waker: WakerId,
}

impl Entered {
    fn has(&self, cx: &Context<'_>) -> bool {
        self.waker == WakerId::of(cx.waker())
    }
}

/// Ready once its node is told to quit.
pub(crate) struct QuitWait {
    /// The node that users know, in whose list this waits. It must be this one that is held: see
    /// number 3 in `quit.rs`.
    node: Arc<Node>,
    /// Since the first poll that had to wait.
    entered: Option<Entered>,
}

impl QuitWait {
    pub(crate) fn new(node: &Arc<Node>) -> Self {
        Self {
            node: Arc::clone(node.owner()),
            entered: None,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.node.is_quitting()
    }
}

impl Future for QuitWait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.node.is_quitting() {
            return Poll::Ready(());
        }
        // Only a quit takes it from the list. So this waker is there, or has just been woken.
        if this.entered.as_ref().is_some_and(|entered| entered.has(cx)) {
            return Poll::Pending;
        }
        let before = this.entered.as_ref().map(|entered| entered.key);
        // To clone a waker is the executor's code: not under the lock.
        let clone = cx.waker().clone();
        let waker = WakerId::of(&clone);
        match this.node.enter(Waiter::Future(clone), before) {
            None => Poll::Ready(()),
            Some(key) => {
                this.entered = Some(Entered { key, waker });
                Poll::Pending
            }
        }
    }
}

impl Drop for QuitWait {
    fn drop(&mut self) {
        // A quit that is settled has taken the waker from the list, or is about to.
        if let Some(entered) = &self.entered
            && !self.node.is_settled()
        {
            self.node.leave_quit_list(entered.key);
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
    wait: Option<(Wait, Option<Entered>)>,
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
            self.wait = wait.map(|wait| (wait, None));
        }
        let Some((wait, entered)) = &mut self.wait else {
            return Step::Done;
        };
        let is_entered = |entered: &Entered| entered.has(cx) && wait.is_entered(entered.key);
        if !entered.as_ref().is_some_and(is_entered) {
            let before = entered.as_ref().map(|entered| entered.key);
            let clone = cx.waker().clone();
            let waker = WakerId::of(&clone);
            let key = wait.enter(Waiter::Future(clone), before);
            *entered = Some(Entered { key, waker });
        }
        wait.step()
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
        if let Some((wait, Some(entered))) = &self.wait {
            wait.leave(entered.key);
        }
    }
}
