//! Futures that wait for routines. The one that waits may be a routine itself, as a task.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::current;
use super::record::Record;
#[cfg(feature = "tokio")]
use crate::tree::LiveAt;
use crate::tree::{DoneWait, Limits, Node, Step};

/// Marks the routine that creates it as waiting for others, until it is dropped.
pub(crate) struct Mark(Option<Arc<Record>>);

impl Mark {
    /// Marks the current routine, if any.
    pub(crate) fn new() -> Self {
        let current = current::get();
        let waits = current.map(|quitter| Arc::clone(quitter.record()));
        if let Some(record) = &waits {
            record.begin_wait();
        }
        Self(waits)
    }

    fn id(&self) -> Option<u64> {
        self.0.as_ref().map(|record| record.id)
    }

    /// Ends the mark of a wait that has timed out.
    #[cfg(feature = "tokio")]
    fn time_up(mut self) {
        self.end(current::is_late());
    }

    fn end(&mut self, cut_short: bool) {
        if let Some(record) = self.0.take() {
            record.end_wait(cut_short);
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// A wait in async code. The routine that polls it is left out, and is marked as waiting for others while
/// the wait is pending, like a thread that blocks in a wait.
pub(crate) struct Awaited {
    wait: DoneWait,
    mark: Mark,
}

impl Awaited {
    /// To be made at the first poll.
    pub(crate) fn for_subtree(node: &Arc<Node>, limits: Limits) -> Self {
        let limits = Limits {
            excluding: current::excluded(),
            ..limits
        };
        Self::new(DoneWait::for_subtree(node, limits))
    }

    /// To be made at the first poll.
    #[cfg(feature = "tokio")]
    pub(crate) fn for_one(node: &Arc<Node>, record: &Arc<Record>, limits: Limits) -> Self {
        Self::new(DoneWait::for_one(node, record, limits))
    }

    fn new(wait: DoneWait) -> Self {
        let mark = Mark::new();
        Self { wait, mark }
    }

    /// Another routine may poll than before, as when a future is handed on.
    pub(crate) fn step(&mut self, cx: &mut Context<'_>) -> Step {
        if current::id() != self.mark.id() {
            self.mark = Mark::new();
            self.wait.set_excluding(current::excluded());
        }
        self.wait.step(cx)
    }

    /// Lists the live routines that were waited for, once the time is up.
    #[cfg(feature = "tokio")]
    pub(crate) fn look(self) -> Result<(), Vec<LiveAt>> {
        let live = self.wait.look();
        if live.is_err() {
            self.mark.time_up();
        }
        live
    }
}

/// Ready once nothing is live in a subtree. The deadline of a quit does not end it.
pub(crate) struct Done {
    node: Arc<Node>,
    /// Present from the first poll to the last.
    wait: Option<Awaited>,
}

impl Done {
    pub(crate) fn new(node: &Arc<Node>) -> Self {
        Self {
            node: Arc::clone(node),
            wait: None,
        }
    }
}

impl Future for Done {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let wait = this.wait.get_or_insert_with(|| {
            let limits = Limits {
                ignore_deadlines: true,
                ..Limits::default()
            };
            Awaited::for_subtree(&this.node, limits)
        });
        match wait.step(cx) {
            Step::Done => {
                this.wait = None;
                Poll::Ready(())
            }
            Step::TimeUp | Step::Pending(_) => Poll::Pending,
        }
    }
}
