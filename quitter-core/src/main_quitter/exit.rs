//! [`MainQuitter`], and the exit.

use std::error::Error;
use std::ffi::c_int;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::blocking::warn_if_blocking;
use crate::error::{AddRoutineError, MainQuitterError, full_text};
use crate::main_quitter::control::{Control, Listening};
use crate::main_quitter::ending::Ending;
use crate::main_quitter::late;
use crate::main_quitter::on_signal::on_signal;
use crate::main_quitter::signal;
use crate::main_quitter::source::{QuitSource, SourceInfo, SourceKind};
use crate::quitter::Quitter;
use crate::report::cause::QuitCause;
use crate::report::console;
use crate::report::exit::ExitReport;
use crate::report::failure::{FailureKind, RoutineFailure};
use crate::report::notice::Notice;
use crate::routine::current::waiting_routine;
use crate::routine::record::Place;
use crate::routine::registry;
use crate::stands::own;
use crate::system;
use crate::tree::{Excluded, Limits, LiveAt};

/// How long the exit waits for its line to be written, and for its watcher. A blocked stderr, or a message
/// that takes long to show, may hold them up.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long a quit event may be on its way before the hint is given. The last routine may have sent the event
/// just before it returned.
const ON_ITS_WAY: Duration = Duration::from_millis(150);

/// How much time beyond the deadline routines get if the deadline cut short their wait for others: the report
/// should name the routines that hang, not those that wait for them.
const SUPERVISORS_GRACE: Duration = Duration::from_millis(100);

/// Printed once, when no routine is left in a program that waits for a quit event from outside.
const NOTHING_RUNS: &str = "No routine is running, and exit() waits for a quit event.\n\
    To end when everything is done, add the quit source all_done(); to end at any time,\n\
    call send_quit() or request_quit(reason)";

/// Printed by an exit if the registered routines have not been started.
const NOT_STARTED: &str = "The routines of #[quitter::routine] were not started: call main.start_routines() \
    before exit().\n\
    #[quitter::main] does so by itself; #[quitter::routine(manual)] is for those that are only added";

/// The root of a program's tree, which listens for quit events. One per process, created in `main`.
///
/// Derefs to [`Quitter`], which creates children and routines. Its quit sources are watched from the moment
/// it is created: a quit event at once tells the whole tree to quit, and starts the clock of the quit
/// timeout. [`exit`](Self::exit) waits for the event, and for the routines to return.
///
/// Dropping it without `exit` tells the tree to quit, and waits for no routine, but up to 100 ms for stderr
/// to take the line that says so. If the main quitter listened to signals, a further signal after `exit` or
/// the drop ends the process, with exit code 130.
///
/// # Examples
///
/// ```no_run
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::{ExitReport, MainQuitter, QuitSource};
///
/// fn main() -> ExitReport {
///     let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
///     main.add_routine(|q| {
///         for _ in q.ticks(Duration::from_secs(1)) {
///             println!("beat");
///         }
///     })
///     .unwrap();
///     main.exit()
/// }
/// ```
#[must_use = "dropping the main quitter tells the program to quit; call `exit`"]
pub struct MainQuitter {
    ending: Arc<Ending>,
}

impl MainQuitter {
    /// A main quitter whose sources are being watched.
    pub(crate) fn of(ending: Arc<Ending>) -> Self {
        Self { ending }
    }

    pub(crate) fn ending(&self) -> &Arc<Ending> {
        &self.ending
    }

    /// Adds a quit source, such as a channel that is created only while the program is being set up. Returns
    /// its index in the report.
    ///
    /// # Panics
    ///
    /// If the source is [`os_signal`](QuitSource::os_signal) or [`signal`](QuitSource::signal), and its
    /// signals cannot be listened to.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    /// use quitter::{MainQuitter, QuitSource};
    ///
    /// let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
    /// let (failed, server_error) = crossbeam_channel::bounded::<String>(1);
    /// let index = main.add_source(QuitSource::channel("HTTP server error", server_error));
    /// assert_eq!(index, 1);
    /// # let _ = failed;
    /// ```
    #[track_caller]
    pub fn add_source(&self, source: QuitSource) -> usize {
        let added = source.check(self.ending.dump_on());
        match added.and_then(|()| add_sources(&self.ending, [source], Vec::new())) {
            Ok(indices) => indices[0],
            Err(error) => panic!("{}", full_text(&error)),
        }
    }

    /// Starts the routines that `#[quitter::routine]` registered. A second call does nothing.
    ///
    /// Under `#[quitter::main]` this happens when the body has returned; a body that is itself the foreground
    /// loop calls it first. Does nothing once the tree has been told to quit. If two of the routines have the
    /// same name, or the operating system refuses a thread, a failure of the routine is recorded, and the
    /// program quits.
    #[track_caller]
    pub fn start_routines(&self) {
        let started = std::mem::replace(&mut self.ending.state().routines_started, true);
        if started {
            return;
        }
        let routines = match registry::automatic() {
            Ok(routines) => routines,
            Err(error) => {
                let (name, place) = match error.routine() {
                    Some(routine) => (routine.name(), routine.place()),
                    None => ("start_routines", Location::caller()),
                };
                return self.cannot_start(name, place, &error);
            }
        };
        for routine in routines {
            match routine.start(self.node()) {
                Ok(_detached) => {}
                Err(AddRoutineError::Quitting) => return,
                Err(error) => return self.cannot_start(routine.name(), routine.place(), &error),
            }
        }
    }

    fn cannot_start(&self, name: &str, place: Place, error: &(dyn Error + 'static)) {
        let node = self.node();
        let kind = FailureKind::of_error(error);
        node.record_failure(true, true, |path| RoutineFailure {
            path,
            name: name.to_owned(),
            id: 0,
            spawned_at: place,
            ran_for: Duration::ZERO,
            while_quitting: false,
            status: None,
            kind,
        });
        let cause = QuitCause::RoutineFailed {
            path: node.path().into(),
            name: name.to_owned(),
            id: 0,
        };
        node.quit(cause, None);
    }

    /// Blocks until a quit event, then until every routine has returned or the quit timeout is
    /// over. Returns the outcome.
    ///
    /// An event that came earlier counts, and so do [`send_quit`](Quitter::send_quit) on the main quitter and
    /// a failed routine. The clock of the quit timeout starts at the event: an `exit` that is called after
    /// the deadline checks once. The event is printed when it comes; lines say which routines `exit` waits
    /// for; the outcome is printed when the report is returned from `main`. A hint is printed once if no
    /// routine is live while `exit` waits for an event, and [`all_done`](QuitSource::all_done) is not a
    /// source. Another hint is printed if registered routines were not [started](Self::start_routines).
    ///
    /// Events that channels still hold are listed, which may take up to 100 ms; a signal that comes
    /// at the moment of the exit may be missing from the report.
    ///
    /// While `exit` waits, its thread blocks the signals that are quit events, so that the system delivers
    /// them to the thread that handles them. When `exit` returns, its thread accepts them as before.
    ///
    /// The child of a `fork(2)` without `exec` has none of the parent's threads, and so no routines: there
    /// `exit` returns at once, the report says why, and the exit code is 1.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    /// use quitter::{MainQuitter, QuitSource};
    ///
    /// let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::all_done()]);
    /// main.add_routine(|_| println!("a job that ends by itself")).unwrap();
    /// let report = main.exit();
    /// assert_eq!(report.exit_code, 0);
    /// assert!(report.timeouts.is_empty());
    /// ```
    #[track_caller]
    pub fn exit(self) -> ExitReport {
        warn_if_blocking("exit", "exit_async", Location::caller(), || true);
        let report = self.end(NOTHING_RUNS);
        have_written();
        report
    }

    /// Exits like [`exit`](Self::exit), but only queues what it prints: the caller must have it written.
    /// `hint` is printed if nothing runs any more and that does not end the program.
    pub(crate) fn end(self, hint: &'static str) -> ExitReport {
        if system::is_forked() {
            return ExitReport::not_started(
                "this process was forked from the one with the main quitter, and has none of its \
                 threads"
                    .to_owned(),
            );
        }
        // This thread only waits.
        let _own = own::mark();
        self.ending.call_exit();
        let unstarted = !self.ending.state().routines_started;
        if unstarted && !self.has_to_quit() {
            console::say(Notice::Hint(NOT_STARTED.into()));
        }
        console::body_has_returned();
        self.wait_for_event(hint);
        let for_routines = |excluding| match self.wait_for_routines(excluding) {
            live if live.is_empty() => Ok(()),
            live => Err(live),
        };
        let live = self.wait(|| waiting_routine(for_routines));
        let live = live.err().unwrap_or_default();
        // The watcher may not have got to this yet.
        self.ending.announce(console::write_here);
        self.list_last_events();
        let report = self.ending.finish(live);
        console::queue_job(console::release_now);
        report
    }

    fn wait_for_event(&self, hint: &'static str) {
        let node = self.node();
        let all_done = self.ending.state().all_done.clone();
        let until_quit = |excluding| {
            node.wait_done(Limits {
                until_quit: true,
                ..of_exit(excluding)
            })
        };
        let done = self.wait(|| waiting_routine(until_quit));
        // Waits on the channel: a snapshot counts the waiters in the node's list, and every program has an
        // exit.
        let quit = self.quit_chan();
        if done.is_ok() && !node.is_quitting() {
            match all_done {
                Some(source) => self.ending.fire(source.fired(None), console::write_here),
                None => {
                    let closed = self.wait(|| quit.recv_timeout(ON_ITS_WAY));
                    if closed == Err(RecvTimeoutError::Timeout) {
                        console::say(Notice::Hint(hint.into()));
                    }
                }
            }
        }
        self.wait(|| {
            let _closed = quit.recv();
        });
    }

    /// Waits on this thread, which blocks its quit signals meanwhile.
    fn wait<T>(&self, wait: impl FnOnce() -> T) -> T {
        signal::leave_to_listener(&self.ending.signals(), wait)
    }

    /// Waits for the routines to return, and lists those that did not return in time.
    fn wait_for_routines(&self, excluding: Option<Excluded>) -> Vec<LiveAt> {
        // The limit is the deadline of the quit.
        let limits = of_exit(excluding);
        let wait = || {
            let done = self.node().wait_done(limits.clone());
            done.err().unwrap_or_default()
        };
        let live = wait();
        let counting = late::counting(&live);
        let grace = Limits {
            ignore_deadlines: true,
            is_exit: true,
            ..Limits::within(SUPERVISORS_GRACE)
        };
        let mut supervisors = 0;
        for at in &live {
            for record in at.routines.iter().filter(|record| record.is_waiting()) {
                supervisors += 1;
                at.wait_for(record, &grace);
            }
        }
        match supervisors {
            0 => live,
            _ => late::merge(counting, wait()),
        }
    }

    /// Makes the watcher list the events that channels hold.
    fn list_last_events(&self) {
        if self.ending.state().channels {
            let (done, listed) = bounded(0);
            self.ending.ask_watcher(Control::ListTheLast(done));
            let _closed = listed.recv_timeout(LAST_WORDS);
        }
    }
}

/// The limits of the exit's waits, which leave out the routine that calls the exit.
fn of_exit(excluding: Option<Excluded>) -> Limits {
    Limits {
        excluding,
        is_exit: true,
        ..Limits::default()
    }
}

/// Starts to watch sources, and to listen to these signals, too. Returns the sources' indices.
pub(crate) fn add_sources(
    ending: &Arc<Ending>,
    sources: impl IntoIterator<Item = QuitSource>,
    mut signals: Vec<c_int>,
) -> Result<Vec<usize>, MainQuitterError> {
    let sources = sources.into_iter();
    let indices = sources.map(|source| add_source(ending, source, &mut signals));
    let indices = indices.collect();
    if !signals.is_empty() {
        let handler = Arc::clone(ending);
        let listening = signal::listen(&signals, move |signal| on_signal(&handler, signal));
        listening.inspect_err(|_| ending.state().signals.remove(&signals))?;
    }
    Ok(indices)
}

/// Starts to watch a source, unless it is signals: these are added to `signals`. Returns its index.
fn add_source(ending: &Arc<Ending>, source: QuitSource, signals: &mut Vec<c_int>) -> usize {
    let mut state = ending.state();
    let index = state.sources.len();
    // Before the source is watched: its event may come at once.
    state.sources.push(source.is_failure);
    let info = SourceInfo {
        index,
        description: source.description.into_owned(),
    };
    match source.kind {
        SourceKind::AllDone => state.all_done = Some(info),
        SourceKind::Signals(set) => signals.extend(state.signals.add(set, info)),
        SourceKind::Channel(channel) => {
            state.channels = true;
            drop(state);
            ending.ask_watcher(Control::Add(Listening { info, channel }));
        }
    }
    index
}

impl MainQuitter {
    /// Returns a handle of the root, for routines and threads: the main quitter itself cannot be cloned.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{MainQuitter, QuitSource, Quitter};
    ///
    /// let main = MainQuitter::builder().source(QuitSource::all_done()).build();
    /// let root: Quitter = main.clone();
    /// main.add_routine(move |_| assert_eq!(root.name(), "main")).unwrap();
    /// assert_eq!(main.exit().exit_code, 0);
    /// ```
    #[expect(
        clippy::should_implement_trait,
        reason = "on a reference, `clone` of `Deref` would copy the reference"
    )]
    #[must_use]
    pub fn clone(&self) -> Quitter {
        Quitter::clone(self)
    }
}

impl Deref for MainQuitter {
    type Target = Quitter;

    fn deref(&self) -> &Quitter {
        self.ending.root()
    }
}

/// Has what is queued written, before the program prints anything else. `main` often returns next, maybe with
/// the code of a report instead of the report, and then no other thread would get to write.
pub(crate) fn have_written() {
    console::write_here();
    console::flush(LAST_WORDS, LAST_WORDS);
}

impl Drop for MainQuitter {
    fn drop(&mut self) {
        if self.ending.drop_main() {
            have_written();
        }
    }
}

impl fmt::Debug for MainQuitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MainQuitter").field(&**self).finish()
    }
}
