//! With the feature. Fields and levels are documented at [`Output::Tracing`](crate::Output::Tracing).

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Level, Span, dispatcher};
use tracing::{debug, error, info, info_span, warn};

use crate::process::Process;
use crate::report::caller::Caller;
use crate::report::exit::ExitReport;
use crate::report::failure::FailureKind;
use crate::report::notice::{Notice, Unbroken};
use crate::routine::kind::RoutineState;
use crate::routine::panics;
use crate::routine::quitter::RoutineQuitter;
use crate::routine::record::Record;
use crate::system;
use crate::threads::Job;
use crate::tree::Node;

const TARGET: &str = "quitter";

/// How many stuck routines get an event each. The event of the exit has their total number.
const STUCK: usize = 100;

/// How long the console waits for a subscriber to take a notice.
const SUBSCRIBER_RETURNS: Duration = Duration::from_millis(250);

/// Calls a subscriber, which may panic: the panic is swallowed.
fn quietly<T>(f: impl FnOnce() -> T) -> Option<T> {
    panics::catch(f, |_| ())
}

/// Whether a subscriber may want events of this level. Does not call it.
fn may_be_wanted(level: Level) -> bool {
    level <= LevelFilter::current()
}

/// Whether a subscriber may be called for a notice.
pub(crate) fn may_call() -> bool {
    may_be_wanted(Level::ERROR)
}

/// This thread's dispatcher, if it has a subscriber. A thread without a dispatcher of its own sees the global
/// one, which may be set later.
fn here() -> Option<Dispatch> {
    let here = dispatcher::get_default(Dispatch::clone);
    Some(here).filter(|dispatch| !dispatch.is::<NoSubscriber>())
}

fn within<T>(dispatch: Option<&Dispatch>, f: impl FnOnce() -> T) -> T {
    match dispatch {
        Some(dispatch) => dispatcher::with_default(dispatch, f),
        None => f(),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

// ── threads that wait for no subscriber ───────────────────────────────────────────────────────────

thread_local! {
    static NEVER_WAITS: Cell<bool> = const { Cell::new(false) };
}

/// Makes this thread hand its events over from now on.
pub(crate) fn this_thread_never_waits() {
    NEVER_WAITS.set(true);
}

/// The thread that calls the subscriber for threads that do not wait for it.
pub(crate) struct Tracer {
    /// The dispatcher of the thread that created the main quitter.
    home: OnceLock<Dispatch>,
    /// Started for the first event.
    thread: OnceLock<Option<Caller>>,
    /// Whether the last wait for the subscriber timed out.
    is_late: AtomicBool,
}

impl Tracer {
    pub(crate) const fn new() -> Self {
        Self {
            home: OnceLock::new(),
            thread: OnceLock::new(),
            is_late: AtomicBool::new(false),
        }
    }

    /// Keeps this thread's dispatcher for events of the main quitter.
    pub(crate) fn settle(&self) {
        if let Some(here) = here() {
            let _ = self.home.set(here);
        }
    }

    /// Runs `event` on the thread for events, without waiting for it.
    fn hand_over(&self, event: impl FnOnce() + Send + 'static) {
        self.pass_on(event, |thread, job| thread.call(job, Duration::ZERO));
    }

    /// Like [`hand_over`](Self::hand_over), but waits up to [`SUBSCRIBER_RETURNS`] for this event and those
    /// before it. Once such a wait has timed out, no later event waits for those before it, until one is run
    /// in time. Returns whether the event has been run.
    fn tell(&self, event: impl FnOnce() + Send + 'static) -> bool {
        let is_late = self.is_late.load(Ordering::Relaxed);
        let is_told = self.pass_on(event, |thread, job| match is_late {
            true => thread.call(job, SUBSCRIBER_RETURNS),
            false => thread.call_in_turn(job, SUBSCRIBER_RETURNS),
        });
        self.is_late.store(!is_told, Ordering::Relaxed);
        is_told
    }

    fn pass_on(
        &self,
        event: impl FnOnce() + Send + 'static,
        call: impl FnOnce(&Caller, Job) -> bool,
    ) -> bool {
        let home = || self.home.get().cloned();
        let dispatch = match NEVER_WAITS.get() {
            true => home().or_else(here),
            false => here().or_else(home),
        };
        // The child of a fork does not have this thread.
        if system::is_forked() {
            return false;
        }
        let start = || Caller::start("quitter tracing").ok();
        match self.thread.get_or_init(start) {
            Some(thread) => {
                let job = move || within(dispatch.as_ref(), event);
                call(thread, Box::new(job))
            }
            None => false,
        }
    }
}

fn tracer() -> &'static Tracer {
    &Process::current().tracer
}

// ── quits ─────────────────────────────────────────────────────────────────────────────────────────

/// Reports that this node itself was told to quit.
pub(crate) fn told_to_quit(node: &Arc<Node>) {
    if !may_be_wanted(Level::INFO) {
        return;
    }
    let Some(quit) = node.quit_info() else {
        return;
    };
    let facts = || (node.path(), quit.cause.to_string());
    let tell = |(path, cause): (String, String)| {
        info!(target: TARGET, path, cause, "told to quit");
    };
    let is_root = Arc::ptr_eq(node, &node.root_node());
    if is_root || NEVER_WAITS.get() {
        let facts = facts();
        tracer().hand_over(move || tell(facts));
    } else {
        quietly(|| {
            if tracing::enabled!(target: TARGET, Level::INFO) {
                tell(facts());
            }
        });
    }
}

// ── routines ──────────────────────────────────────────────────────────────────────────────────────

/// The span of a routine, from its check-in to its check-out, and the dispatcher of the thread that checked
/// it in.
///
/// The fields assert unwind safety: a subscriber must not decide what may pass through `catch_unwind`.
pub(crate) struct RoutineSpan {
    span: AssertUnwindSafe<Span>,
    home: AssertUnwindSafe<Option<Dispatch>>,
}

impl RoutineSpan {
    /// Starts the span of a routine that this thread has checked in.
    pub(crate) fn start(node: &Arc<Node>, record: &Record) -> Self {
        let start = || {
            let (name, id) = (&*record.name, record.id);
            let span = info_span!(target: TARGET, "routine", name, path = node.path(), id);
            debug!(
                target: TARGET, parent: &span,
                name, path = node.path(), id, spawned_at = %record.spawned_at,
                "routine started"
            );
            span
        };
        let is_wanted = may_be_wanted(Level::INFO) && !NEVER_WAITS.get();
        let span = is_wanted.then(|| quietly(start)).flatten();
        Self {
            span: AssertUnwindSafe(span.unwrap_or_else(Span::none)),
            home: AssertUnwindSafe(here()),
        }
    }

    /// Makes the span the current one of this thread, under its dispatcher.
    pub(crate) fn enter(&self) -> Entered<'_> {
        let home = self.home.as_ref().map(dispatcher::set_default);
        let span = quietly(|| self.span.enter());
        Entered { span, _home: home }
    }

    /// Reports the end of the routine, which is about to be checked out, unless the routine has failed.
    pub(crate) fn ended(&self, quitter: &RoutineQuitter) {
        let record = quitter.record();
        let has_failed = matches!(record.state(), RoutineState::Failed);
        if !may_be_wanted(Level::DEBUG) || has_failed {
            return;
        }
        let ran_ms = millis(record.running_for());
        if NEVER_WAITS.get() {
            let (name, path, id) = (record.name.to_string(), quitter.node().path(), record.id);
            let tell = move || debug!(target: TARGET, name, path, id, ran_ms, "routine returned");
            tracer().hand_over(tell);
            return;
        }
        let tell = || {
            let (name, path) = (&*record.name, quitter.node().path());
            debug!(
                target: TARGET, parent: &*self.span,
                name, path, id = record.id, ran_ms,
                "routine returned"
            );
        };
        quietly(|| within(self.home.as_ref(), tell));
    }
}

impl Drop for RoutineSpan {
    fn drop(&mut self) {
        let span = std::mem::replace(&mut *self.span, Span::none());
        if span.is_none() {
            return;
        }
        match NEVER_WAITS.get() {
            true => tracer().hand_over(move || drop(span)),
            false => panics::drop_quietly(span),
        }
    }
}

/// A span is entered as long as this lives.
pub(crate) struct Entered<'a> {
    span: Option<span::Entered<'a>>,
    _home: Option<dispatcher::DefaultGuard>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        panics::drop_quietly(self.span.take());
    }
}

/// The failure of a routine, on its way to the subscriber.
pub(crate) struct FailureEvent(Option<Failure>);

struct Failure {
    name: String,
    path: String,
    id: u64,
    error: String,
    status: Option<String>,
    while_quitting: bool,
}

impl FailureEvent {
    pub(crate) fn of(quitter: &RoutineQuitter, kind: &FailureKind) -> Self {
        let record = quitter.record();
        let failure = || Failure {
            name: record.name.to_string(),
            path: quitter.node().path(),
            id: record.id,
            error: kind.text(),
            status: record.own_status(),
            while_quitting: quitter.node().is_quitting(),
        };
        Self(may_be_wanted(Level::ERROR).then(failure))
    }

    pub(crate) fn tell(self) {
        let Some(failure) = self.0 else {
            return;
        };
        let tell = move || {
            let Failure {
                name,
                path,
                id,
                error,
                status,
                while_quitting,
            } = failure;
            error!(target: TARGET, name, path, id, error, status, while_quitting, "routine failed");
        };
        match NEVER_WAITS.get() {
            true => tracer().hand_over(tell),
            false => drop(quietly(tell)),
        }
    }
}

// ── notices ───────────────────────────────────────────────────────────────────────────────────────

/// A notice, on its way to the subscriber.
pub(crate) struct NoticeEvent {
    job: Option<Job>,
    /// Set by the job of a notice that is trouble, if the subscriber leaves out all of quitter's events.
    is_left_out: Arc<AtomicBool>,
}

impl NoticeEvent {
    /// The event of a notice. Quit events and failures have events of their own.
    pub(crate) fn of(notice: &Notice) -> Self {
        let is_left_out = Arc::new(AtomicBool::new(false));
        if !may_be_wanted(Level::ERROR) {
            return Self {
                job: None,
                is_left_out,
            };
        }
        let job: Option<Job> = match notice {
            Notice::QuitEvent { .. } | Notice::Failure(_) => None,
            Notice::Outcome(report) => Some(outcome(report, Arc::clone(&is_left_out))),
            notice if notice.is_trouble() => {
                let text = Unbroken(notice).to_string();
                let is_left_out = Arc::clone(&is_left_out);
                Some(Box::new(move || {
                    is_left_out.store(leaves_out_errors(), Ordering::Relaxed);
                    warn!(target: TARGET, "{text}");
                }))
            }
            notice => {
                let text = Unbroken(notice).to_string();
                Some(Box::new(move || info!(target: TARGET, "{text}")))
            }
        };
        Self { job, is_left_out }
    }

    /// Returns whether the subscriber has received it. A subscriber that leaves out what is no trouble counts
    /// as having received that.
    pub(crate) fn tell(self) -> bool {
        let told = self.job.is_some_and(|job| tracer().tell(job));
        told && !self.is_left_out.load(Ordering::Relaxed)
    }
}

/// Whether the subscriber wants not even the errors of quitter, as where a filter names other crates.
fn leaves_out_errors() -> bool {
    !tracing::enabled!(target: TARGET, Level::ERROR)
}

fn outcome(report: &ExitReport, is_left_out: Arc<AtomicBool>) -> Job {
    let stuck: Vec<_> = report.timeouts.first(STUCK).collect();
    let stuck = stuck.into_iter().map(|(path, routine)| {
        let facts = routine.to_string();
        (String::from(path.clone()), routine.clone(), facts)
    });
    let stuck: Vec<_> = stuck.collect();
    let exit_code = report.exit_code;
    let cause = report.cause.to_string();
    let took_ms = millis(report.took);
    let counts = (
        report.timeouts.len(),
        report.failures.len(),
        report.slow.len(),
    );
    let is_trouble = report.is_trouble();
    Box::new(move || {
        if is_trouble && leaves_out_errors() {
            is_left_out.store(true, Ordering::Relaxed);
            return;
        }
        for (path, routine, facts) in stuck {
            error!(
                target: TARGET,
                name = routine.name, path, id = routine.id,
                running_ms = millis(routine.running_for),
                status = routine.status, facts,
                "routine stuck"
            );
        }
        let (stuck, failed, slow) = counts;
        match is_trouble {
            false => info!(target: TARGET, exit_code, cause, took_ms, stuck, failed, slow, "exit"),
            true => error!(target: TARGET, exit_code, cause, took_ms, stuck, failed, slow, "exit"),
        }
    })
}
