//! How far the program is on the way to its end, and everything that the end is made of. All
//! parties share it: the main quitter, its watcher, the thread of the signals, and the forced end.
//!
//! The state has one lock. Under it nothing is waited for and no code of the user's runs.

use std::ffi::c_int;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::main_quitter::dump::DumpOn;
use crate::main_quitter::forced::{self, Trigger};
use crate::main_quitter::half_time::HalfTime;
use crate::main_quitter::late;
use crate::main_quitter::signal::{QuitSignal, SecondSignal, SignalExitCode};
use crate::main_quitter::signal_sources::SignalSources;
use crate::main_quitter::watcher::Control;
use crate::process::Process;
use crate::quitter::Quitter;
use crate::report::cause::QuitCause;
use crate::report::console;
use crate::report::exit::{ExitReport, Outcome, Voice};
use crate::report::failure::FailureKind;
use crate::report::notice::Notice;
use crate::report::timeouts::Timeouts;
use crate::system;
use crate::tree::{LiveAt, Node};

/// How far the program is. It only ever goes on to a later phase.
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
    fn is_over(&self) -> bool {
        matches!(self, Self::Exited(_) | Self::Dropped)
    }
}

/// The end of the program, from its first phase to its last.
pub(crate) struct Ending {
    root: Quitter,
    /// The process is ended by force after the deadline.
    force: bool,
    second_signal: SecondSignal,
    signal_exit_code: SignalExitCode,
    dump_on: Option<DumpOn>,
    watcher: Sender<Control>,
    voice: Arc<Voice>,
    state: Mutex<State>,
}

/// Everything that the end is made of.
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// The sources by index: whether the event of each is a failure.
    pub(crate) sources: Vec<bool>,
    pub(crate) all_done: Option<SourceInfo>,
    pub(crate) signals: SignalSources,
    /// Whether any source is a channel.
    pub(crate) channels: bool,
    /// Whether the registered routines were started.
    pub(crate) routines_started: bool,
    /// The exit code that the body of `main` returned, if it was not zero.
    pub(crate) body_code: Option<u8>,
    /// The body failed, or returned such a code, while nothing else was running.
    ended_alone: bool,
    /// The events after the first.
    later: Vec<QuitCause>,
    /// When `exit` was called.
    exit_called: Option<Instant>,
    /// The look at half of the quit timeout.
    half_time: HalfTime,
    /// The routines that were live at the deadline and count, if `exit` had not been called by then.
    live_at_deadline: Vec<LiveAt>,
    /// When the exit will have, or had, the stacks for its report.
    pub(super) held_until: Option<Instant>,
    /// A thread is ending the process.
    forced: bool,
}

/// How the event of a source is reported.
#[derive(Clone)]
pub(crate) struct SourceInfo {
    pub(crate) index: usize,
    pub(crate) description: String,
}

impl SourceInfo {
    pub(crate) fn cause(self, message: Option<String>, closed: bool) -> QuitCause {
        QuitCause::Source {
            index: self.index,
            description: self.description,
            message,
            closed,
        }
    }
}

/// The effect of a signal.
enum Effect {
    Fires {
        source: SourceInfo,
        /// It is the first signal, while the program quits for another reason.
        warns: bool,
    },
    Nothing,
    EndsProcess,
}

impl State {
    /// Whether a quit for this cause is a failure of the program. It follows from the cause, so that
    /// a report that knows the cause cannot miss it.
    fn is_failure(&self, cause: &QuitCause) -> bool {
        match cause {
            QuitCause::Source { index, .. } => self.sources.get(*index) == Some(&true),
            _ => false,
        }
    }

    /// Whether this cause came from the body of `main` while nothing was running that could be shut
    /// down, as with a usage error.
    fn is_no_shutdown(&self, cause: &QuitCause) -> bool {
        let is_body = matches!(
            cause,
            QuitCause::MainFailed { .. } | QuitCause::MainReturned { .. }
        );
        is_body && self.ended_alone
    }

    /// Whether a source fired that is marked as a failure.
    ///
    /// A channel that closes while the program quits is no failure: the owner of its sender has
    /// returned, as it should.
    fn source_failed(&self, first: &QuitCause) -> bool {
        let closed = |cause: &&QuitCause| matches!(cause, QuitCause::Source { closed: true, .. });
        let mut later = self.later.iter().filter(|cause| !closed(cause));
        self.is_failure(first) || later.any(|cause| self.is_failure(cause))
    }
}

impl Ending {
    pub(crate) fn new(
        root: Quitter,
        force: bool,
        second_signal: SecondSignal,
        signal_exit_code: SignalExitCode,
        routines_started: bool,
        dump_on: Option<c_int>,
        watcher: Sender<Control>,
    ) -> Self {
        Self {
            root,
            force,
            second_signal,
            signal_exit_code,
            dump_on: dump_on.map(DumpOn::new),
            watcher,
            voice: Arc::default(),
            state: Mutex::new(State {
                phase: Phase::Running,
                sources: Vec::new(),
                all_done: None,
                signals: SignalSources::default(),
                channels: false,
                routines_started,
                body_code: None,
                ended_alone: false,
                later: Vec::new(),
                exit_called: None,
                half_time: HalfTime::default(),
                live_at_deadline: Vec::new(),
                held_until: None,
                forced: false,
            }),
        }
    }

    /// Starts the thread that dumps, if there is a signal for that.
    pub(crate) fn start_dumps(&self) -> io::Result<()> {
        match &self.dump_on {
            Some(dump_on) => dump_on.start(self.root.clone()),
            None => Ok(()),
        }
    }

    /// The signal that asks for dumps.
    pub(crate) fn dump_on(&self) -> Option<c_int> {
        self.dump_on.as_ref().map(DumpOn::number)
    }

    pub(crate) fn root(&self) -> &Quitter {
        &self.root
    }

    pub(crate) fn voice(&self) -> &Arc<Voice> {
        &self.voice
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state().phase.is_over()
    }

    /// Asks the watcher for something. The channel has no bound, and the watcher holds on to this.
    pub(crate) fn ask_watcher(&self, control: Control) {
        let _ = self.watcher.send(control);
    }

    /// When the process is to be ended by force, as things stand.
    pub(crate) fn forced_at(&self) -> Option<Instant> {
        let deadline = self.force.then(|| self.root.deadline()).flatten()?;
        let held_until = self.state().held_until.unwrap_or(deadline);
        deadline.max(held_until).checked_add(forced::AFTER_DEADLINE)
    }

    /// A source's event: the first one quits the tree, later ones are listed.
    pub(crate) fn fire(
        self: &Arc<Self>,
        source: SourceInfo,
        message: Option<String>,
        closed: bool,
    ) {
        let cause = source.cause(message, closed);
        if self.root.node().quit(cause.clone(), None) {
            self.announce(console::write_here);
        } else {
            self.state().later.push(cause);
        }
    }

    /// Handles a signal, on the thread that the signals come to.
    pub(crate) fn on_signal(self: &Arc<Self>, signal: QuitSignal) {
        let dumps = |dump_on: &DumpOn| dump_on.takes(signal);
        if self.dump_on.as_ref().is_some_and(dumps) {
            return;
        }
        let name = signal.name;
        match self.effect_of(signal) {
            Effect::Nothing => {}
            Effect::EndsProcess => forced::end(self, Trigger::Signal(name)),
            Effect::Fires { source, warns } => {
                if warns {
                    console::say(Notice::SignalWhileQuitting {
                        signal: signal.name.into(),
                        ends: false,
                    });
                }
                self.fire(source, Some(name.to_owned()), false);
            }
        }
    }

    fn effect_of(&self, signal: QuitSignal) -> Effect {
        let is_quitting = self.root.has_to_quit();
        let mut state = self.state();
        let since_first = state.signals.first().map(|first| first.elapsed());
        let ends = match state.phase {
            Phase::Running | Phase::Quitting if since_first.is_none() => false,
            Phase::Running | Phase::Quitting => self.second_signal.ends(since_first),
            Phase::Exited(_) if self.force => self.second_signal.ends(since_first),
            // Nothing else ends the program.
            Phase::Exited(_) | Phase::Dropped => !self.second_signal.is_pair(since_first),
        };
        if ends {
            return Effect::EndsProcess;
        }
        let ends_later = self.second_signal != SecondSignal::Ignore;
        let warns = is_quitting && since_first.is_none() && ends_later;
        match state.signals.fire(signal) {
            Some(source) if !state.phase.is_over() => {
                // Before anybody can read the cause.
                Process::current().quit_signals.note(source.index, signal);
                Effect::Fires { source, warns }
            }
            _ => Effect::Nothing,
        }
    }

    /// Announces the quit event, once. To be called when the root quits; what is said after the call
    /// stands below the event. `write` has the console write it.
    pub(crate) fn announce(self: &Arc<Self>, write: fn()) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Running) {
            state.phase = Phase::Quitting;
            let ending = Arc::clone(self);
            // Queued under the lock: others rely on the order once they see the phase.
            console::later(move || ending.say_event());
            drop(state);
            write();
        }
    }

    /// Says the quit event. For the console's thread.
    fn say_event(&self) {
        if let Some(quit) = self.root.node().quit_info() {
            let event = Notice::QuitEvent {
                cause: quit.cause.clone(),
                failure: self.failure_behind(&quit.cause),
            };
            // A statement of its own: nothing is written under the lock.
            let is_no_shutdown = self.state().is_no_shutdown(&quit.cause);
            match is_no_shutdown {
                true => console::say_event_if_needed(event),
                false => console::say_now(event),
            }
        }
    }

    /// The failure of the routine that a cause names.
    fn failure_behind(&self, cause: &QuitCause) -> Option<FailureKind> {
        let QuitCause::RoutineFailed { id, .. } = cause else {
            return None;
        };
        let failures = self.root.node().failures().listed;
        let failure = failures.into_iter().find(|failure| failure.id == *id)?;
        Some(failure.kind)
    }

    /// The body of `main`, which `body` stands for, is about to quit the program. To be called before it
    /// does: notes whether nothing else is running, and nothing has failed.
    pub(crate) fn body_ends(&self, body: u64) {
        const AT_MOST: Duration = Duration::from_millis(10);
        let root = self.root.node();
        let (live, unread) = root.try_look(Instant::now() + AT_MOST);
        let mut live = live.iter().flat_map(|at| &at.routines);
        let is_alone = unread.is_empty() && live.all(|record| record.id == body);
        self.state().ended_alone = is_alone && root.failures().is_empty();
    }

    /// The main quitter was dropped without an exit.
    pub(crate) fn drop_main(self: &Arc<Self>) {
        if system::is_forked() || self.is_over() {
            return;
        }
        self.root.node().quit(QuitCause::MainDropped, None);
        self.announce(console::ring);
        self.state().phase = Phase::Dropped;
        let ending = Arc::clone(self);
        console::afterwards(move || {
            console::release_now();
            ending.say_left_running();
        });
    }

    /// Says that nothing waits for the routines, if there are any. For the console's thread.
    fn say_left_running(&self) {
        let count: usize = self.live_now().iter().map(|at| at.routines.len()).sum();
        if count > 0 {
            console::say_now(Notice::LeftRunning { count });
        }
    }

    /// `exit` was called.
    pub(crate) fn call_exit(&self) {
        self.state().exit_called = Some(Instant::now());
    }

    /// When half of the quit timeout is over.
    pub(crate) fn half_at(&self) -> Option<Instant> {
        let quit = self.root.node().quit_info()?;
        let left = quit.deadline()?.checked_duration_since(quit.at)?;
        quit.at.checked_add(left / 2)
    }

    /// Marks those that are slow to return, at that time.
    pub(crate) fn look_at_half(&self) {
        let half_time = HalfTime::of(self.live_now());
        self.state().half_time = half_time;
    }

    /// Takes a look at the deadline, unless `exit` does: what is live then has not returned in time,
    /// even if it is gone when `exit` is called.
    pub(crate) fn look_at_deadline(&self) {
        if self.state().exit_called.is_none() {
            let live = late::counting(&self.live_now());
            self.state().live_at_deadline = live;
        }
    }

    /// Lists the live routines, and the nodes where a lock was not to be had within a moment: what waits
    /// for no lock of the tree's is never late.
    pub(crate) fn look(&self) -> (Vec<LiveAt>, Vec<Arc<Node>>) {
        const AT_MOST: Duration = Duration::from_millis(50);
        self.root.node().try_look(Instant::now() + AT_MOST)
    }

    fn live_now(&self) -> Vec<LiveAt> {
        self.look().0
    }

    /// Makes the report of an exit that found `live`. From then on the program has exited.
    pub(crate) fn finish(&self, live: Vec<LiveAt>) -> ExitReport {
        let report = self.report(live.clone(), &[]);
        let mut report = report.expect("the exit has waited until the root quits");
        self.add_stacks(&mut report, &live);
        self.state().phase = Phase::Exited(Box::new(report.clone()));
        report
    }

    /// The report as of now. `None`: the root does not quit.
    /// It waits for no lock beyond a moment.
    pub(crate) fn report_now(&self) -> Option<ExitReport> {
        let (live, unread) = self.look();
        self.report(live, &unread)
    }

    fn report(&self, live: Vec<LiveAt>, unread: &[Arc<Node>]) -> Option<ExitReport> {
        let quit = self.root.node().quit_info()?;
        let took = quit.at.elapsed();
        let deadline = quit.deadline();
        let budget = deadline.map(|deadline| deadline.saturating_duration_since(quit.at));
        let failures = self.root.node().failures();
        // Dropped after the lock is released: the last handles of quitters may be among what it holds.
        let half_time = std::mem::take(&mut self.state().half_time);
        let quit_timeout = budget.unwrap_or(Duration::MAX);
        let slow = half_time.slow(quit.at, quit_timeout);
        let past = |deadline: Instant| Instant::now().checked_duration_since(deadline);
        let live_at_deadline = self.state().live_at_deadline.clone();
        let live = late::merge(&live_at_deadline, live);
        // Said only of a budget that is used up.
        let after = budget.unwrap_or(took).min(took);
        let late = deadline.and_then(past);
        // Takes some time, so not under the lock.
        let timeouts = Timeouts::of_exit(&live, after, late, unread.is_empty());
        let state = self.state();
        let no_shutdown = state.is_no_shutdown(&quit.cause)
            && state.later.is_empty()
            && timeouts.is_empty()
            && failures.listed.len() <= 1;
        Some(ExitReport::new(Outcome {
            no_shutdown,
            signal: quit.cause.signal(),
            signal_exit_code: self.signal_exit_code,
            cause: quit.cause.clone(),
            later_causes: state.later.clone(),
            timeouts,
            unread: unread.iter().map(|node| node.path().into()).collect(),
            failures,
            took,
            unlisted_slow: half_time.only_counted,
            slow,
            quit_timeout,
            source_failed: state.source_failed(&quit.cause),
            body_code: state.body_code,
            voice: Arc::clone(&self.voice),
        }))
    }

    /// Takes the right to end the process: one thread has it.
    pub(crate) fn take_end(&self) -> bool {
        !std::mem::replace(&mut self.state().forced, true)
    }
}
