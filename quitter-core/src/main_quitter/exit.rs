//! The main quitter: the claim on the process, the sources' watcher, and the exit.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, unbounded};

use crate::error::{AddRoutineError, MainQuitterError, full_text};
use crate::main_quitter::builder::MainQuitterBuilder;
use crate::main_quitter::events::{Described, Shared};
use crate::main_quitter::signal;
use crate::main_quitter::source::{QuitSource, SourceKind};
use crate::main_quitter::watcher::{Control, Habits, Listening, Watcher};
use crate::quitter::Quitter;
use crate::report::cause::QuitCause;
use crate::report::console;
use crate::report::exit::ExitReport;
use crate::report::failure::{FailureKind, RoutineFailure};
use crate::routine::current::waiting_routine;
use crate::routine::panics;
use crate::routine::record::Place;
use crate::routine::registry;
use crate::tree::{Limits, LiveAt, Node};

/// Whether this process has, or had, a main quitter.
static CLAIMED: AtomicBool = AtomicBool::new(false);

/// How long the exit waits for the watcher's last words: a blocked stderr may hold them up.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long routines that wait for others have, beyond the deadline that cut their wait short, to
/// return: so that the report names who hangs, and not who waits for them.
const SUPERVISORS_GRACE: Duration = Duration::from_millis(100);

/// The root of a program's tree, which listens for quit events. One per process, made in `main`.
///
/// Derefs to [`Quitter`]: children and routines are made from it. From its making on, its quit
/// sources are watched: a quit event at once tells the whole tree to quit, and starts the clock of
/// the quit timeout. [`exit`](Self::exit) waits for that, and for the routines to return.
///
/// Dropped without `exit`, it tells the tree to quit and waits for nothing. After `exit` or drop, a
/// further signal ends the process, with exit code 130, if it listened to signals.
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
    root: Quitter,
    shared: Arc<Shared>,
    control: Sender<Control>,
    exited: bool,
}

impl MainQuitter {
    /// Makes the main quitter of this process and starts to watch its quit sources.
    ///
    /// `quit_timeout` is how long the whole tree has to return, from the quit event on; zero is
    /// one look, [`Duration::MAX`] is for ever.
    ///
    /// # Panics
    ///
    /// Where [`try_new`](Self::try_new) returns an error: without a source, when the process has
    /// or had a main quitter, or when signals cannot be listened to.
    #[track_caller]
    pub fn new(
        quit_timeout: Duration,
        sources: impl IntoIterator<Item = QuitSource>,
    ) -> MainQuitter {
        match Self::try_new(quit_timeout, sources) {
            Ok(main) => main,
            Err(error) => panic!("{}", full_text(&error)),
        }
    }

    /// Makes the main quitter of this process, as [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// [`MainQuitterError`] says why there is none. After an error another attempt may follow.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    /// use quitter::{MainQuitter, MainQuitterError, QuitSource};
    ///
    /// let second = Duration::from_secs(1);
    /// assert!(matches!(MainQuitter::try_new(second, []), Err(MainQuitterError::NoSource)));
    ///
    /// let main = MainQuitter::try_new(second, [QuitSource::all_done()]).unwrap();
    /// let report = main.exit();
    /// assert_eq!(report.exit_code, 0);
    ///
    /// let again = MainQuitter::try_new(second, [QuitSource::all_done()]);
    /// assert!(matches!(again, Err(MainQuitterError::AlreadyExists)));
    /// ```
    pub fn try_new(
        quit_timeout: Duration,
        sources: impl IntoIterator<Item = QuitSource>,
    ) -> Result<MainQuitter, MainQuitterError> {
        Self::builder()
            .timeout(quit_timeout)
            .sources(sources)
            .try_build()
    }

    /// Makes the main quitter.
    pub(crate) fn make(
        timeout: Duration,
        sources: Vec<QuitSource>,
        habits: Habits,
    ) -> Result<MainQuitter, MainQuitterError> {
        if sources.is_empty() {
            return Err(MainQuitterError::NoSource);
        }
        let claim = Claim::take()?;
        console::open().map_err(MainQuitterError::Thread)?;
        let root = Quitter::of_new(Node::root("main".into(), Some(timeout)));
        let shared = Arc::new(Shared::new(
            root.clone(),
            !registry::has_automatic(),
            habits.second_signal,
        ));
        let (control, commands) = unbounded();
        let watcher = Watcher::new(Arc::clone(&shared), commands, habits);
        let thread = thread::Builder::new().name("quitter watcher".to_owned());
        thread
            .spawn(move || watcher.run())
            .map_err(MainQuitterError::Thread)?;
        let mut main = MainQuitter {
            root,
            shared,
            control,
            // Until it is whole, its end tells nobody anything.
            exited: true,
        };
        for source in sources {
            main.try_add_source(source)?;
        }
        let _ = main.control.send(Control::WatchPanics(panics::watch()));
        main.exited = false;
        claim.keep();
        Ok(main)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Starts to describe a main quitter: all that `#[quitter::main]` can say, and more.
    pub fn builder() -> MainQuitterBuilder {
        MainQuitterBuilder::default()
    }

    /// Adds a quit source, for a channel that only exists once the program is being set up.
    /// Returns its index in the report.
    ///
    /// # Panics
    ///
    /// When it is [`os_signal`](QuitSource::os_signal), is the first such source, and signals
    /// cannot be listened to.
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
        match self.try_add_source(source) {
            Ok(index) => index,
            Err(error) => panic!("{}", full_text(&error)),
        }
    }

    fn try_add_source(&self, source: QuitSource) -> Result<usize, MainQuitterError> {
        let mut events = self.shared.events();
        let described = Described {
            index: events.sources,
            description: source.description.into_owned(),
            is_failure: source.is_failure,
        };
        let index = described.index;
        let control = match source.kind {
            SourceKind::AllDone => {
                events.all_done = Some(described);
                None
            }
            SourceKind::Channel(channel) => {
                events.channels = true;
                Some(Control::Add(Listening { described, channel }))
            }
            // The signals are one source, however often it is named.
            SourceKind::OsSignal if events.signals => None,
            SourceKind::OsSignal => {
                self.shared.set_signal_source(described);
                let shared = Arc::clone(&self.shared);
                let signals = signal::listen(move |name| shared.fire_first_signal(name));
                let signals = signals.map_err(MainQuitterError::Signals)?;
                events.signals = true;
                Some(Control::AddSignals(signals))
            }
        };
        events.sources += 1;
        if let Some(control) = control {
            // Sent under the lock, so that sources are watched in the order of their indexes. The
            // channel has no bound and its receiver is the watcher, which lives as long as this.
            let _ = self.control.send(control);
        }
        Ok(index)
    }

    /// Forks the routines that `#[quitter::routine]` registered, now. Called again it does nothing.
    ///
    /// Under `#[quitter::main]` this happens when the body has returned; a body that is itself the
    /// foreground loop calls it before. Does nothing once the tree was told to quit. Where two of
    /// them have one name, or the operating system refuses a thread, that is recorded as the
    /// routine's failure, and the program quits.
    #[track_caller]
    pub fn start_routines(&self) {
        if self.shared.set_routines_started() {
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
            match routine.add_to(&self.root) {
                Ok(_detached) => {}
                Err(AddRoutineError::Quitting) => return,
                Err(error) => return self.cannot_start(routine.name(), routine.place(), &error),
            }
        }
    }

    fn cannot_start(&self, name: &str, place: Place, error: &(dyn Error + 'static)) {
        let node = self.root.node();
        node.record_failure(RoutineFailure {
            path: node.path(),
            name: name.to_owned(),
            id: 0,
            spawned_at: place,
            ran_for: Duration::ZERO,
            while_quitting: false,
            kind: FailureKind::of_error(error),
        });
        let cause = QuitCause::RoutineFailed {
            path: node.path(),
            name: name.to_owned(),
        };
        node.quit(cause, None);
    }

    /// Blocks until a quit event, then until every routine has returned or the quit timeout is
    /// over; says what came of it.
    ///
    /// An event that already came counts, and so do [`send_quit`](Quitter::send_quit) on the main
    /// quitter and a failed routine. The clock of the quit timeout starts at the event: called
    /// later than that, `exit` takes one look. The event is printed at the event, and lines that say
    /// who is waited for where that takes longer; the outcome is printed when the report is returned
    /// from `main`.
    ///
    /// Events that channels still hold are listed, which may take up to 100 ms; a signal that comes
    /// at the moment of the exit may be missing from the report.
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
    pub fn exit(self) -> ExitReport {
        let report = self.end();
        // What the program prints next comes after the event.
        console::wait_said(LAST_WORDS, LAST_WORDS);
        report
    }

    /// As [`exit`](Self::exit), but the event may still be on its way to stderr.
    pub(crate) fn end(mut self) -> ExitReport {
        self.exited = true;
        self.wait_for_event();
        self.root.node().close_gate();
        let live = waiting_routine(|except| self.wait_for_routines(except));
        let live = live.err().unwrap_or_default();
        // The watcher does this at the event, but may not have come to it yet.
        self.shared.announce();
        self.stop_watching();
        let report = self.shared.report(live);
        let report = report.expect("the event that was waited for has quit the root");
        self.shared.events().report = Some(report.clone());
        report
    }

    fn wait_for_event(&self) {
        let node = self.root.node();
        let all_done = self.shared.events().all_done.clone();
        if let Some(source) = all_done {
            let done = waiting_routine(|except| {
                node.wait_done(Limits {
                    except,
                    till_quit: true,
                    ..Limits::default()
                })
            });
            if done.is_ok() && !node.is_quitting() {
                self.shared.fire(source, None, false);
            }
        }
        node.wait_quit(None);
    }

    /// Waits for the routines to return; the error is those that did not in time.
    fn wait_for_routines(&self, except: Option<u64>) -> Result<(), Vec<LiveAt>> {
        // The limit is the deadline of the quit.
        let limits = Limits {
            except,
            ..Limits::default()
        };
        let Err(live) = self.root.node().wait_done(limits) else {
            return Ok(());
        };
        let grace = Limits {
            beyond_deadlines: true,
            ..Limits::within(SUPERVISORS_GRACE)
        };
        let mut supervisors = 0;
        for at in &live {
            for record in at.routines.iter().filter(|record| record.is_waiting()) {
                supervisors += 1;
                at.wait_for(record, grace);
            }
        }
        match supervisors {
            0 => Err(live),
            _ => self.root.node().wait_done(limits),
        }
    }

    /// Ends the watching, once what has come by now from channels is listed.
    fn stop_watching(&self) {
        if !self.shared.events().channels {
            let _ = self.control.send(Control::Stop(None));
            return;
        }
        let (done, stopped) = bounded(0);
        let _ = self.control.send(Control::Stop(Some(done)));
        let _closed = stopped.recv_timeout(LAST_WORDS);
    }
}

impl Deref for MainQuitter {
    type Target = Quitter;

    fn deref(&self) -> &Quitter {
        &self.root
    }
}

impl Drop for MainQuitter {
    fn drop(&mut self) {
        if !self.exited {
            self.shared.events().main_dropped = true;
            self.root.node().quit(QuitCause::MainDropped, None);
            let _ = self.control.send(Control::Stop(None));
        }
    }
}

impl fmt::Debug for MainQuitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MainQuitter").field(&self.root).finish()
    }
}

/// The right to make the main quitter; given back unless kept.
struct Claim;

impl Claim {
    fn take() -> Result<Self, MainQuitterError> {
        match CLAIMED.swap(true, Ordering::AcqRel) {
            false => Ok(Self),
            true => Err(MainQuitterError::AlreadyExists),
        }
    }

    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        CLAIMED.store(false, Ordering::Release);
    }
}
