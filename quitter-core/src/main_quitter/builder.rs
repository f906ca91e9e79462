//! Describes a main quitter, makes it, and runs a whole program with it.

use std::time::{Duration, Instant};

use crate::error::{MainQuitterError, full_text};
use crate::main_quitter::body::{Body, MainOutcome};
use crate::main_quitter::exit::MainQuitter;
use crate::main_quitter::signal::SecondSignal;
use crate::main_quitter::source::QuitSource;
use crate::main_quitter::watcher::Habits;
use crate::report::cause::QuitCause;
use crate::report::console;
use crate::report::exit::ExitReport;
use crate::report::failure::FailureKind;
use crate::routine::live;
use crate::routine::registry;

/// When [`MainQuitterBuilder::run`] forks the routines that `#[quitter::routine]` registered.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{MainQuitter, StartRoutines};
///
/// let builder = MainQuitter::builder().start(StartRoutines::BeforeBody);
/// ```
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
    second_signal: SecondSignal,
    waiting_lines: bool,
}

impl Default for MainQuitterBuilder {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            sources: None,
            start: StartRoutines::default(),
            force_exit: false,
            second_signal: SecondSignal::default(),
            waiting_lines: true,
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{MainQuitter, QuitSource};
    ///
    /// let builder = MainQuitter::builder()
    ///     .source(QuitSource::os_signal())
    ///     .source(QuitSource::all_done());
    /// ```
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
    /// [`run`](Self::run) always does. Also after [`exit`](MainQuitter::exit) has returned: a program
    /// that goes on then is ended at the deadline.
    pub fn force_exit(mut self, force_exit: bool) -> Self {
        self.force_exit = force_exit;
        self
    }

    /// Sets what a second signal does while the program quits: it ends the process at once
    /// otherwise.
    pub fn second_signal(mut self, second_signal: SecondSignal) -> Self {
        self.second_signal = second_signal;
        self
    }

    /// Sets whether, from a second after the quit event on, lines say who is waited for, and who of
    /// those has returned: `true` otherwise.
    pub fn waiting_lines(mut self, waiting_lines: bool) -> Self {
        self.waiting_lines = waiting_lines;
        self
    }

    /// Makes the main quitter.
    ///
    /// # Panics
    ///
    /// Where [`try_build`](Self::try_build) returns an error.
    #[track_caller]
    pub fn build(self) -> MainQuitter {
        match self.try_build() {
            Ok(main) => main,
            Err(error) => panic!("{}", full_text(&error)),
        }
    }

    /// Makes the main quitter.
    ///
    /// # Errors
    ///
    /// [`MainQuitterError`] says why there is none. No claim on the process is left.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{MainQuitter, MainQuitterError};
    ///
    /// let without = MainQuitter::builder().sources([]).try_build();
    /// assert!(matches!(without, Err(MainQuitterError::NoSource)));
    /// ```
    pub fn try_build(self) -> Result<MainQuitter, MainQuitterError> {
        self.make(None)
    }

    fn make(self, hint_at: Option<Instant>) -> Result<MainQuitter, MainQuitterError> {
        let default = || vec![QuitSource::os_signal()];
        let sources = self.sources.unwrap_or_else(default);
        let habits = Habits {
            force: self.force_exit,
            second_signal: self.second_signal,
            waiting_lines: self.waiting_lines,
            hint_at,
        };
        MainQuitter::make(self.timeout, sources, habits)
    }

    /// Does what `#[quitter::main]` does: makes the main quitter, runs `body`, forks the registered
    /// routines, and exits. Returns the report, which `main` returns.
    ///
    /// The body is listed as the routine `main`. When it fails, panics, or returns an exit code
    /// that is not zero, the tree quits at once. Where the main quitter cannot be made, or two
    /// registered routines have one name, the body does not run, and the report says why. The
    /// process is ended by force if it has not ended by itself shortly after the deadline of the
    /// quit.
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
    pub fn run<B: MainOutcome>(mut self, body: impl FnOnce(&MainQuitter) -> B) -> ExitReport {
        const PATIENCE: Duration = Duration::from_secs(2);
        let start = self.start;
        let waits_for_body = start == StartRoutines::AfterBody;
        self.force_exit = true;
        let hint_at = waits_for_body.then(|| Instant::now() + PATIENCE);
        if let Err(error) = registry::automatic() {
            return ExitReport::not_started(full_text(&error));
        }
        let main = match self.make(hint_at) {
            Ok(main) => main,
            Err(error) => return ExitReport::not_started(full_text(&error)),
        };
        if start == StartRoutines::BeforeBody {
            main.start_routines();
        }
        run_body(&main, body);
        main.start_routines();
        say_if_nothing_runs(&main);
        main.end()
    }
}

/// Runs the body as the routine `main`, and does what its outcome says.
#[track_caller]
fn run_body<B: MainOutcome>(main: &MainQuitter, body: impl FnOnce(&MainQuitter) -> B) {
    // A quit event before the body: there is nothing left to set up.
    let Ok(guard) = main.guard("main") else {
        return;
    };
    let failed = |kind: FailureKind| {
        let message = kind.text();
        guard.fail_with(kind, QuitCause::MainFailed { message });
    };
    let ended = |body: Body| match body {
        Body::Done | Body::Code(0) => {}
        Body::Code(code) => {
            main.shared().events().body_code = Some(code);
            main.node().quit(QuitCause::MainReturned { code }, None);
        }
        Body::Failed(kind) => failed(kind),
    };
    live::run_as(&guard, || body(main).settle(&ended), failed);
}

fn say_if_nothing_runs(main: &MainQuitter) {
    let waits_for_source = main.shared().events().all_done.is_none() && !main.has_to_quit();
    if waits_for_source && main.wait_done(Duration::ZERO).is_ok() {
        console::say(
            "main has returned and no routine is running; waiting for a quit event. \
             To end when everything is done, add the quit source all_done()",
        );
    }
}
