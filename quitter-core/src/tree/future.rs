//! Futures that wait for a quit or for routines. They are waiters like threads, in the same lists.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

#[cfg(feature = "tokio")]
use super::live::LiveAt;
use super::node::Node;
use super::wait::{Excluded, Limits, Step, Wait};
use super::waiter::Waiter;
use super::waiters::{Key, Place};
use super::waker_id::WakerId;
use crate::routine::record::Record;

/// The place of a future in a list, and the id of its waker there.
///
/// Kept small, since waiting futures are parts of other futures, in which the compiler often stores them
/// twice, and there may be a million.
struct Entered<K> {
    at: K,
    waker: WakerId,
}

impl<K> Entered<K> {
    /// `waker` identifies the clone that is in the list, whose id may differ from that of the original.
    fn new(at: K, waker: WakerId) -> Self {
        Self { at, waker }
    }

    /// Whether this waker is known to be in the list.
    fn has(&self, waker: &Waker) -> bool {
        self.waker.is_of(waker)
    }
}

/// Ready once its node is told to quit.
pub(crate) struct QuitWait {
    /// The node that users know, in whose list this waits. The future must hold this very node: see number
    /// 3 in `quit.rs`.
    node: Arc<Node>,
    /// Set by the first poll that had to wait.
    entered: Option<Entered<Place>>,
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
        self.poll_as(Waiter::Future, cx)
    }
}

impl QuitWait {
    /// Like a poll, for a waker of quitter's own.
    #[cfg(feature = "process")]
    pub(crate) fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_as(Waiter::own, cx)
    }

    fn poll_as(&mut self, waiter: fn(Waker) -> Waiter, cx: &mut Context<'_>) -> Poll<()> {
        if self.node.is_quitting() {
            return Poll::Ready(());
        }
        // Only a quit takes the waker from the list. So it is still there, or has just been woken.
        let entered = self.entered.as_ref();
        if entered.is_some_and(|entered| entered.has(cx.waker())) {
            return Poll::Pending;
        }
        let before = entered.map(|entered| entered.at);
        // Cloning a waker runs the executor's code, so it is done before locking.
        let clone = cx.waker().clone();
        let waker = WakerId::of(&clone);
        match self.node.enter(waiter(clone), before) {
            None => Poll::Ready(()),
            Some(place) => {
                self.entered = Some(Entered::new(place, waker));
                Poll::Pending
            }
        }
    }
}

impl Drop for QuitWait {
    fn drop(&mut self) {
        // If the quit is settled, it has taken the waker from the list, or is about to.
        if let Some(entered) = &self.entered
            && !self.node.is_settled()
        {
            self.node.leave_quit_list(entered.at);
        }
    }
}

/// A wait for routines, driven by the polls of a future.
pub(crate) struct DoneWait {
    node: Arc<Node>,
    /// The routine to wait for; `None`: all of the subtree.
    record: Option<Arc<Record>>,
    limits: Limits,
    /// Created at the first poll.
    wait: Option<(Wait, Option<Entered<Key>>)>,
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

    /// Leaves out another routine than before, as the one that polls now.
    pub(crate) fn set_excluding(&mut self, excluding: Option<Excluded>) {
        if self.record.is_some() {
            return;
        }
        if let Some((wait, entered)) = &mut self.wait {
            if let Some(entered) = entered.take() {
                wait.leave(entered.at);
            }
            wait.set_excluding(excluding.clone());
        }
        self.limits.excluding = excluding;
    }

    /// Takes the next step of the wait. If it is pending, the task is woken when something changes.
    pub(crate) fn step(&mut self, cx: &mut Context<'_>) -> Step {
        self.step_as(Waiter::Future, cx)
    }

    /// Like [`step`](Self::step), for a waker of quitter's own.
    #[cfg(feature = "process")]
    pub(crate) fn step_own(&mut self, cx: &mut Context<'_>) -> Step {
        self.step_as(Waiter::own, cx)
    }

    fn step_as(&mut self, waiter: fn(Waker) -> Waiter, cx: &mut Context<'_>) -> Step {
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
        let is_entered =
            |entered: &Entered<Key>| entered.has(cx.waker()) && wait.is_entered(entered.at);
        if !entered.as_ref().is_some_and(is_entered) {
            let before = entered.as_ref().map(|entered| entered.at);
            let clone = cx.waker().clone();
            let waker = WakerId::of(&clone);
            let key = wait.enter(waiter(clone), before);
            *entered = Some(Entered::new(key, waker));
        }
        wait.step()
    }

    #[cfg(feature = "tokio")]
    /// Checks once, after the time is up, and lists the live routines that were waited for.
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
            wait.leave(entered.at);
        }
    }
}

#[cfg(all(test, not(loom), target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn a_wait_for_a_quit_is_small() {
        assert_eq!(size_of::<QuitWait>(), 24);
    }
}
