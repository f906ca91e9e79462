//! What quitter says while a program ends, as data.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::report::cause::QuitCause;
use crate::report::escape::{Message, Name, cut};
use crate::report::exit::ExitReport;
use crate::report::failure::{FailureKind, RoutineFailure};
use crate::report::path::QuitterPath;
use crate::report::text::Seconds;
use crate::report::timeouts::Timeouts;

/// Something quitter says about the end of a program.
///
/// The [`Display`](fmt::Display) form is what it writes to stderr, without the line end: one line, or
/// several where a message or a report has several. Names, paths and statuses are escaped and
/// shortened there; the fields hold them as they are.
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
        /// Why.
        cause: QuitCause,
        /// How the routine failed that the cause names.
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
    /// 7.0 s)".
    Waiting {
        /// The live routines.
        routines: Timeouts,
        /// How much of the quit timeout is left; `None`: there is none.
        left: Option<Duration>,
    },
    /// A routine that a [`Waiting`](Self::Waiting) notice named has returned.
    Returned {
        /// The routine's name.
        name: String,
        /// The path of its quitter.
        path: QuitterPath,
    },
    /// A routine has failed.
    Failure(RoutineFailure),
    /// Advice about how the program uses quitter.
    Hint(Cow<'static, str>),
    /// The outcome of the shutdown.
    Outcome(Box<ExitReport>),
}

impl Notice {
    /// How many routines a [`Waiting`](Self::Waiting) notice names.
    pub(crate) const NAMED: usize = 5;
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QuitEvent { cause, failure } => {
                write!(f, "Received quit from {cause}")?;
                match failure {
                    Some(failure) => write!(f, ": {}", Message(&failure.text())),
                    None => Ok(()),
                }
            }
            Self::SignalWhileQuitting { signal, ends } => {
                write!(f, "Received {} while quitting", Name(signal))?;
                f.write_str(match ends {
                    true => ": ending now",
                    false => "; a further signal ends the program",
                })
            }
            Self::Waiting { routines, left } => write_waiting(f, routines, *left),
            Self::Returned { name, path } => write!(f, "{} has returned", Routine { name, path }),
            Self::Failure(failure) => failure.fmt(f),
            Self::Hint(text) => Message(text).fmt(f),
            Self::Outcome(report) => report.fmt(f),
        }
    }
}

fn write_waiting(
    f: &mut fmt::Formatter<'_>,
    routines: &Timeouts,
    left: Option<Duration>,
) -> fmt::Result {
    match routines.len() {
        1 => f.write_str("Waiting for 1 routine")?,
        n => write!(f, "Waiting for {n} routines")?,
    }
    if let Some(left) = left {
        write!(f, ", {} left", Seconds(left))?;
    }
    for (i, (path, routine)) in routines.first(Notice::NAMED).enumerate() {
        let separator = if i == 0 { ": " } else { ", " };
        let name = &routine.name;
        write!(f, "{separator}{} ", Routine { name, path })?;
        write!(f, "(running {}", Seconds(routine.running_for))?;
        if let Some(status) = &routine.status {
            write!(f, ", status \"{}\"", cut(status, 50))?;
        }
        f.write_str(")")?;
    }
    match routines.len().saturating_sub(Notice::NAMED) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

/// "'flusher' of main/db", short enough for several on a line.
struct Routine<'a> {
    name: &'a str,
    path: &'a QuitterPath,
}

impl fmt::Display for Routine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' of {}", cut(self.name, 30), self.path.shown(50))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quitter;

    fn without_running_times(text: &str) -> String {
        let mut parts = text.split("running ");
        let first = parts.next().unwrap_or_default().to_owned();
        let rest = parts.filter_map(|part| Some(part.split_once(" s")?.1));
        rest.fold(first, |text, rest| text + "running …" + rest)
    }

    #[test]
    fn a_waiting_notice_names_the_first_routines_and_counts_the_others() {
        let root = Quitter::root("main");
        let child = root.child("db\n").unwrap();
        let first = child.guard("flusher").unwrap();
        first.set_status("3/10\u{1b}");
        let _others = [(); 6].map(|()| root.guard("other").unwrap());
        let routines = root.wait_done(Duration::ZERO).unwrap_err();
        let left = Some(Duration::from_millis(3900));
        let text = Notice::Waiting { routines, left }.to_string();
        let text = without_running_times(&text);
        let begins = concat!(
            r"Waiting for 7 routines, 3.9 s left: 'flusher' of main/db\n (running …, ",
            r#"status "3/10\u{1b}"), 'other' of main (running …), "#
        );
        assert!(text.starts_with(begins), "{text}");
        assert!(text.ends_with(" and 2 more"), "{text}");
    }

    #[test]
    fn an_event_says_why_the_routine_failed_that_it_names() {
        let notice = Notice::QuitEvent {
            cause: QuitCause::RoutineFailed {
                path: "main/db".to_owned().into(),
                name: "flusher".to_owned(),
                id: 7,
            },
            failure: Some(FailureKind::Error {
                message: "cannot flush".to_owned(),
                sources: vec!["disk full".to_owned()],
            }),
        };
        assert_eq!(
            notice.to_string(),
            "Received quit from routine 'flusher' of main/db, which failed: cannot flush: disk full"
        );
    }
}
