//! Without the feature, everything is empty and leaves nothing in the build.

use std::sync::Arc;

use crate::report::failure::FailureKind;
use crate::report::notice::Notice;
use crate::routine::quitter::RoutineQuitter;
use crate::routine::record::Record;
use crate::tree::Node;

pub(crate) struct Tracer;

impl Tracer {
    pub(crate) const fn new() -> Self {
        Self
    }

    pub(crate) fn settle(&self) {}
}

/// Whether a subscriber may be called for a notice.
pub(crate) fn may_call() -> bool {
    false
}

#[inline]
pub(crate) fn this_thread_never_waits() {}

#[inline]
pub(crate) fn told_to_quit(_: &Arc<Node>) {}

pub(crate) struct RoutineSpan;

pub(crate) struct Entered;

impl RoutineSpan {
    #[inline]
    pub(crate) fn start(_: &Arc<Node>, _: &Record) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn enter(&self) -> Entered {
        Entered
    }

    #[inline]
    pub(crate) fn ended(&self, _: &RoutineQuitter) {}
}

pub(crate) struct FailureEvent;

impl FailureEvent {
    #[inline]
    pub(crate) fn of(_: &RoutineQuitter, _: &FailureKind) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn tell(self) {}
}

pub(crate) struct NoticeEvent;

impl NoticeEvent {
    #[inline]
    pub(crate) fn of(_: &Notice) -> Self {
        Self
    }

    /// Returns whether the subscriber has received it.
    #[inline]
    pub(crate) fn tell(self) -> bool {
        false
    }
}
