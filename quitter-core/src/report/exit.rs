//! What came of a quit: the exit report, its text and its exit code.

use std::fmt;
use std::process::{ExitCode, Termination};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::main_quitter::signal::{QuitSignal, SignalExitCode};
use crate::report::cause::QuitCause;
use crate::report::console;
use crate::report::failure::{Failures, RoutineFailure};
use crate::report::timeouts::{Seconds, Timeouts};

/// The exit codes that quitter itself uses.
pub mod exit_code {
    pub use crate::main_quitter::signal::SECOND_SIGNAL;

    /// Everything returned, nothing failed.
    pub const CLEAN: u8 = 0;
    /// A routine did not return in time, something failed, or a quit source fired that is marked
    /// [`as_failure`](crate::QuitSource::as_failure).
    pub const TROUBLE: u8 = 1;
}

/// What came of a quit. Returned by [`MainQuitter::exit`](crate::MainQuitter::exit).
///
/// Returned from `main` it prints itself to stderr and ends the process with its exit code:
///
/// ```no_run
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::{ExitReport, MainQuitter, QuitSource};
///
/// fn main() -> ExitReport {
///     let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
///     // Fork routines.
///     main.exit()
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "return it from main, or pass on its exit code"]
#[non_exhaustive]
pub struct ExitReport {
    /// What the process should exit with; see [`exit_code`].
    ///
    /// A body of `main` that returned an [`ExitCode`] other than zero keeps it.
    pub exit_code: u8,
    /// What made the main quitter quit.
    pub cause: QuitCause,
    /// The signal that was this cause, if it was one.
    pub signal: Option<QuitSignal>,
    /// The quit sources that fired after that.
    pub later_causes: Vec<QuitCause>,
    /// The routines that did not return in time.
    pub timeouts: Timeouts,
    /// The routines that failed, in the order in which they did: the first thousand.
    pub failures: Vec<RoutineFailure>,
    /// How long it took from the quit event until everything had returned, or until the time was
    /// up.
    pub took: Duration,
    unlisted_failures: u64,
    started: bool,
    voice: Arc<Voice>,
}

/// The right to say the outcome, which is said once. Shared by a report, its clones, and the forced
/// end.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    said: AtomicBool,
    returned: AtomicBool,
}

impl Voice {
    /// Takes the right, on the thread that then writes: if it were taken before the text is queued,
    /// the process could end in between without an outcome. Returns whether it was there to be had.
    pub(crate) fn take_outcome(&self) -> bool {
        !self.said.swap(true, Ordering::Relaxed)
    }

    /// Whether `main` has returned its report.
    pub(crate) fn has_returned(&self) -> bool {
        self.returned.load(Ordering::Relaxed)
    }
}

/// Everything an exit report is made of.
pub(crate) struct Outcome {
    pub(crate) cause: QuitCause,
    pub(crate) signal: Option<QuitSignal>,
    pub(crate) signal_exit_code: SignalExitCode,
    pub(crate) later_causes: Vec<QuitCause>,
    pub(crate) timeouts: Timeouts,
    pub(crate) failures: Failures,
    pub(crate) took: Duration,
    /// A source fired that is marked as a failure.
    pub(crate) source_failed: bool,
    /// The exit code that the body of `main` returned, if not zero.
    pub(crate) body_code: Option<u8>,
    pub(crate) voice: Arc<Voice>,
}

impl Outcome {
    fn exit_code(&self) -> u8 {
        let trouble = !self.timeouts.is_empty() || !self.failures.is_empty() || self.source_failed;
        let signal = match self.signal_exit_code {
            SignalExitCode::Zero => None,
            SignalExitCode::Plus128 => self.signal,
        };
        match (self.body_code, trouble, signal) {
            (Some(code), ..) => code,
            (None, true, _) => exit_code::TROUBLE,
            // Signals that end a program have small numbers.
            (None, false, Some(signal)) => 128 + u8::try_from(signal.number).unwrap_or(0),
            (None, false, None) => exit_code::CLEAN,
        }
    }
}

impl ExitReport {
    pub(crate) fn new(outcome: Outcome) -> Self {
        Self {
            exit_code: outcome.exit_code(),
            cause: outcome.cause,
            signal: outcome.signal,
            later_causes: outcome.later_causes,
            timeouts: outcome.timeouts,
            failures: outcome.failures.listed,
            took: outcome.took,
            unlisted_failures: outcome.failures.unlisted,
            started: true,
            voice: outcome.voice,
        }
    }

    /// The report of a program whose main quitter could not be made.
    pub(crate) fn not_started(message: String) -> Self {
        // Without its thread, whoever says this waits for stderr.
        let _ = console::open();
        Self {
            exit_code: exit_code::TROUBLE,
            cause: QuitCause::MainFailed { message },
            signal: None,
            later_causes: Vec::new(),
            timeouts: Timeouts::default(),
            failures: Vec::new(),
            took: Duration::ZERO,
            unlisted_failures: 0,
            started: false,
            voice: Arc::default(),
        }
    }

    fn write_outcome(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            QuitCause::MainFailed { message } if !self.started => {
                write!(f, "Failed to start: {message}")
            }
            _ if self.timeouts.is_empty() => {
                write!(f, "Quit: all routines returned ({})", Seconds(self.took))
            }
            _ => write!(f, "Failed to quit: {}", self.timeouts),
        }
    }

    fn write_failures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        let all = self.failures.len() as u64 + self.unlisted_failures;
        match all {
            0 => return Ok(()),
            1 => f.write_str("\n1 routine failed:")?,
            n => write!(f, "\n{n} routines failed:")?,
        }
        for failure in self.failures.iter().take(SHOWN) {
            write!(f, "\n  {failure}")?;
            if failure.while_quitting {
                f.write_str(" (while quitting)")?;
            }
        }
        match all.saturating_sub(SHOWN as u64) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// The outcome for people: who did not return, who failed, what else wanted to quit.
impl fmt::Display for ExitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_outcome(f)?;
        self.write_failures(f)?;
        // That a channel closes once the program quits is no news.
        let is_news = |cause: &&QuitCause| !matches!(cause, QuitCause::Source { closed: true, .. });
        let mut later = self.later_causes.iter().filter(is_news);
        later.try_for_each(|cause| write!(f, "\nLater received quit from {cause}"))
    }
}

/// Prints the outcome to stderr and returns the exit code.
///
/// A stderr that takes nothing for a second, as a full pipe does, is not waited for any longer.
impl Termination for ExitReport {
    fn report(self) -> ExitCode {
        const A_LINE: Duration = Duration::from_secs(1);
        const IN_ALL: Duration = Duration::from_secs(5);
        let code = ExitCode::from(self.exit_code);
        self.voice.returned.store(true, Ordering::Relaxed);
        console::afterwards(move || {
            if self.voice.take_outcome() {
                console::say_now(&self);
            }
        });
        console::wait_said(A_LINE, IN_ALL);
        code
    }
}
