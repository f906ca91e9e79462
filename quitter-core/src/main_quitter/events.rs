//! What the main quitter and its watcher both know: the tree, the sources, the events.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::main_quitter::signal::SecondSignal;
use crate::quitter::Quitter;
use crate::report::cause::QuitCause;
use crate::report::console;
use crate::report::exit::{ExitReport, Outcome};
use crate::report::failure::FailureKind;
use crate::report::notice::Notice;
use crate::report::timeouts::Timeouts;
use crate::tree::{Limits, LiveAt};

/// What the main quitter and its watcher both know.
pub(crate) struct Shared {
    root: Quitter,
    /// Set when the registered routines were forked.
    routines_started: AtomicBool,
    /// Set when the quit event was said.
    announced: Mutex<bool>,
    events: Mutex<Events>,
    signals: Mutex<Signals>,
    second_signal: SecondSignal,
}

/// The signals as a source, until the first one has come, and then when that was.
#[derive(Default)]
struct Signals {
    source: Option<Described>,
    first: Option<Instant>,
}

/// The sources, and what came from them.
#[derive(Default)]
pub(crate) struct Events {
    /// How many sources there are.
    pub(crate) sources: usize,
    pub(crate) all_done: Option<Described>,
    /// Whether signals are listened to.
    pub(crate) signals: bool,
    /// Whether channels are.
    pub(crate) channels: bool,
    /// The exit code that the body of `main` returned, if not zero.
    pub(crate) body_code: Option<u8>,
    /// What `exit` returned.
    pub(crate) report: Option<ExitReport>,
    /// The main quitter was dropped without an exit.
    pub(crate) main_dropped: bool,
    later: Vec<QuitCause>,
    source_failed: bool,
}

/// What a source's event is reported as.
#[derive(Clone)]
pub(crate) struct Described {
    pub(crate) index: usize,
    pub(crate) description: String,
    pub(crate) is_failure: bool,
}

impl Described {
    pub(crate) fn cause(self, message: Option<String>, closed: bool) -> QuitCause {
        QuitCause::Source {
            index: self.index,
            description: self.description,
            message,
            closed,
        }
    }
}

impl Shared {
    pub(crate) fn new(root: Quitter, routines_started: bool, second_signal: SecondSignal) -> Self {
        Self {
            root,
            routines_started: AtomicBool::new(routines_started),
            announced: Mutex::new(false),
            events: Mutex::default(),
            signals: Mutex::default(),
            second_signal,
        }
    }

    pub(crate) fn root(&self) -> &Quitter {
        &self.root
    }

    pub(crate) fn routines_started(&self) -> bool {
        self.routines_started.load(Ordering::Relaxed)
    }

    /// Returns whether that was so before.
    pub(crate) fn set_routines_started(&self) -> bool {
        self.routines_started.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn events(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A source's event: the first one quits the tree, later ones are listed.
    ///
    /// A channel that closes once the tree quits is no failure: whoever held its sender has
    /// returned, as it should.
    pub(crate) fn fire(&self, source: Described, message: Option<String>, closed: bool) {
        let is_failure = source.is_failure;
        let cause = source.cause(message, closed);
        let first = self.root.node().quit(cause.clone(), None);
        let mut events = self.events();
        events.source_failed |= is_failure && (first || !closed);
        if !first {
            events.later.push(cause);
        }
    }

    fn signals(&self) -> MutexGuard<'_, Signals> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signals are a source from now on.
    pub(crate) fn set_signal_source(&self, source: Described) {
        self.signals().source = Some(source);
    }

    /// Takes the signals as a source, for the first signal, which has come.
    pub(crate) fn take_signal_source(&self) -> Option<Described> {
        let mut signals = self.signals();
        let source = signals.source.take()?;
        signals.first = Some(Instant::now());
        Some(source)
    }

    /// How long ago the first signal came.
    pub(crate) fn since_first_signal(&self) -> Option<Duration> {
        self.signals().first.map(|first| first.elapsed())
    }

    /// The first signal, on the thread that it came to: the tree quits, or one event more is listed.
    /// Returns whether it was that.
    pub(crate) fn fire_first_signal(&self, name: &str) -> bool {
        if self.is_over() {
            return false;
        }
        let Some(source) = self.take_signal_source() else {
            return false;
        };
        if self.root.has_to_quit() && self.second_signal != SecondSignal::Ignore {
            console::say(format!(
                "Received {name} while quitting; once more ends the program at once"
            ));
        }
        self.fire(source, Some(name.to_owned()), false);
        true
    }

    /// Whether the main quitter is gone, by its exit or without.
    pub(crate) fn is_over(&self) -> bool {
        let events = self.events();
        events.report.is_some() || events.main_dropped
    }

    /// Says the quit event, if nobody has yet. The root quits.
    pub(crate) fn announce(&self) {
        // Held until it is said: who finds that it was may go on to the outcome.
        let mut announced = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(quit) = self.root.node().quit_info()
            && !std::mem::replace(&mut *announced, true)
        {
            console::say(Notice::QuitEvent {
                cause: quit.cause.clone(),
                failure: self.failure_behind(&quit.cause),
            });
        }
    }

    /// What happened to the routine that a cause names.
    fn failure_behind(&self, cause: &QuitCause) -> Option<FailureKind> {
        let QuitCause::RoutineFailed { id, .. } = cause else {
            return None;
        };
        let failures = self.root.node().failures().listed;
        let failure = failures.into_iter().find(|failure| failure.id == *id)?;
        Some(failure.kind)
    }

    /// The report as of now: `live` have not returned. `None`: the root does not quit.
    pub(crate) fn report(&self, live: Vec<LiveAt>) -> Option<ExitReport> {
        let quit = self.root.node().quit_info()?;
        let took = quit.at.elapsed();
        let budget = quit
            .deadline
            .map(|deadline| deadline.duration_since(quit.at));
        // Said only of a budget that is used up.
        let after = budget.unwrap_or(took).min(took);
        let timeouts = Timeouts::new(live, after);
        let failures = self.root.node().failures();
        let events = self.events();
        Some(ExitReport::new(Outcome {
            cause: quit.cause.clone(),
            later_causes: events.later.clone(),
            timeouts,
            failures,
            took,
            source_failed: events.source_failed,
            body_code: events.body_code,
        }))
    }

    /// The report as of now, of whoever is live.
    pub(crate) fn report_now(&self) -> Option<ExitReport> {
        let live = self.root.node().wait_done(Limits::within(Duration::ZERO));
        self.report(live.err().unwrap_or_default())
    }
}
