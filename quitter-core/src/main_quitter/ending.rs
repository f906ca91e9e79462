//! The end of the program, which all parties share: the main quitter, its watcher, the thread of the signals,
//! and the forced end.
//!
//! The state has one lock. Nothing blocks and no user code runs under it. A thread that holds it may still be
//! preempted, so the watcher and the end by force do not rely on it: they [try](Ending::try_state), and do
//! without.

mod report;

use std::ffi::c_int;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::main_quitter::control::Control;
use crate::main_quitter::dump::DumpOn;
use crate::main_quitter::half_time::HalfTime;
use crate::main_quitter::late;
use crate::main_quitter::signal::{QuitSignal, SecondSignal, SignalExitCode};
use crate::main_quitter::source::SourceInfo;
use crate::main_quitter::state::{AtDeadline, Look, Phase, State};
use crate::process::Process;
use crate::quitter::Quitter;
use crate::report::cause::QuitCause;
use crate::report::console;
use crate::report::exit::OutcomeClaim;
use crate::report::failure::FailureKind;
use crate::report::look::Before;
use crate::report::notice::Notice;
use crate::sync::{lock_std, lock_within};
use crate::system;

/// How long after the deadline of the quit the process is ended by force: the time that an exit in progress
/// has to make its report.
const AFTER_DEADLINE: Duration = Duration::from_millis(150);

/// How long code that must not block tries to get a lock that others hold.
const AT_MOST: Duration = Duration::from_millis(50);

/// The end of the program, from its first phase to its last.
pub(crate) struct Ending {
    root: Quitter,
    config: EndingConfig,
    watcher: Sender<Control>,
    outcome_claim: Arc<OutcomeClaim>,
    /// Whether a thread is ending the process by force. Not under the lock, since this may happen in any
    /// phase.
    forced: AtomicBool,
    state: Mutex<State>,
}

/// The builder's settings for the end.
#[derive(Debug, Default)]
pub(crate) struct EndingConfig {
    /// Whether the process is ended by force after the deadline.
    pub(super) force: bool,
    pub(super) second_signal: SecondSignal,
    pub(super) signal_exit_code: SignalExitCode,
    pub(super) dump_on: Option<DumpOn>,
}

/// The effect of a signal.
pub(crate) enum Effect {
    Fires {
        source: SourceInfo,
        /// Whether to warn that a further signal ends the program: this is the first one, and the program
        /// already quits for another reason.
        warns: bool,
    },
    Nothing,
    EndsProcess {
        /// Whether no signal came before.
        is_first: bool,
    },
}

impl Ending {
    pub(crate) fn new(
        root: Quitter,
        config: EndingConfig,
        routines_started: bool,
        watcher: Sender<Control>,
    ) -> Self {
        Self {
            root,
            config,
            watcher,
            outcome_claim: Arc::default(),
            forced: AtomicBool::new(false),
            state: Mutex::new(State::new(routines_started)),
        }
    }

    /// Starts the thread that writes dumps, if a signal asks for them.
    pub(crate) fn start_dumps(&self) -> io::Result<()> {
        match &self.config.dump_on {
            Some(dump_on) => dump_on.start(self.root.clone()),
            None => Ok(()),
        }
    }

    /// The signal that asks for dumps.
    pub(crate) fn dump_on(&self) -> Option<c_int> {
        self.config.dump_on.as_ref().map(DumpOn::number)
    }

    /// The signals that are listened to.
    pub(crate) fn signals(&self) -> Vec<c_int> {
        let for_dumps = self.dump_on();
        self.state().signals.numbers().chain(for_dumps).collect()
    }

    pub(crate) fn root(&self) -> &Quitter {
        &self.root
    }

    pub(crate) fn signal_exit_code(&self) -> SignalExitCode {
        self.config.signal_exit_code
    }

    pub(crate) fn outcome_claim(&self) -> &Arc<OutcomeClaim> {
        &self.outcome_claim
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock_std(&self.state)
    }

    /// The state, if its lock can be had within a moment.
    pub(crate) fn try_state(&self) -> Option<MutexGuard<'_, State>> {
        lock_within(&self.state, AT_MOST)
    }

    /// Whether there is no main quitter any more. `false` if the state cannot be read at once.
    pub(crate) fn is_over(&self) -> bool {
        self.try_state().is_some_and(|state| state.phase.is_over())
    }

    /// Asks the watcher for something. The channel has no bound, and stays connected: the watcher itself
    /// keeps this sender alive.
    pub(crate) fn ask_watcher(&self, control: Control) {
        let _ = self.watcher.send(control);
    }

    /// When the process will be ended by force, as things stand.
    pub(crate) fn forced_at(&self) -> Option<Instant> {
        let deadline = self.config.force.then(|| self.root.deadline()).flatten()?;
        let held_until = self.try_state().and_then(|state| state.held_until);
        deadline
            .max(held_until.unwrap_or(deadline))
            .checked_add(AFTER_DEADLINE)
    }

    /// Handles the event of a source: the first event quits the tree, later ones are listed. `write` is as in
    /// [`announce`](Self::announce).
    pub(crate) fn fire(self: &Arc<Self>, cause: QuitCause, write: fn()) {
        if self.root.node().quit(cause.clone(), None) {
            self.announce(write);
        } else {
            self.state().later.push(cause);
        }
    }

    /// Requests a dump if this is the signal for dumps. Returns whether it is.
    pub(crate) fn takes_for_dump(&self, signal: QuitSignal) -> bool {
        let takes = |dump_on: &DumpOn| dump_on.takes(signal);
        self.config.dump_on.as_ref().is_some_and(takes)
    }

    /// Records a signal and returns its effect.
    pub(crate) fn effect_of(&self, signal: QuitSignal) -> Effect {
        let is_quitting = self.root.has_to_quit();
        let mut state = self.state();
        let since_first = state.signals.first().map(|first| first.elapsed());
        let ends = match state.phase {
            Phase::Running | Phase::Quitting if since_first.is_none() => false,
            Phase::Running | Phase::Quitting => self.config.second_signal.ends(since_first),
            Phase::Exited(_) if self.config.force => self.config.second_signal.ends(since_first),
            // Nothing else ends the program in these phases.
            Phase::Exited(_) | Phase::Dropped => !self.config.second_signal.is_pair(since_first),
        };
        if ends {
            return Effect::EndsProcess {
                is_first: since_first.is_none(),
            };
        }
        let ends_later = self.config.second_signal != SecondSignal::Ignore;
        let warns = is_quitting && since_first.is_none() && ends_later;
        match state.signals.fire(signal) {
            Some(source) => {
                // Before the cause can be read.
                Process::current().quit_signals.note(source.index, signal);
                Effect::Fires { source, warns }
            }
            None => Effect::Nothing,
        }
    }

    /// Announces the quit event, once. To be called when the root quits; notices after the call are printed
    /// below the event. `write` makes the console write it.
    pub(crate) fn announce(self: &Arc<Self>, write: fn()) {
        self.announce_in(self.state(), write);
    }

    /// Announces the quit event unless another thread holds the state for too long: that thread is about to
    /// announce it, or has done so.
    pub(crate) fn try_announce(self: &Arc<Self>) {
        if let Some(state) = self.try_state() {
            self.announce_in(state, console::wake);
        }
    }

    fn announce_in(self: &Arc<Self>, mut state: MutexGuard<'_, State>, write: fn()) {
        if matches!(state.phase, Phase::Running) {
            state.phase = Phase::Quitting;
            let ending = Arc::clone(self);
            // Queued under the lock: others rely on the order once they see the phase.
            console::queue_job(move || ending.say_event());
            drop(state);
            write();
        }
    }

    /// Prints the quit event. Runs on the console's thread.
    fn say_event(&self) {
        if let Some(quit) = self.root.node().quit_info() {
            let event = Notice::QuitEvent {
                cause: quit.cause.clone(),
                failure: self.failure_behind(&quit.cause),
            };
            // A statement of its own, so that nothing is written under the lock.
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

    /// Notes whether nothing but the body of `main` is running, and nothing has failed. To be called before
    /// the body, which is the routine of this id, quits the program.
    pub(crate) fn body_ends(&self, body: u64) {
        const AT_MOST: Duration = Duration::from_millis(10);
        let root = self.root.node();
        let (live, unread) = root.try_look(Instant::now() + AT_MOST);
        let mut live = live.iter().flat_map(|at| &at.routines);
        let is_alone = unread.is_empty() && live.all(|record| record.id == body);
        self.state().ended_alone = is_alone && root.failures().is_empty();
    }

    /// Handles the drop of the main quitter. Returns whether it was dropped without an exit, which the
    /// console then has to report.
    pub(crate) fn drop_main(self: &Arc<Self>) -> bool {
        if system::is_forked() || self.state().phase.is_over() {
            return false;
        }
        self.root.node().quit(QuitCause::MainDropped, None);
        self.announce(|| {});
        self.state().phase = Phase::Dropped;
        let ending = Arc::clone(self);
        console::queue_job(move || {
            console::release_now();
            ending.say_left_running();
        });
        true
    }

    /// Says how many routines are left running, if any, with nothing that waits for them. For a job of the
    /// console.
    fn say_left_running(&self) {
        let count: usize = self.look().live.iter().map(|at| at.routines.len()).sum();
        if count > 0 {
            console::say_now(Notice::LeftRunning { count });
        }
    }

    /// Notes that `exit` was called.
    pub(crate) fn call_exit(&self) {
        let mut state = self.state();
        if let AtDeadline::ByWatcher = state.at_deadline {
            state.at_deadline = AtDeadline::ByExit;
        }
    }

    /// When half of the quit timeout is over.
    pub(crate) fn half_at(&self) -> Option<Instant> {
        let quit = self.root.node().quit_info()?;
        let left = quit.deadline()?.checked_duration_since(quit.at)?;
        quit.at.checked_add(left / 2)
    }

    /// Marks the routines that are live at half of the quit timeout.
    pub(crate) fn look_at_half(&self) {
        let half_time = HalfTime::of(self.look().live);
        if let Some(mut state) = self.try_state() {
            state.half_time = half_time;
        }
    }

    /// Takes the look at the deadline, unless `exit` takes it: a routine that is live then has not returned
    /// in time, even if it is gone when `exit` is called.
    pub(crate) fn look_at_deadline(&self) {
        let awaited = |state: &State| matches!(state.at_deadline, AtDeadline::ByWatcher);
        if self.try_state().is_some_and(|state| awaited(&state)) {
            let Look { live, unread } = self.look();
            let before = Before::of(&live);
            let look = Look {
                live: late::counting(&live),
                unread,
            };
            if let Some(mut state) = self.try_state().filter(|state| awaited(state)) {
                state.at_deadline = AtDeadline::Taken(look, before);
            }
        }
    }

    /// Lists the live routines, and the quitters whose locks could not be had within a moment. It waits for a
    /// lock no longer than that, so it is never late.
    pub(crate) fn look(&self) -> Look {
        let (live, unread) = self.root.node().try_look(Instant::now() + AT_MOST);
        Look { live, unread }
    }

    /// Takes the right to end the process by force. Only one thread gets it.
    pub(crate) fn take_end(&self) -> bool {
        !self.forced.swap(true, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routine::guard::RoutineGuard;
    use crate::tree::Node;

    /// The end of a program whose main quitter has no time to quit.
    pub(super) fn ending() -> Arc<Ending> {
        ending_within(Duration::ZERO)
    }

    pub(super) fn ending_within(timeout: Duration) -> Arc<Ending> {
        let (watcher, _requests) = crossbeam_channel::unbounded();
        let root = Node::root("main".into(), Some(timeout));
        Arc::new(Ending::new(
            Quitter::of_new(root),
            EndingConfig::default(),
            true,
            watcher,
        ))
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn at_the_deadline_it_is_read_how_much_threads_have_run() {
        use std::sync::mpsc;

        let ending = ending();
        let (begun, has_begun) = mpsc::channel();
        let (go_on, hangs) = mpsc::channel::<()>();
        let hang = move |_: &_| {
            begun.send(()).unwrap();
            let _ = hangs.recv();
        };
        ending.root().routine("hangs").add(hang).unwrap();
        has_begun.recv().unwrap();
        ending.root().node().quit(QuitCause::MainDropped, None);
        ending.look_at_deadline();
        assert!(!ending.state().looks().before.is_empty());
        drop(go_on);
    }

    #[test]
    fn half_time_is_in_the_middle_between_the_quit_and_its_deadline() {
        const HOUR: Duration = Duration::from_secs(3600);
        let ending = ending_within(HOUR);
        ending.root().node().quit(QuitCause::MainDropped, None);
        let at = ending.root().node().quit_info().unwrap().at;
        assert_eq!(ending.half_at(), Some(at + HOUR / 2));
    }

    #[test]
    fn one_thread_has_the_right_to_end_the_process_by_force() {
        let ending = ending();
        assert!(ending.take_end());
        assert!(!ending.take_end());
    }

    #[test]
    fn a_body_ends_alone_where_nothing_else_runs_and_nothing_has_failed() {
        let ends_alone = |change: &dyn Fn(&Quitter) -> Option<RoutineGuard>| {
            let ending = ending_within(Duration::MAX);
            let body = ending.root().guard("main").unwrap();
            let _other = change(ending.root());
            ending.body_ends(body.record().id);
            ending.state().ended_alone
        };
        assert!(ends_alone(&|_| None));
        assert!(!ends_alone(&|root| root.guard("other").ok()));
        assert!(!ends_alone(&|root| {
            let fails = root.guard("fails").unwrap();
            fails.record_failure(FailureKind::of_debug(&"error"));
            None
        }));
    }
}
