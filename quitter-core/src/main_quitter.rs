//! The main quitter: the claim on the process, the sources' watcher, and the exit.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded, unbounded};

use crate::cause::QuitCause;
use crate::console;
use crate::error::{AddRoutineError, MainQuitterError, Quitting, is_quitting};
use crate::events::{Described, Shared};
use crate::failure::{FailureKind, RoutineFailure};
use crate::never::Bang;
use crate::quitter::Quitter;
use crate::registry::{self, RegisteredRoutine};
use crate::report::ExitReport;
use crate::routine::{self, OnFailure, waiting_routine};
use crate::signal;
use crate::source::{Channel, QuitSource, SourceKind};
use crate::tree::{Limits, LiveAt, NodeRef};
use crate::watcher::{Control, Listening, Watcher};

/// Whether this process has, or had, a main quitter.
static CLAIMED: AtomicBool = AtomicBool::new(false);

/// How long the exit waits for the watcher's last words: a blocked stderr may hold them up.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long routines that wait for others have, beyond the deadline that cut their wait short, to
/// return: so that the report names who hangs, and not who waits for them.
const SUPERVISORS_GRACE: Duration = Duration::from_millis(20);

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
    routines: Vec<&'static RegisteredRoutine>,
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
        Self::try_new(quit_timeout, sources).unwrap_or_else(|error| panic!("{}", full_text(&error)))
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
        let channel = match source.kind {
            SourceKind::AllDone => {
                events.all_done = Some(described);
                events.sources += 1;
                return Ok(index);
            }
            SourceKind::Channel(channel) => channel,
            SourceKind::OsSignal => {
                let receiver = match &events.signals {
                    Some(signals) => signals.clone(),
                    None => signal::listen().map_err(MainQuitterError::Signals)?,
                };
                Box::new(Channel {
                    receiver,
                    show: |name: &&'static str| Some((*name).to_owned()),
                })
            }
        };
        events.sources += 1;
        // Sent under the lock, so that sources are watched in the order of their indexes. The
        // channel has no bound and its receiver is the watcher, which lives as long as this.
        let _ = self
            .control
            .send(Control::Add(Listening { described, channel }));
        Ok(index)
    }

    /// Forks the routines that `#[quitter::routine]` registered, now. Called again it does nothing.
    ///
    /// Under `#[quitter::main]` this happens when the body has returned; a body that is itself the
    /// foreground loop calls it before. Does nothing once the tree was told to quit. Where the
    /// operating system refuses a thread, that is recorded as the routine's failure, and the
    /// program quits.
    pub fn start_routines(&self) {
        if self.shared.set_routines_started() {
            return;
        }
        for routine in &self.routines {
            match routine.add_to(&self.root) {
                Ok(_detached) => {}
                Err(AddRoutineError::Quitting) => return,
                Err(error) => return self.routine_refused(routine, &error),
            }
        }
    }

    fn routine_refused(&self, routine: &RegisteredRoutine, error: &AddRoutineError) {
        let node = self.root.node();
        node.record_failure(RoutineFailure {
            path: node.path(),
            name: routine.name().to_owned(),
            id: 0,
            spawned_at: routine.place(),
            ran_for: Duration::ZERO,
            while_quitting: false,
            kind: FailureKind::of_error(error),
        });
        let cause = QuitCause::RoutineFailed {
            path: node.path(),
            name: routine.name().to_owned(),
        };
        node.quit(cause, None);
    }

    /// Blocks until a quit event, then until every routine has returned or the quit timeout is
    /// over; says what came of it.
    ///
    /// An event that already came counts, and so do [`send_quit`](Quitter::send_quit) on the main
    /// quitter and a failed routine. The clock of the quit timeout starts at the event: called
    /// later than that, `exit` takes one look. Prints nothing but the event, at the event; the
    /// outcome is printed when the report is returned from `main`.
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
    pub fn exit(mut self) -> ExitReport {
        self.exited = true;
        self.wait_for_event();
        let live = waiting_routine(|except| self.wait_for_routines(except));
        self.stop_watching();
        let report = self.shared.report(live);
        let report = report.expect("the event that was waited for has quit the root");
        self.shared.events().exit_code = Some(report.exit_code);
        report
    }

    fn wait_for_event(&self) {
        let node = self.root.node();
        let all_done = self.shared.events().all_done.clone();
        if let Some(source) = all_done {
            let done = waiting_routine(|except| {
                node.wait_done(Limits {
                    until: None,
                    except,
                    till_quit: true,
                })
            });
            if done.is_ok() && !node.is_quitting() {
                self.shared.fire(source, None, false);
            }
        }
        node.wait_quit(None);
    }

    /// Waits for the routines to return; returns those that did not in time.
    fn wait_for_routines(&self, except: Option<u64>) -> Vec<LiveAt> {
        let limits = Limits {
            except,
            ..Limits::default()
        };
        // The limit is the deadline of the quit.
        let Err(live) = self.root.node().wait_done(limits) else {
            return Vec::new();
        };
        let until = Instant::now() + SUPERVISORS_GRACE;
        let mut supervisors = 0;
        for at in &live {
            for record in at.routines.iter().filter(|record| record.is_waiting()) {
                supervisors += 1;
                at.node.wait_for(record, Some(until));
            }
        }
        match supervisors {
            0 => live,
            _ => self.root.node().wait_done(limits).err().unwrap_or_default(),
        }
    }

    /// Ends the watching, once what has come by now is listed.
    fn stop_watching(&self) {
        let (done, stopped) = bounded(1);
        let _ = self.control.send(Control::Stop(Some(done)));
        let _ = stopped.recv_timeout(LAST_WORDS);
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

/// An error with its sources, on one line.
fn full_text(error: &dyn Error) -> String {
    let sources = std::iter::successors(error.source(), |&error| error.source());
    sources.fold(error.to_string(), |text, error| format!("{text}: {error}"))
}

/// When [`MainQuitterBuilder::run`] forks the routines that `#[quitter::routine]` registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartRoutines {
    /// When the body has returned: the body is the set-up, and what it set up is there when the
    /// routines start.
    #[default]
    AfterBody,
    /// Before the body runs: the body is the foreground work.
    BeforeBody,
}

/// Describes a main quitter before it is made. Made by [`MainQuitter::builder`].
///
/// # Examples
///
/// What `#[quitter::main(timeout = "2s")]` does, without the macro:
///
/// ```no_run
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::{ExitReport, MainQuitter};
///
/// fn main() -> ExitReport {
///     MainQuitter::builder()
///         .timeout(Duration::from_secs(2))
///         .run(|main| {
///             println!("setting up {}", main.name());
///         })
/// }
/// ```
#[derive(Debug)]
#[must_use = "nothing is made until `build` or `run` is called"]
pub struct MainQuitterBuilder {
    timeout: Duration,
    sources: Option<Vec<QuitSource>>,
    start: StartRoutines,
    force_exit: bool,
}

impl Default for MainQuitterBuilder {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            sources: None,
            start: StartRoutines::default(),
            force_exit: false,
        }
    }
}

impl MainQuitterBuilder {
    /// Sets the quit timeout: how long the whole tree has to return from the quit event on. 10
    /// seconds otherwise; zero is one look, [`Duration::MAX`] is for ever.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the quit sources; those that were set before are dropped.
    /// [`os_signal`](QuitSource::os_signal) otherwise.
    pub fn sources(mut self, sources: impl IntoIterator<Item = QuitSource>) -> Self {
        self.sources = Some(sources.into_iter().collect());
        self
    }

    /// Adds a quit source to those that were set. The first one replaces the default.
    pub fn source(mut self, source: QuitSource) -> Self {
        self.sources.get_or_insert_default().push(source);
        self
    }

    /// Sets when [`run`](Self::run) forks the registered routines: after the body otherwise.
    pub fn start(mut self, start: StartRoutines) -> Self {
        self.start = start;
        self
    }

    /// Sets whether the process is ended by force when it has not ended by itself shortly after the
    /// deadline of the quit: the report is printed, and no destructor runs. `false` otherwise;
    /// [`run`](Self::run) always does.
    pub fn force_exit(mut self, force_exit: bool) -> Self {
        self.force_exit = force_exit;
        self
    }

    /// Makes the main quitter.
    ///
    /// # Panics
    ///
    /// Where [`try_build`](Self::try_build) returns an error.
    #[track_caller]
    pub fn build(self) -> MainQuitter {
        self.try_build()
            .unwrap_or_else(|error| panic!("{}", full_text(&error)))
    }

    /// Makes the main quitter.
    ///
    /// # Errors
    ///
    /// [`MainQuitterError`] says why there is none. No claim on the process is left.
    pub fn try_build(self) -> Result<MainQuitter, MainQuitterError> {
        self.build_with_hint(None)
    }

    fn build_with_hint(self, hint_at: Option<Instant>) -> Result<MainQuitter, MainQuitterError> {
        let sources = self
            .sources
            .unwrap_or_else(|| vec![QuitSource::os_signal()]);
        if sources.is_empty() {
            return Err(MainQuitterError::NoSource);
        }
        let routines = registry::automatic()?;
        let claim = Claim::take()?;
        console::open();
        let root = Quitter::from_node(NodeRef::root("main".into(), Some(self.timeout)));
        let shared = Arc::new(Shared::new(root.clone(), routines.is_empty()));
        let (control, commands) = unbounded();
        let watcher = Watcher::new(Arc::clone(&shared), commands, self.force_exit, hint_at);
        let thread = thread::Builder::new().name("quitter watcher".to_owned());
        thread
            .spawn(move || watcher.run())
            .map_err(MainQuitterError::Thread)?;
        let main = MainQuitter {
            root,
            shared,
            control,
            routines,
            exited: false,
        };
        for source in sources {
            main.try_add_source(source)?;
        }
        claim.keep();
        Ok(main)
    }

    /// Does what `#[quitter::main]` does: makes the main quitter, runs `body`, forks the registered
    /// routines, and exits. Returns the report, which `main` returns.
    ///
    /// The body is listed as the routine `main`. When it fails, panics, or returns an exit code
    /// that is not zero, the tree quits at once. Where the main quitter cannot be made the body
    /// does not run, and the report says why. The process is ended by force if it has not ended by
    /// itself shortly after the deadline of the quit.
    pub fn run<B: MainOutcome>(mut self, body: impl FnOnce(&MainQuitter) -> B) -> ExitReport {
        const PATIENCE: Duration = Duration::from_secs(2);
        let start = self.start;
        let waits_for_body = start == StartRoutines::AfterBody;
        self.force_exit = true;
        let hint_at = waits_for_body.then(|| Instant::now() + PATIENCE);
        let main = match self.build_with_hint(hint_at) {
            Ok(main) => main,
            Err(error) => return ExitReport::not_started(full_text(&error)),
        };
        if start == StartRoutines::BeforeBody {
            main.start_routines();
        }
        main.run_body(body);
        main.start_routines();
        main.say_if_nothing_runs();
        main.exit()
    }
}

impl MainQuitter {
    fn run_body<B: MainOutcome>(&self, body: impl FnOnce(&MainQuitter) -> B) {
        // A quit event before the body: there is nothing left to set up.
        let Ok(guard) = self.routine("main").on_failure(OnFailure::Record).guard() else {
            return;
        };
        let outcome = match routine::run_as(&guard, || body(self).into_body()) {
            Ok(outcome) => outcome,
            Err(panic) => Body::Failed(panic),
        };
        match outcome {
            Body::Done | Body::Code(0) => {}
            Body::Code(code) => {
                self.shared.events().body_code = Some(code);
                self.root
                    .node()
                    .quit(QuitCause::MainReturned { code }, None);
            }
            Body::Failed(kind) => {
                let message = kind.to_string();
                guard.fail(kind);
                self.root
                    .node()
                    .quit(QuitCause::MainFailed { message }, None);
            }
        }
    }

    fn say_if_nothing_runs(&self) {
        let waits_for_source = self.shared.events().all_done.is_none() && !self.has_to_quit();
        if waits_for_source && self.wait_done(Duration::ZERO).is_ok() {
            console::say(
                "main has returned and no routine is running; waiting for a quit event. \
                 To end when everything is done, add the quit source all_done()",
            );
        }
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

/// What the body of `main` may return: nothing, never, an [`ExitCode`], or a `Result` of these
/// whose error implements `Debug`, as with std.
///
/// An `Err` fails the program, unless it is [`Quitting`], by itself or boxed: quitting is not a
/// failure.
pub trait MainOutcome: sealed::Sealed {
    #[doc(hidden)]
    fn into_body(self) -> Body;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for crate::never::Bang {}
    impl Sealed for std::process::ExitCode {}
    impl<T: Sealed, E> Sealed for Result<T, E> {}
}

/// What came of the body of `main`.
#[doc(hidden)]
#[derive(Debug)]
pub enum Body {
    Done,
    Code(u8),
    Failed(FailureKind),
}

impl MainOutcome for () {
    fn into_body(self) -> Body {
        Body::Done
    }
}

impl MainOutcome for Bang {
    fn into_body(self) -> Body {
        self
    }
}

impl MainOutcome for ExitCode {
    fn into_body(self) -> Body {
        // std has no way back from an `ExitCode` to its number, but compares.
        let code = (0..=u8::MAX).find(|code| ExitCode::from(*code) == self);
        Body::Code(code.unwrap_or(crate::exit_code::TROUBLE))
    }
}

impl<T: MainOutcome, E: fmt::Debug + 'static> MainOutcome for Result<T, E> {
    fn into_body(self) -> Body {
        match self {
            Ok(outcome) => outcome.into_body(),
            Err(error) if says_quitting(&error) => Body::Done,
            Err(error) => Body::Failed(FailureKind::of_debug(&error)),
        }
    }
}

/// Whether an error of `main`, of which only `Debug` is known, is `Quitting` or a boxed error that
/// says so.
fn says_quitting(error: &dyn Any) -> bool {
    fn as_error<E: Error + 'static>(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
        error.downcast_ref::<E>().map(|error| error as _)
    }
    let boxed = error.downcast_ref::<Box<dyn Error>>().map(|error| &**error);
    let send = error.downcast_ref::<Box<dyn Error + Send>>();
    let sync = error.downcast_ref::<Box<dyn Error + Send + Sync>>();
    let known = as_error::<Quitting>(error)
        .or_else(|| as_error::<AddRoutineError>(error))
        .or_else(|| as_error::<std::io::Error>(error))
        .or(boxed)
        .or(send.map(|error| &**error as _))
        .or(sync.map(|error| &**error as _));
    known.is_some_and(is_quitting)
}
