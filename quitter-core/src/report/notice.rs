//! The lines that quitter prints while a program ends, as data.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::report::cause::QuitCause;
use crate::report::dump::Dump;
use crate::report::escape::{FirstLine, Message, Name};
use crate::report::exit::ExitReport;
use crate::report::failure::{FailureKind, RoutineFailure};
#[cfg(feature = "stacks")]
use crate::report::listing::write_stacks;
use crate::report::path::QuitterPath;
use crate::report::text::{Count, write_broken};
use crate::report::timeouts::Timeouts;
use crate::report::waited_for::{Routine, write_waiting};
use crate::stands::Stands;

/// Something quitter says about the end of a program.
///
/// The [`Display`](fmt::Display) form is what it writes to stderr, without the line end: one line, or
/// several where a message or a report has several, or where a line would have more than 100 columns. What is
/// written to a narrower terminal has lines of its width. (A [`Failure`](Self::Failure) is not broken.)
/// Names, paths and statuses are escaped and shortened there; the fields hold them unchanged.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{Notice, Quitter};
///
/// let root = Quitter::root("main");
/// let notice = Notice::Returned {
///     name: "flusher".to_owned(),
///     path: root.path().into(),
/// };
/// assert_eq!(notice.to_string(), "'flusher' of main has returned");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The program was told to quit: "Received quit from 'OS interrupt/termination signal': SIGINT".
    QuitEvent {
        /// Why the program was told to quit.
        cause: QuitCause,
        /// How the routine that the cause names failed.
        failure: Option<FailureKind>,
    },
    /// A signal came while the program was quitting.
    SignalWhileQuitting {
        /// The signal's name.
        signal: Cow<'static, str>,
        /// Whether it ends the program at once.
        ends: bool,
    },
    /// The quit waits for routines: "Waiting for 1 routine, 3.9 s left: 'flusher' of main/db (running
    /// 7.0 s, blocked in futex (a lock or condition))". Names the first five, on several lines if one
    /// is too short.
    Waiting {
        /// The live routines.
        routines: Timeouts,
        /// How much of the quit timeout is left; `None` if there is no timeout.
        left: Option<Duration>,
    },
    /// A routine that a [`Waiting`](Self::Waiting) notice named has returned.
    Returned {
        /// The routine's name.
        name: String,
        /// The path of its quitter.
        path: QuitterPath,
    },
    /// A routine has failed, and the program goes on, perhaps without a part of it: see
    /// [`OnFailure::Report`](crate::OnFailure::Report) and [`OnFailure::QuitOwn`](crate::OnFailure::QuitOwn).
    Failure(RoutineFailure),
    /// Failures that came faster than they could be reported: "and 17 more failures".
    MoreFailures {
        /// The number of these failures.
        count: usize,
    },
    /// Advice about how the program uses quitter.
    Hint(Cow<'static, str>),
    /// Everything that lives in the program, asked for with a signal. The program runs on: see
    /// [`dump_on`](crate::MainQuitterBuilder::dump_on).
    Dump(Box<Dump>),
    /// The function that was given as [`before_report`](crate::MainQuitterBuilder::before_report) has not
    /// returned in time. Nothing waits for it any more: if the process ends before it returns, it is cut
    /// short. The exit code does not show this.
    BeforeReportUnfinished {
        /// How long it was waited for.
        after: Duration,
    },
    /// The outcome of the shutdown.
    Outcome(Box<ExitReport>),
    /// Where the routines hang that the [`Outcome`](Self::Outcome) of an end by force lists. It comes after
    /// the outcome, since it takes longer. If [`exit`](crate::MainQuitter::exit) made the report, the report
    /// itself has the stacks.
    #[cfg(feature = "stacks")]
    Stacks {
        /// The routines, with their stacks.
        routines: Timeouts,
    },
    /// The main quitter was dropped while routines were live, and nothing waits for them.
    LeftRunning {
        /// How many routines are live.
        count: usize,
    },
    /// The process is about to be ended by force. It kills the child processes that are routines and have not
    /// ended, with their process groups: "Killing 1 child process". Comes after the
    /// [`Outcome`](Self::Outcome).
    #[cfg(feature = "process")]
    KillingProcesses {
        /// The number of child processes.
        count: usize,
    },
    /// The process is about to be ended by force, and no routine held up its end.
    EndedByForce {
        /// How far the program had come.
        held_up: HeldUpAt,
        /// What the main thread, the first of the process, stands on. `None` if the system does not say.
        main_thread: Option<Stands>,
    },
}

/// How far a program that was [ended by force](Notice::EndedByForce) had come.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{HeldUpAt, Notice};
///
/// let held_up = HeldUpAt::BeforeExit;
/// let text = Notice::EndedByForce { held_up, main_thread: None }.to_string();
/// assert_eq!(text, "Ended by force: main has not come to its exit");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeldUpAt {
    /// `main` has not made its exit report.
    BeforeExit,
    /// `main` has its exit report, but has not returned it.
    AfterExit,
    /// `main` has returned.
    AfterMain,
}

impl fmt::Display for HeldUpAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeExit => "main has not come to its exit",
            Self::AfterExit => {
                "main has its exit report, but has not returned it: it goes on, a task blocks the \
                 runtime on its thread, or a value that it drops hangs"
            }
            Self::AfterMain => {
                "main has returned, but the process does not end: a thread-local destructor, an \
                 exit handler or the flush of stdout hangs"
            }
        })
    }
}

impl Notice {
    /// Returns whether something is wrong: a failure, an outcome with a failure or with routines that did
    /// not return, an end by a further signal or by force, a `before_report` that takes too long, a main
    /// quitter that was dropped while routines were live, or advice about a program that uses quitter
    /// wrongly. These are the notices that [`Output::Quiet`](crate::Output::Quiet) writes, besides dumps.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{MainQuitter, Notice, QuitSource};
    ///
    /// let main = MainQuitter::builder()
    ///     .source(QuitSource::all_done())
    ///     .notices(|notice: &Notice| {
    ///         if notice.is_trouble() {
    ///             eprintln!("{notice}");
    ///         }
    ///     })
    ///     .build();
    /// assert!(!Notice::Outcome(Box::new(main.exit())).is_trouble());
    /// ```
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        match self {
            Self::Outcome(report) => report.is_trouble(),
            Self::SignalWhileQuitting { ends, .. } => *ends,
            Self::Failure(_)
            | Self::MoreFailures { .. }
            | Self::Hint(_)
            | Self::BeforeReportUnfinished { .. }
            | Self::LeftRunning { .. }
            | Self::EndedByForce { .. } => true,
            #[cfg(feature = "process")]
            Self::KillingProcesses { .. } => true,
            #[cfg(feature = "stacks")]
            Self::Stacks { .. } => true,
            Self::QuitEvent { .. }
            | Self::Waiting { .. }
            | Self::Returned { .. }
            | Self::Dump(_) => false,
        }
    }

    /// Whether the notice is about the progress of the quit, and soon out of date.
    pub(crate) fn is_progress(&self) -> bool {
        matches!(self, Self::Waiting { .. } | Self::Returned { .. })
    }

    /// Whether the notice says how the program ends.
    pub(crate) fn is_last_word(&self) -> bool {
        match self {
            Self::Outcome(_) | Self::EndedByForce { .. } => true,
            #[cfg(feature = "process")]
            Self::KillingProcesses { .. } => true,
            #[cfg(feature = "stacks")]
            Self::Stacks { .. } => true,
            _ => false,
        }
    }

    /// Whether the notice is the outcome of a program in which there was nothing to shut down.
    pub(crate) fn is_no_shutdown(&self) -> bool {
        matches!(self, Self::Outcome(report) if report.is_no_shutdown())
    }

    /// Whether the program itself has already said what there is to say.
    pub(crate) fn is_no_news(&self) -> bool {
        self.is_no_shutdown() && !self.is_trouble()
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Unbroken(self);
        match self {
            Self::Waiting { .. } | Self::Dump(_) | Self::Outcome(_) => text.fmt(f),
            // One line, as in a log: the clients of a server may fail often.
            Self::Failure(_) => text.fmt(f),
            #[cfg(feature = "stacks")]
            Self::Stacks { .. } => text.fmt(f),
            _ => write_broken(f, &text.to_string()),
        }
    }
}

/// The text of a notice, with long lines left unbroken. Lists are still laid out in lines.
pub(crate) struct Unbroken<'a>(pub(crate) &'a Notice);

impl fmt::Display for Unbroken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Notice::QuitEvent { cause, failure } => {
                write!(f, "Received quit from {cause}")?;
                match failure {
                    Some(failure) => write!(f, ": {}", FirstLine(&failure.text())),
                    None => Ok(()),
                }
            }
            Notice::SignalWhileQuitting { signal, ends } => {
                write!(f, "Received {} while quitting", Name(signal))?;
                f.write_str(match ends {
                    true => ": ending now",
                    false => "; a further signal ends the program",
                })
            }
            Notice::Waiting { routines, left } => write_waiting(f, routines, *left),
            Notice::Returned { name, path } => write!(f, "{} has returned", Routine { name, path }),
            Notice::Failure(failure) => failure.with_moment().fmt(f),
            Notice::Hint(text) => Message(text).fmt(f),
            Notice::Dump(dump) => dump.fmt(f),
            Notice::BeforeReportUnfinished { after } => write!(
                f,
                "before_report had not returned after {} ms, and nothing waits for it any more",
                after.as_millis()
            ),
            Notice::Outcome(report) => report.fmt(f),
            Notice::MoreFailures { count } => write!(f, "and {}", Count(*count, "more failure")),
            Notice::LeftRunning { count } => {
                match count {
                    1 => f.write_str("Nothing waits for the routine that is live")?,
                    n => write!(f, "Nothing waits for the {n} routines that are live")?,
                }
                f.write_str(": call exit() instead of dropping the main quitter")
            }
            #[cfg(feature = "stacks")]
            Notice::Stacks { routines } => {
                f.write_str("Where they hang:")?;
                write_stacks(f, routines)
            }
            #[cfg(feature = "process")]
            Notice::KillingProcesses { count: 1 } => f.write_str("Killing 1 child process"),
            #[cfg(feature = "process")]
            Notice::KillingProcesses { count } => write!(f, "Killing {count} child processes"),
            Notice::EndedByForce {
                held_up,
                main_thread,
            } => {
                write!(f, "Ended by force: {held_up}")?;
                match main_thread {
                    Some(stands) => write!(f, "; the main thread is {stands}"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flusher_failed(message: impl Into<String>) -> Notice {
        Notice::QuitEvent {
            cause: QuitCause::RoutineFailed {
                path: "main/db".to_owned().into(),
                name: "flusher".to_owned(),
                id: 7,
            },
            failure: Some(FailureKind::Error {
                message: message.into(),
                sources: vec!["disk full".to_owned()],
            }),
        }
    }

    #[test]
    fn no_line_has_more_than_100_columns_unless_a_word_has() {
        let long = ["many words"; 30].join(" ");
        let notices = [
            flusher_failed(&long),
            Notice::SignalWhileQuitting {
                signal: long.clone().into(),
                ends: true,
            },
            Notice::Returned {
                name: long.clone(),
                path: long.clone().into(),
            },
            Notice::Hint(long.clone().into()),
            Notice::BeforeReportUnfinished {
                after: Duration::MAX,
            },
            Notice::EndedByForce {
                held_up: HeldUpAt::AfterExit,
                main_thread: Some(Stands::Blocked {
                    call: "futex".to_owned(),
                    on: None,
                }),
            },
        ];
        for notice in notices {
            let (text, unbroken) = (notice.to_string(), Unbroken(&notice).to_string());
            let fits = |line: &str| line.chars().count() <= 100;
            assert!(text.lines().all(fits), "{text}");
            assert_eq!(text.replace("\n     ", ""), unbroken);
            let begins = |line: &str| line.starts_with("      ");
            assert!(text.lines().skip(1).all(begins), "{text}");
        }
    }

    #[test]
    fn a_signal_is_trouble_if_it_ends_the_program() {
        let signal = |ends| Notice::SignalWhileQuitting {
            signal: "SIGINT".into(),
            ends,
        };
        assert!(signal(true).is_trouble() && !signal(false).is_trouble());
    }

    #[test]
    fn all_that_an_end_by_force_says_of_itself_is_last_words() {
        let by_force = [
            Notice::EndedByForce {
                held_up: HeldUpAt::AfterExit,
                main_thread: None,
            },
            #[cfg(feature = "process")]
            Notice::KillingProcesses { count: 1 },
            #[cfg(feature = "stacks")]
            Notice::Stacks {
                routines: Timeouts::default(),
            },
        ];
        for notice in by_force {
            assert!(notice.is_last_word(), "{notice}");
        }
        assert!(!Notice::LeftRunning { count: 1 }.is_last_word());
    }

    #[test]
    fn a_failure_that_is_said_at_once_is_one_line() {
        let failure = RoutineFailure {
            path: "main/clients".to_owned().into(),
            name: "client".to_owned(),
            id: 7,
            spawned_at: std::panic::Location::caller(),
            ran_for: Duration::ZERO,
            while_quitting: true,
            status: Some("10.0.0.1:5012".to_owned()),
            kind: FailureKind::Error {
                message: "many words ".repeat(20),
                sources: Vec::new(),
            },
        };
        let text = Notice::Failure(failure).to_string();
        assert!(text.chars().count() > 200 && !text.contains('\n'), "{text}");
        assert!(
            text.ends_with("(status \"10.0.0.1:5012\", while quitting)"),
            "{text}"
        );
    }

    #[test]
    fn a_reason_cannot_forge_a_line_by_its_length() {
        let forged = format!("{} Quit: all routines returned (0.0 s)", "x".repeat(60));
        let text = flusher_failed(forged).to_string();
        assert!(text.contains("\n      "), "{text}");
        assert!(!text.contains("\nQuit"), "{text}");
    }

    #[test]
    fn an_event_says_why_the_routine_failed_that_it_names() {
        let notice = flusher_failed("cannot flush");
        assert_eq!(
            notice.to_string(),
            "Received quit from routine 'flusher' of main/db, which failed: cannot flush: disk full"
        );
    }
}
