//! The state of a program's end, and the facts for its report.

use std::sync::Arc;
use std::time::Instant;

use crate::main_quitter::half_time::HalfTime;
use crate::main_quitter::signal_sources::SignalSources;
use crate::main_quitter::source::SourceInfo;
use crate::report::cause::QuitCause;
use crate::report::exit::ExitReport;
use crate::report::look::Before;
use crate::tree::{LiveAt, Node};

/// The phase of the program. It only ever moves on to a later one.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// No quit event has been announced.
    Running,
    /// The quit event was announced.
    Quitting,
    /// `exit` has made this report.
    Exited(Box<ExitReport>),
    /// The main quitter was dropped without an exit.
    Dropped,
}

impl Phase {
    /// Whether there is no main quitter any more.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Exited(_) | Self::Dropped)
    }
}

pub(crate) struct State {
    pub(crate) phase: Phase,
    /// Whether the event of each source is a failure, by the source's index.
    pub(crate) sources: Vec<bool>,
    pub(crate) all_done: Option<SourceInfo>,
    pub(crate) signals: SignalSources,
    /// Whether any source is a channel.
    pub(crate) channels: bool,
    /// Whether the registered routines were started.
    pub(crate) routines_started: bool,
    /// The exit code that the body of `main` returned, if it was not zero.
    pub(crate) body_code: Option<u8>,
    /// Whether the body failed, or returned such a code, while nothing else was running and nothing had
    /// failed.
    pub(super) ended_alone: bool,
    /// The events after the first.
    pub(super) later: Vec<QuitCause>,
    /// The routines that were live at half of the quit timeout.
    pub(super) half_time: HalfTime,
    pub(super) at_deadline: AtDeadline,
    /// Until when the exit collects, or collected, the stacks for its report.
    pub(super) held_until: Option<Instant>,
}

/// The look at the routines that are live at the deadline.
pub(super) enum AtDeadline {
    /// The watcher will take it.
    ByWatcher,
    /// `exit` was called, and itself waits until the deadline.
    ByExit,
    /// The watcher has taken it: the routines that stay in the report, and readings of all that were live.
    Taken(Look, Before),
}

/// The routines that were live at one moment.
#[derive(Clone, Default)]
pub(crate) struct Look {
    pub(crate) live: Vec<LiveAt>,
    /// The quitters whose subtrees could not be read.
    pub(crate) unread: Vec<Arc<Node>>,
}

/// The part of the state that a report needs.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) is_no_shutdown: bool,
    pub(super) source_failed: bool,
    pub(super) body_code: Option<u8>,
    pub(super) later: Vec<QuitCause>,
}

/// The looks at live routines that were taken before a report.
#[derive(Default)]
pub(super) struct Looks {
    pub(super) half_time: HalfTime,
    pub(super) at_deadline: Look,
    pub(super) before: Before,
}

impl State {
    pub(super) fn new(routines_started: bool) -> Self {
        Self {
            phase: Phase::Running,
            sources: Vec::new(),
            all_done: None,
            signals: SignalSources::default(),
            channels: false,
            routines_started,
            body_code: None,
            ended_alone: false,
            later: Vec::new(),
            half_time: HalfTime::default(),
            at_deadline: AtDeadline::ByWatcher,
            held_until: None,
        }
    }

    /// Whether a quit for this cause is a failure of the program. Derived from the cause, so that a report
    /// that has the cause cannot miss it.
    fn is_failure(&self, cause: &QuitCause) -> bool {
        match cause {
            QuitCause::Source { index, .. } => self.sources.get(*index) == Some(&true),
            _ => false,
        }
    }

    /// Whether this cause came from the body of `main` while there was nothing to shut down, as with a usage
    /// error.
    pub(super) fn is_no_shutdown(&self, cause: &QuitCause) -> bool {
        let is_body = matches!(
            cause,
            QuitCause::MainFailed { .. } | QuitCause::MainReturned { .. }
        );
        is_body && self.ended_alone
    }

    pub(super) fn facts(&self, cause: &QuitCause) -> Facts {
        Facts {
            is_no_shutdown: self.is_no_shutdown(cause),
            source_failed: self.source_failed(cause),
            body_code: self.body_code,
            later: self.later.clone(),
        }
    }

    pub(super) fn looks(&self) -> Looks {
        let (at_deadline, before) = match &self.at_deadline {
            AtDeadline::Taken(look, before) => (look.clone(), before.clone()),
            AtDeadline::ByWatcher | AtDeadline::ByExit => Default::default(),
        };
        Looks {
            half_time: self.half_time.clone(),
            at_deadline,
            before,
        }
    }

    /// Whether a source that is marked as a failure has fired.
    ///
    /// A channel that closes while the program quits is no failure: the owner of its sender has returned, as
    /// it should.
    fn source_failed(&self, first: &QuitCause) -> bool {
        let closed = |cause: &&QuitCause| matches!(cause, QuitCause::Source { closed: true, .. });
        let mut later = self.later.iter().filter(|cause| !closed(cause));
        self.is_failure(first) || later.any(|cause| self.is_failure(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_a_failure_fails_the_end_unless_it_closes_later() {
        let fired = |index, closed| QuitCause::Source {
            index,
            description: "source".to_owned(),
            message: None,
            closed,
        };
        let fails = |first: QuitCause, later: &[QuitCause]| {
            let mut state = State::new(true);
            state.sources = vec![false, true];
            state.later = later.to_vec();
            state.facts(&first).source_failed
        };
        assert!(!fails(fired(0, false), &[]));
        assert!(fails(fired(1, false), &[]));
        assert!(fails(fired(1, true), &[]));
        assert!(fails(fired(0, false), &[fired(1, false)]));
        assert!(!fails(fired(0, false), &[fired(1, true)]));
        assert!(!fails(fired(0, false), &[QuitCause::MainDropped]));
    }
}
