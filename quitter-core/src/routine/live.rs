//! The life of every routine, whatever the kind of work: checked in, always checked out, and its failure
//! recorded before that.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::current::Current;
use super::failing;
use super::hook;
use super::kind::Work;
use super::linger;
use super::outcome::RoutineOutcome;
use super::panics;
use super::quitter::RoutineQuitter;
use super::record::{Place, Record};
use super::spare;
use crate::error::Quitting;
use crate::report::failure::{FailureKind, OnFailure};
use crate::trace::RoutineSpan;
use crate::tree::Node;

/// The body of a routine that runs on a thread of its own. It gets its quitter, and a function that records
/// a failure.
pub(super) type Body = Box<dyn FnOnce(&RoutineQuitter, &dyn Fn(FailureKind)) + Send>;

/// A live routine, which checks out when this is dropped, at the latest.
pub(crate) struct Live {
    quitter: RoutineQuitter,
    span: RoutineSpan,
}

impl Live {
    /// A routine that was [checked in](check_in).
    #[inline]
    pub(super) fn new((quitter, span): (RoutineQuitter, RoutineSpan)) -> Self {
        Self { quitter, span }
    }

    /// The live routine of a `record` that is already listed at `node`.
    pub(super) fn of_listed(node: Arc<Node>, record: Arc<Record>) -> Self {
        hook::install();
        panics::forget_last();
        let span = RoutineSpan::start(&node, &record);
        Self::new((RoutineQuitter::new(node, record), span))
    }

    pub(super) fn quitter(&self) -> &RoutineQuitter {
        &self.quitter
    }

    /// Records that the routine has failed, if this is its first failure.
    pub(super) fn fail(&self, kind: FailureKind) {
        failing::fail(&self.quitter, kind);
    }

    /// Makes this the routine that runs on this thread, and calls `f`. A panic is its failure.
    pub(super) fn call(&self, f: impl FnOnce()) {
        let current = Current::enter(&self.quitter);
        let _span = self.span.enter();
        current.mark_stack();
        panics::catch(f, |kind| self.fail(kind));
    }

    /// Runs the whole routine on its own thread, which ends after that.
    pub(super) fn run(self, body: Body) {
        self.call(|| body(&self.quitter, &|kind| self.fail(kind)));
        if let Some(crowd) = self.end() {
            linger::in_a_crowd(crowd);
        }
    }

    /// Calls `f` as [`call`](Self::call) does, and records the outcome that it returns.
    pub(super) fn settle<F, R>(&self, f: F)
    where
        F: FnOnce(&RoutineQuitter) -> R,
        R: RoutineOutcome,
    {
        self.call(|| settle(f, &self.quitter, &|kind| self.fail(kind)));
    }

    /// Checks out. Returns how many others are live and waited for, if the routine was told to quit.
    fn end(&self) -> Option<usize> {
        check_out(&self.quitter, &self.span).filter(|_| self.quitter.node().is_quitting())
    }
}

/// Calls `f` with its quitter, and reports a failure to `failed`.
pub(super) fn settle<F, R>(f: F, quitter: &RoutineQuitter, failed: &dyn Fn(FailureKind))
where
    F: FnOnce(&RoutineQuitter) -> R,
    R: RoutineOutcome,
{
    // The user's error is formatted and dropped in this call, since its code may panic, too.
    f(quitter).settle(failed);
}

/// Lists a routine that started at `now`, unless the node is quitting. The caller has to call
/// [`check_out`].
#[inline]
pub(super) fn check_in(
    node: &Arc<Node>,
    work: Work,
    name: Cow<'static, str>,
    spawned_at: Place,
    on_failure: Option<OnFailure>,
    now: Duration,
) -> Result<(RoutineQuitter, RoutineSpan), Quitting> {
    hook::install();
    panics::forget_last();
    let record = spare::fill(|| Record::new(work, name, spawned_at, on_failure, now));
    let node = node.shard_node();
    node.check_in(&record)?;
    let span = RoutineSpan::start(&node, &record);
    Ok((RoutineQuitter::new(node, record), span))
}

/// Removes a routine from the list. If somebody waits for all routines, returns how many others are live.
#[inline]
pub(super) fn check_out(quitter: &RoutineQuitter, span: &RoutineSpan) -> Option<usize> {
    span.ended(quitter);
    let (left, waited_for) = quitter.node().check_out(quitter.record());
    spare::keep(left);
    waited_for
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.quitter.record().is_finished() {
            self.end();
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.quitter.fmt(f)
    }
}
