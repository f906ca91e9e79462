//! The exit report: the outcome of a shutdown, its text and its exit code.

use std::fmt;
use std::process::{ExitCode, Termination};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::main_quitter::signal::{QuitSignal, SignalExitCode};
use crate::report::cause::QuitCause;
use crate::report::console;
use crate::report::escape::Message;
use crate::report::failure::{Failures, RoutineFailure, write_failures};
use crate::report::notice::Notice;
use crate::report::path::QuitterPath;
use crate::report::slow::{SlowLine, SlowRoutine};
use crate::report::stacks;
use crate::report::text::{Count, Seconds, width, write_broken};
use crate::report::timeouts::Timeouts;

/// The exit codes that quitter itself uses.
pub mod exit_code {
    /// Everything returned, and nothing failed.
    pub const CLEAN: u8 = 0;
    /// A routine did not return in time, something failed, or a quit source marked
    /// [`as_failure`](crate::QuitSource::as_failure) fired.
    pub const FAILURE: u8 = 1;
    /// A second signal ended the process. It is 128 plus the number of SIGINT, by the convention of
    /// shells (`bash(1)`, "EXIT STATUS"). With [`SignalExitCode::Raise`](crate::SignalExitCode::Raise), the
    /// signal itself ends the process instead.
    pub const SECOND_SIGNAL: u8 = 130;
}

/// The outcome of a shutdown. Returned by [`MainQuitter::exit`](crate::MainQuitter::exit).
///
/// Returned from `main`, it prints itself to stderr and ends the process with its exit code:
///
/// ```no_run
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::{ExitReport, MainQuitter, QuitSource};
///
/// fn main() -> ExitReport {
///     let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
///     // Start routines.
///     main.exit()
/// }
/// ```
///
/// The [`Display`](fmt::Display) form is for people, and of bounded length: the failures, equal ones on
/// one line with their count; then whether all routines returned, and which were slow to return or did not
/// return; then what else told the program to quit. Lines break at 100 columns, unless a single word is
/// longer. Names, paths, statuses and messages are escaped, so that they cannot forge a line or control
/// the terminal, and long ones are shortened. The fields hold the text unchanged. If the body of `main`
/// returned an error while no routine was live, there was nothing to shut down: then the form is that
/// error alone, "Error: no such file".
#[derive(Clone, Debug)]
#[must_use = "return it from main, or pass on its exit code"]
#[non_exhaustive]
pub struct ExitReport {
    /// The exit code that the process should have; see [`exit_code`].
    ///
    /// If the body of `main` returned an [`ExitCode`] other than zero, this is that code. If a signal is to end
    /// the process ([`SignalExitCode::Raise`]), it is 128 plus the number of that signal; another code that is
    /// written here takes precedence.
    pub exit_code: u8,
    /// The cause of the quit.
    pub cause: QuitCause,
    /// The signal that caused the quit, if one did: the [`signal`](QuitCause::signal) of the cause.
    pub signal: Option<QuitSignal>,
    /// The quit sources that fired after the cause.
    pub later_causes: Vec<QuitCause>,
    /// The routines that did not return in time.
    pub timeouts: Timeouts,
    /// Quitters whose live routines, their own and those below, could not be read in time, since other
    /// threads held locks. Only an end by force, or a look at the deadline that comes before the exit, leaves
    /// any out.
    pub unread: Vec<QuitterPath>,
    /// The routines that failed, in the order in which they failed: the first thousand, and the one that
    /// made the program quit.
    pub failures: Vec<RoutineFailure>,
    /// The routines that returned in time, but took more than half of the quit timeout: the slowest
    /// first, and a thousand at most.
    pub slow: Vec<SlowRoutine>,
    /// The time from the quit event until [`exit`](crate::MainQuitter::exit) found that everything had returned,
    /// or that the time was up. So it is longer if `exit` was called later than that.
    pub took: Duration,
    pub(super) unlisted_failures: u64,
    /// Whether the failures and the later causes could be read.
    pub(super) all_read: bool,
    pub(super) unlisted_slow: usize,
    pub(super) quit_timeout: Duration,
    /// The signal that is to end the program.
    ends_by: Option<QuitSignal>,
    started: bool,
    /// Whether something is wrong, whatever the exit code.
    trouble: bool,
    /// Whether the body of `main` failed, or returned an exit code, while nothing was running.
    no_shutdown: bool,
    /// Whether the process is ended by force before `main` has come to its exit.
    lacks_exit: bool,
    outcome_claim: Arc<OutcomeClaim>,
}

/// The right to say the outcome, which is said only once. Shared by a report, its clones, and the end by
/// force.
#[derive(Debug, Default)]
pub(crate) struct OutcomeClaim {
    said: AtomicBool,
    /// The end that `main` has chosen by returning its report.
    returned: OnceLock<ProgramEnd>,
    written: AtomicBool,
}

/// How the program is to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProgramEnd {
    pub(crate) code: u8,
    /// The signal that is to end it instead, if one is.
    pub(crate) signal: Option<QuitSignal>,
}

impl ProgramEnd {
    pub(crate) fn by_code(code: u8) -> Self {
        Self { code, signal: None }
    }

    pub(crate) fn by(signal: QuitSignal) -> Self {
        Self {
            code: signal.exit_code(),
            signal: Some(signal),
        }
    }
}

impl OutcomeClaim {
    /// Takes the right, on the thread that then writes: if it were taken before the text is queued, the
    /// process could end in between without an outcome. Returns whether it had not been taken before.
    pub(crate) fn take(&self) -> bool {
        !self.said.swap(true, Ordering::Relaxed)
    }

    /// Whether `main` has returned its report.
    pub(crate) fn has_returned(&self) -> bool {
        self.returned.get().is_some()
    }

    /// The end that `main` has chosen, while it waits for stderr to take its report.
    pub(crate) fn end_being_written(&self) -> Option<ProgramEnd> {
        let is_written = self.written.load(Ordering::Relaxed);
        self.returned.get().copied().filter(|_| !is_written)
    }
}

/// Everything an exit report is made of.
pub(crate) struct Outcome {
    pub(crate) cause: QuitCause,
    pub(crate) signal_exit_code: SignalExitCode,
    pub(crate) later_causes: Vec<QuitCause>,
    pub(crate) timeouts: Timeouts,
    pub(crate) unread: Vec<QuitterPath>,
    /// Whether the failures and the other facts about the end could be read in time.
    pub(crate) all_read: bool,
    pub(crate) failures: Failures,
    pub(crate) took: Duration,
    pub(crate) slow: Vec<SlowRoutine>,
    /// The number of slow routines that are not listed.
    pub(crate) unlisted_slow: usize,
    pub(crate) quit_timeout: Duration,
    /// Whether a source fired that is marked as a failure.
    pub(crate) source_failed: bool,
    /// The exit code that the body of `main` returned, unless it is zero.
    pub(crate) body_code: Option<u8>,
    /// Whether the body of `main` failed, or returned an exit code, while nothing was running.
    pub(crate) no_shutdown: bool,
    pub(crate) outcome_claim: Arc<OutcomeClaim>,
}

impl Outcome {
    /// An outcome of which there is nothing to say but its cause.
    fn of(cause: QuitCause) -> Self {
        Self {
            cause,
            signal_exit_code: SignalExitCode::Zero,
            later_causes: Vec::new(),
            timeouts: Timeouts::default(),
            unread: Vec::new(),
            all_read: true,
            failures: Failures::default(),
            took: Duration::ZERO,
            slow: Vec::new(),
            unlisted_slow: 0,
            quit_timeout: Duration::ZERO,
            source_failed: false,
            body_code: None,
            no_shutdown: false,
            outcome_claim: Arc::default(),
        }
    }

    /// Whether something is wrong.
    fn is_trouble(&self) -> bool {
        !self.timeouts.is_empty()
            || !self.unread.is_empty()
            || !self.all_read
            || self.failures.any_counts
            || self.source_failed
    }

    fn end(&self) -> ProgramEnd {
        let by_code = ProgramEnd::by_code;
        match (self.body_code, self.cause.signal(), self.signal_exit_code) {
            (Some(code), ..) => by_code(code),
            (None, ..) if self.is_trouble() => by_code(exit_code::FAILURE),
            (None, Some(signal), SignalExitCode::Plus128) => by_code(signal.exit_code()),
            (None, Some(signal), SignalExitCode::Raise) => ProgramEnd::by(signal),
            (None, Some(_), SignalExitCode::Zero) | (None, None, _) => by_code(exit_code::CLEAN),
        }
    }
}

impl ExitReport {
    pub(crate) fn new(outcome: Outcome) -> Self {
        let end = outcome.end();
        Self {
            exit_code: end.code,
            ends_by: end.signal,
            trouble: outcome.is_trouble(),
            no_shutdown: outcome.no_shutdown,
            lacks_exit: false,
            signal: outcome.cause.signal(),
            cause: outcome.cause,
            later_causes: outcome.later_causes,
            timeouts: outcome.timeouts,
            unread: outcome.unread,
            all_read: outcome.all_read,
            failures: outcome.failures.listed,
            took: outcome.took,
            slow: outcome.slow,
            unlisted_slow: outcome.unlisted_slow,
            quit_timeout: outcome.quit_timeout,
            unlisted_failures: outcome.failures.unlisted,
            started: true,
            outcome_claim: outcome.outcome_claim,
        }
    }

    /// The report of a program whose main quitter could not be made.
    pub(crate) fn not_started(message: String) -> Self {
        // If the thread cannot be started, the report is written on this one.
        let _ = console::open();
        Self {
            exit_code: exit_code::FAILURE,
            trouble: true,
            started: false,
            ..Self::new(Outcome::of(QuitCause::MainFailed { message }))
        }
    }

    pub(crate) fn is_trouble(&self) -> bool {
        self.trouble
    }

    pub(crate) fn is_no_shutdown(&self) -> bool {
        self.no_shutdown
    }

    /// The report of a process that is ended by force before `main` has come to its exit.
    pub(crate) fn without_exit(mut self) -> Self {
        self.lacks_exit = true;
        self.trouble = true;
        self
    }

    fn write_outcome(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            QuitCause::MainFailed { message } if !self.started => {
                write_broken(f, &format!("Failed to start: {}", Message(message)))
            }
            _ if self.timeouts.is_empty() && self.unread.is_empty() && self.lacks_exit => {
                let took = Seconds(self.took);
                write!(
                    f,
                    "Failed to quit: main had not come to its exit after {took}"
                )
            }
            _ if self.timeouts.is_empty() && self.unread.is_empty() => {
                write!(f, "Quit: all routines returned ({})", Seconds(self.took))?;
                self.write_slow(f)
            }
            _ => write!(f, "Failed to quit: {}", self.timeouts),
        }
    }

    fn write_slow(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.slow.is_empty() {
            return Ok(());
        }
        let line = SlowLine {
            slow: &self.slow,
            unlisted: self.unlisted_slow,
            timeout: self.quit_timeout,
        };
        write!(f, "\n{line}")
    }

    fn write_unread(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        for path in self.unread.iter().take(SHOWN) {
            let path = path.shown(width() / 2);
            write!(
                f,
                "\n  {path} could not be read: other threads held its lock"
            )?;
        }
        let more = self.unread.len().saturating_sub(SHOWN);
        if more > 0 {
            let more = Count(more, "more quitter");
            write!(f, "\n  and {more} could not be read")?;
        }
        match self.all_read {
            true => Ok(()),
            false => f.write_str(
                "\nSome failures or sources may be missing: other threads held their locks",
            ),
        }
    }

    fn write_later_causes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        // Channels usually close once the program quits.
        let is_news = |cause: &&QuitCause| !matches!(cause, QuitCause::Source { closed: true, .. });
        let mut later = self.later_causes.iter().filter(is_news);
        for cause in later.by_ref().take(SHOWN) {
            write_broken(f, &format!("\nLater received quit from {cause}"))?;
        }
        match later.count() {
            0 => Ok(()),
            more => {
                let more = Count(more, "more source");
                write!(f, "\nLater received quit from {more}")
            }
        }
    }
}

impl fmt::Display for ExitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (true, QuitCause::MainFailed { message }) = (self.no_shutdown, &self.cause) {
            return write_broken(f, &format!("Error: {}", Message(message)));
        }
        write_failures(f, &self.failures, self.unlisted_failures)?;
        self.write_outcome(f)?;
        self.write_unread(f)?;
        self.write_later_causes(f)?;
        stacks::write_note(f, &self.timeouts)
    }
}

/// Prints the outcome to stderr and returns the exit code.
///
/// Gives up after a second if stderr takes nothing, as when it is a full pipe. With
/// [`SignalExitCode::Raise`], a signal ends the process once stdout is flushed, unless the exit code was changed.
impl Termination for ExitReport {
    fn report(self) -> ExitCode {
        const A_LINE: Duration = Duration::from_secs(1);
        const TOTAL: Duration = Duration::from_secs(5);
        let code = self.exit_code;
        let is_unchanged = |signal: &QuitSignal| signal.exit_code() == code;
        let signal = self.ends_by.filter(is_unchanged);
        let claim = Arc::clone(&self.outcome_claim);
        let _ = claim.returned.set(ProgramEnd { code, signal });
        console::queue_job(move || {
            if self.outcome_claim.take() {
                console::say_now(Notice::Outcome(Box::new(self)));
            }
        });
        console::write_here();
        console::flush(A_LINE, TOTAL);
        claim.written.store(true, Ordering::Relaxed);
        if let Some(signal) = signal {
            signal.end_at_exit();
        }
        ExitCode::from(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(index: usize, message: Option<&str>) -> QuitCause {
        QuitCause::Source {
            index,
            description: format!("source {index}"),
            message: message.map(str::to_owned),
            closed: message.is_none() && index % 2 == 1,
        }
    }

    #[test]
    fn of_many_later_causes_the_first_are_shown_and_the_others_counted() {
        let report = ExitReport::new(Outcome {
            later_causes: (1..100).map(|index| source(index, None)).collect(),
            ..Outcome::of(source(0, None))
        });
        let text = report.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "Quit: all routines returned (0.0 s)");
        assert_eq!(lines[10], "Later received quit from 'source 20'");
        assert_eq!(lines[11], "Later received quit from 39 more sources");
        assert_eq!(lines.len(), 12);
    }

    #[test]
    fn a_part_of_the_tree_that_could_not_be_read_fails_the_end() {
        let report = ExitReport::new(Outcome {
            unread: vec!["main/db".to_owned().into()],
            ..Outcome::of(source(0, None))
        });
        assert_eq!((report.exit_code, report.is_trouble()), (1, true));
    }

    #[test]
    fn no_line_has_more_than_100_columns_unless_a_word_has() {
        let long = ["many words", "a line\n   of its own"].join(" ").repeat(20);
        let failure = RoutineFailure {
            path: long.clone().into(),
            name: "flusher".to_owned(),
            id: 7,
            spawned_at: std::panic::Location::caller(),
            ran_for: Duration::ZERO,
            while_quitting: true,
            status: Some(long.clone()),
            kind: crate::FailureKind::Panic {
                message: long.clone(),
                place: Some(format!("/{}/src/lib.rs:7:5", "x".repeat(120))),
            },
        };
        let failures = Failures {
            listed: vec![failure],
            ..Failures::default()
        };
        let main_failed = || QuitCause::MainFailed {
            message: long.clone(),
        };
        let reports = [
            ExitReport::new(Outcome {
                failures,
                later_causes: vec![source(1, Some(&long))],
                unread: vec![long.clone().into(); 9],
                all_read: false,
                ..Outcome::of(source(0, None))
            }),
            ExitReport::new(Outcome {
                no_shutdown: true,
                ..Outcome::of(main_failed())
            }),
            ExitReport::not_started(long.clone()),
        ];
        for report in reports {
            let text = report.to_string();
            for line in text.lines() {
                let is_one_word = !line.trim().contains(' ');
                assert!(line.chars().count() <= 100 || is_one_word, "{line}\n{text}");
            }
        }
    }
}
