//! Describes a main quitter.

mod creation;

use std::time::Duration;

use crate::error::{MainQuitterError, full_text};
use crate::main_quitter::body::{AsError, MainOutcome};
use crate::main_quitter::ending::EndingConfig;
use crate::main_quitter::exit::MainQuitter;
use crate::main_quitter::run::{End, StartRoutines};
use crate::main_quitter::signal::{SecondSignal, SignalExitCode};
use crate::main_quitter::source::QuitSource;
use crate::report::exit::ExitReport;
use crate::report::failure::FailuresWhileQuitting;
use crate::report::output::OutputConfig;
use crate::routine::kind::Work;

/// Describes a main quitter before it is created. Made by [`MainQuitter::builder`].
///
/// # Examples
///
/// This does the same as `#[quitter::main(timeout = "2s")]`:
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
#[must_use = "nothing is created until `build` or `run` is called"]
pub struct MainQuitterBuilder {
    timeout: Duration,
    signals: bool,
    sources: Vec<QuitSource>,
    start: Option<StartRoutines>,
    end: End,
    known_error: Option<AsError>,
    failures_while_quitting: FailuresWhileQuitting,
    progress_lines: bool,
    pub(super) ending: EndingConfig,
    pub(super) output: OutputConfig,
    #[cfg(feature = "process")]
    pub(crate) reap_orphans: bool,
}

impl Default for MainQuitterBuilder {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            signals: true,
            sources: Vec::new(),
            start: None,
            end: End::default(),
            known_error: None,
            failures_while_quitting: FailuresWhileQuitting::default(),
            progress_lines: true,
            ending: EndingConfig::default(),
            output: OutputConfig::default(),
            #[cfg(feature = "process")]
            reap_orphans: false,
        }
    }
}

impl MainQuitter {
    /// Creates the main quitter of this process and starts to watch its quit sources.
    ///
    /// `quit_timeout` is how long the whole tree has to return after the quit event. Zero checks once;
    /// [`Duration::MAX`] sets no limit.
    ///
    /// The report goes to the stderr that the process has at this moment: a program that redirects its stderr
    /// (with `dup2`, say) must do so first.
    ///
    /// # Panics
    ///
    /// If [`try_new`](Self::try_new) returns an error: without a source, if the process has or had a
    /// main quitter, or if signals cannot be listened to.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    /// use quitter::{MainQuitter, QuitSource};
    ///
    /// let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::all_done()]);
    /// main.add_routine(|_| println!("the only job")).unwrap();
    /// assert_eq!(main.exit().exit_code, 0);
    /// ```
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

    /// Creates the main quitter of this process, like [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// [`MainQuitterError`] says why no main quitter was created. An error leaves nothing behind: another
    /// attempt may follow.
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
            .signals(false)
            .sources(sources)
            .try_build()
    }

    /// Returns a builder, with all the options of `#[quitter::main]` and more.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{MainQuitter, QuitSource};
    ///
    /// let main = MainQuitter::builder().source(QuitSource::all_done()).build();
    /// assert_eq!(main.exit().exit_code, quitter::exit_code::CLEAN);
    /// ```
    pub fn builder() -> MainQuitterBuilder {
        MainQuitterBuilder::default()
    }
}

impl MainQuitterBuilder {
    /// Sets the quit timeout: how long the whole tree has to return after the quit event. The default is 10
    /// seconds. Zero checks once; [`Duration::MAX`] sets no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets whether the signals of the operating system are a quit source. The default is `true`:
    /// [`os_signal`](QuitSource::os_signal) follows the other sources, unless it is already among them.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{MainQuitter, QuitSource};
    ///
    /// let builder = MainQuitter::builder().signals(false).source(QuitSource::all_done());
    /// ```
    pub fn signals(mut self, signals: bool) -> Self {
        self.signals = signals;
        self
    }

    /// Adds quit sources.
    pub fn sources(mut self, sources: impl IntoIterator<Item = QuitSource>) -> Self {
        self.sources.extend(sources);
        self
    }

    /// Adds a quit source.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{MainQuitter, QuitSource};
    ///
    /// let builder = MainQuitter::builder().source(QuitSource::all_done());
    /// ```
    pub fn source(mut self, source: QuitSource) -> Self {
        self.sources.push(source);
        self
    }

    /// Sets what the return of the body means to [`run`](Self::run). The default is
    /// [`End::OnQuitEvent`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{End, MainQuitter};
    ///
    /// let report = MainQuitter::builder().end(End::WithBody).run(|main: &MainQuitter| {
    ///     main.add_routine(|q| q.wait_quit()).unwrap();
    ///     println!("the foreground work");
    /// });
    /// assert_eq!(report.exit_code, 0);
    /// ```
    pub fn end(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    /// Sets how a program that quits because of a signal ends, if nothing else goes wrong: with which exit code,
    /// or by the signal itself. The default is [`SignalExitCode::Zero`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{MainQuitter, SignalExitCode};
    ///
    /// let builder = MainQuitter::builder().signal_exit_code(SignalExitCode::Raise);
    /// ```
    pub fn signal_exit_code(mut self, code: SignalExitCode) -> Self {
        self.ending.signal_exit_code = code;
        self
    }

    /// Sets when [`run`](Self::run) starts the registered routines. The default is after the body, or before
    /// it in a program that [ends with its body](End::WithBody).
    pub fn start(mut self, start: StartRoutines) -> Self {
        self.start = Some(start);
        self
    }

    /// Sets whether the process is ended by force if it has not ended by itself shortly after the deadline of
    /// the quit: the report is printed, and no destructor runs. The default is `false`; [`run`](Self::run)
    /// always does it. The process is ended after [`exit`](MainQuitter::exit) has returned, too, if the
    /// program then runs on until the deadline.
    pub fn force_exit(mut self, force_exit: bool) -> Self {
        self.ending.force = force_exit;
        self
    }

    /// Sets what a second signal does while the program quits. By default, it ends the process, unless it
    /// comes within half a second of the first: signals come in pairs. See [`SecondSignal`].
    pub fn second_signal(mut self, second_signal: SecondSignal) -> Self {
        self.ending.second_signal = second_signal;
        self
    }

    /// Sets whether progress lines are printed, from a second after the quit event: which routines the
    /// program waits for, and which of them have returned. The default is `true`.
    ///
    /// With the feature `progress`, and where stderr is a terminal on Unix, a picture of the quit is drawn
    /// instead, from 200 ms after the event. It shows how much time is left, and up to ten of the routines
    /// that are still running: for how long, with which status and, on Linux, what each is doing. It is
    /// redrawn in place several times a second, two lines below the cursor, so that lines that the program
    /// itself prints have room, and is gone when the report comes. If the program prints more than three
    /// lines between two drawings, a piece of the picture may remain behind one of them.
    ///
    /// The lines are printed rather than the picture on a terminal that is dumb (`TERM` is missing or
    /// `dumb`), in raw mode, narrower than 20 columns or lower than 6 lines, or not this program's at the
    /// moment (as after `&` in a shell); and if the program asks for another [`output`](Self::output), for
    /// [notices](Self::notices), or to [hold](Self::hold_output) them.
    pub fn progress_lines(mut self, progress_lines: bool) -> Self {
        self.progress_lines = progress_lines;
        self
    }

    /// Sets how the program responds to failures while quitting. The default is
    /// [`FailuresWhileQuitting::Count`]. A failure of the body while the program quits counts as one, too.
    /// [`Quitter::failures_while_quitting`](crate::Quitter::failures_while_quitting) sets it for a part of the
    /// tree.
    ///
    /// # Examples
    ///
    /// A foreground loop whose `?` fails when the routines that send to it have returned:
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{FailuresWhileQuitting, MainQuitter};
    ///
    /// let builder = MainQuitter::builder().failures_while_quitting(FailuresWhileQuitting::ListOnly);
    /// let report = builder.run(|main| {
    ///     let (keys, events) = crossbeam_channel::bounded::<char>(1);
    ///     main.routine("keyboard").add(move |q| {
    ///         q.request_quit("the key q");
    ///         drop(keys);
    ///     })?;
    ///     loop {
    ///         println!("key {}", events.recv()?);
    ///     }
    ///     #[allow(unreachable_code)]
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// });
    /// assert_eq!(report.exit_code, 0);
    /// assert!(report.failures[0].while_quitting);
    /// ```
    pub fn failures_while_quitting(mut self, policy: FailuresWhileQuitting) -> Self {
        self.failures_while_quitting = policy;
        self
    }

    /// Sets how the body's error is read. For the attribute.
    #[doc(hidden)]
    pub fn known_error(mut self, known_error: Option<AsError>) -> Self {
        self.known_error = known_error;
        self
    }

    /// Creates the main quitter.
    ///
    /// # Panics
    ///
    /// If [`try_build`](Self::try_build) returns an error.
    #[track_caller]
    pub fn build(self) -> MainQuitter {
        match self.try_build() {
            Ok(main) => main,
            Err(error) => panic!("{}", full_text(&error)),
        }
    }

    /// Creates the main quitter.
    ///
    /// # Errors
    ///
    /// [`MainQuitterError`] says why no main quitter was created. An error leaves nothing behind: another
    /// attempt may follow.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{MainQuitter, MainQuitterError};
    ///
    /// let without = MainQuitter::builder().signals(false).try_build();
    /// assert!(matches!(without, Err(MainQuitterError::NoSource)));
    /// ```
    pub fn try_build(self) -> Result<MainQuitter, MainQuitterError> {
        self.make(None)
    }

    /// Does what `#[quitter::main]` does: creates the main quitter, runs `body`, starts the
    /// registered routines, and exits. Returns the report, which `main` returns.
    ///
    /// The body is listed as the routine `main`. If it fails, panics, or returns an exit code that
    /// is not zero, the tree quits at once. If the main quitter cannot be created, or two registered
    /// routines have the same name, the body does not run, and the report says why. The process is
    /// ended by force if it has not ended by itself shortly after the deadline of the quit.
    ///
    /// An async body takes `run_async`, which needs the feature `tokio`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{MainQuitter, QuitSource};
    ///
    /// let sources = [QuitSource::os_signal(), QuitSource::all_done()];
    /// let report = MainQuitter::builder().sources(sources).run(|main: &MainQuitter| {
    ///     main.add_routine(|_| println!("a job")).map(drop)
    /// });
    /// assert_eq!(report.exit_code, quitter::exit_code::CLEAN);
    /// ```
    #[track_caller]
    pub fn run<B: MainOutcome>(self, body: impl FnOnce(&MainQuitter) -> B) -> ExitReport {
        match self.prepare(Work::Body) {
            Ok(program) => program.run(body, |main, hint| main.end(hint)),
            Err(reason) => ExitReport::not_started(reason),
        }
    }
}
