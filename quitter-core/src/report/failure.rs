//! Routines that failed.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::error::chain;
use crate::report::escape::{Message, Name, quoted};
use crate::report::path::{Paths, QuitterPath};
use crate::report::text::{width, write_broken};

/// How the program responds to the failure of a routine. Set by
/// [`RoutineBuilder::on_failure`](crate::RoutineBuilder::on_failure) for one routine, and by
/// [`Quitter::on_failure`](crate::Quitter::on_failure) for all routines of a quitter.
///
/// | | quits | exit code | reported |
/// | --- | --- | --- | --- |
/// | `QuitMain` | the whole tree | 1 | at the quit, and in the exit report |
/// | `QuitOwn` | the routine's quitter and those below it | 1 | at once, and in the exit report |
/// | `FailAtExit` | nothing | 1 | in the exit report |
/// | `Report` | nothing | unchanged | at once |
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::{OnFailure, Quitter};
///
/// let root = Quitter::root("main");
/// let child = root.child("optional").unwrap();
/// let probe = child.routine("probe").on_failure(OnFailure::QuitOwn);
/// probe.add(|_| Err::<(), _>("no such device")).unwrap();
/// root.wait_done(Duration::MAX).unwrap();
/// assert!(child.has_to_quit() && !root.has_to_quit());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnFailure {
    /// The root of the tree quits. Under a main quitter that is the whole program, with exit code 1.
    #[default]
    QuitMain,
    /// The routine's own quitter quits, and those below it. Below a main quitter, one line on stderr reports
    /// the failure at once, the exit report lists it, and the exit code will be 1.
    QuitOwn,
    /// The program goes on, and nothing is reported until its end. Then the exit report lists the
    /// failure, and the exit code is 1. For work whose failure makes the run as a whole a failure,
    /// such as one file of a batch.
    FailAtExit,
    /// The program goes on: one line on stderr reports the failure at once, and that is all, also in a tree
    /// without a main quitter. The failure changes neither the exit code nor the exit report, and
    /// [`failures`](crate::Quitter::failures) leaves it out. For failures that belong to a server's normal
    /// day, such as a client that resets its connection.
    ///
    /// If failures come faster than stderr takes lines, some are only counted: "and 17 more failures".
    Report,
}

/// How the program responds to failures while quitting. Set by
/// [`MainQuitterBuilder::failures_while_quitting`](crate::MainQuitterBuilder::failures_while_quitting)
/// for the whole program, and by
/// [`Quitter::failures_while_quitting`](crate::Quitter::failures_while_quitting) for the routines of a
/// quitter.
///
/// A failure is [while quitting](RoutineFailure::while_quitting) if the routine's quitter was quitting
/// when the routine failed. Often it is a consequence: senders end, and a receiver takes the closed
/// channel for an error. But data that could not be flushed at the end is such a failure, too.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{FailuresWhileQuitting, MainQuitter, QuitSource};
///
/// let main = MainQuitter::builder()
///     .source(QuitSource::all_done())
///     .failures_while_quitting(FailuresWhileQuitting::ListOnly)
///     .build();
/// main.add_routine(|q| {
///     q.wait_quit();
///     Err::<(), _>("the channel is closed")
/// })
/// .unwrap();
/// main.send_quit();
/// let report = main.exit();
/// assert_eq!((report.exit_code, report.failures.len()), (0, 1));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailuresWhileQuitting {
    /// They count like any other failure: [`OnFailure`] determines what quits, and the exit code will be
    /// 1.
    #[default]
    Count,
    /// The exit report lists them as "while quitting". They do not change the exit code, and make nothing
    /// else quit.
    ListOnly,
}

/// A routine that panicked or returned an error, as the exit report and
/// [`failures`](crate::Quitter::failures) list it.
///
/// The [`Display`](fmt::Display) form is "routine 'flusher' of main/db failed: disk full", and in a report
/// the status follows. Names, paths and messages are escaped and shortened there, and all lines of a
/// message but the first are indented. The fields hold them unchanged.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
///
/// let root = quitter::Quitter::root("main");
/// root.routine("disk").add(|_| Err::<(), _>("disk full")).unwrap();
/// root.wait_done(Duration::MAX).unwrap();
/// let failure = &root.failures()[0];
/// assert_eq!(failure.to_string(), "routine 'disk' of main failed: disk full");
/// assert!(!failure.while_quitting);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RoutineFailure {
    /// The path of the routine's quitter, such as `main/childQuitter`.
    pub path: QuitterPath,
    /// The routine's name.
    pub name: String,
    /// The routine's number, as in [`RoutineHandle::id`](crate::RoutineHandle::id).
    pub id: u64,
    /// Where the routine was added.
    pub spawned_at: &'static Location<'static>,
    /// How long the routine had been running.
    pub ran_for: Duration,
    /// Whether the routine's quitter was already quitting. Then the failure may be a consequence of the
    /// quit rather than its cause.
    pub while_quitting: bool,
    /// The last status that the routine set, such as the peer of a connection.
    pub status: Option<String>,
    /// How the routine failed.
    pub kind: FailureKind,
}

/// How a routine failed.
///
/// The [`Display`](fmt::Display) form is "failed: disk full" or "panicked at src/db.rs:7:5: no such
/// table", escaped like that of [`RoutineFailure`].
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::FailureKind;
///
/// let root = quitter::Quitter::root("main");
/// root.routine("index").add(|_| panic!("out of range")).unwrap();
/// root.wait_done(Duration::MAX).unwrap();
/// let kind = &root.failures()[0].kind;
/// assert!(matches!(kind, FailureKind::Panic { message, .. } if message == "out of range"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// It returned an error.
    Error {
        /// The error's text.
        message: String,
        /// The texts of its sources, outermost first.
        sources: Vec<String>,
    },
    /// It panicked.
    Panic {
        /// The panic's message.
        message: String,
        /// File, line and column. `None` if the panic hook that quitter sets was replaced, or was not
        /// called, as by `std::panic::resume_unwind`.
        place: Option<String>,
    },
}

impl FailureKind {
    /// An error with its sources.
    pub(crate) fn of_error(error: &(dyn Error + 'static)) -> Self {
        let mut texts = chain(error).map(ToString::to_string);
        Self::Error {
            message: texts.next().unwrap_or_default(),
            sources: texts.collect(),
        }
    }

    /// The text of the failure, not escaped, and without the word "failed".
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Error { message, sources } => {
                let texts = std::iter::once(message).chain(sources);
                texts.map(String::as_str).collect::<Vec<_>>().join(": ")
            }
            Self::Panic {
                message,
                place: Some(place),
            } => format!("panicked at {place}: {message}"),
            Self::Panic { message, .. } => format!("panicked: {message}"),
        }
    }

    /// An error that only implements `Debug`, as the body of `main` may return.
    pub(crate) fn of_debug(error: &dyn fmt::Debug) -> Self {
        Self::Error {
            message: format!("{error:?}"),
            sources: Vec::new(),
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Error { .. } = self {
            f.write_str("failed: ")?;
        }
        Message(&self.text()).fmt(f)
    }
}

impl fmt::Display for RoutineFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, path) = (Name(&self.name), self.path.shown(width()));
        write!(f, "routine '{name}' of {path} {}", self.kind)
    }
}

/// Writes the list of the failures, each entry followed by a line end, if there are any. `unlisted` is the
/// number of further failures.
pub(crate) fn write_failures(
    f: &mut fmt::Formatter<'_>,
    failures: &[RoutineFailure],
    unlisted: u64,
) -> fmt::Result {
    const SHOWN: usize = 10;
    let all = failures.len() as u64 + unlisted;
    match all {
        0 => return Ok(()),
        1 => f.write_str("1 routine failed:\n")?,
        n => writeln!(f, "{n} routines failed:")?,
    }
    let mut shown = 0;
    for alike in Alike::of(failures, SHOWN) {
        shown += alike.count;
        write_broken(f, &format!("  {alike}\n"))?;
    }
    match all.saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(f, "  and {more} more"),
    }
}

impl RoutineFailure {
    /// The text with the status, and "while quitting" if it was.
    pub(crate) fn with_moment(&self) -> impl fmt::Display {
        Alike {
            first: self,
            count: 1,
        }
    }
}

/// Failures that differ only in the routine's number, place, times and status.
struct Alike<'a> {
    first: &'a RoutineFailure,
    count: u64,
}

impl<'a> Alike<'a> {
    /// At most `room` groups, in the order of their first failures.
    fn of(failures: &'a [RoutineFailure], room: usize) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for failure in failures {
            match groups.iter().position(|group| group.includes(failure)) {
                Some(at) => groups[at].count += 1,
                None if groups.len() < room => groups.push(Self {
                    first: failure,
                    count: 1,
                }),
                None => {}
            }
        }
        groups
    }

    fn includes(&self, other: &RoutineFailure) -> bool {
        let first = self.first;
        first.while_quitting == other.while_quitting
            && first.kind == other.kind
            && first.name == other.name
            && first.path == other.path
    }
}

/// "routine 'flusher' of main/db failed: disk full (×997, while quitting)". If the message has several lines,
/// the parentheses follow the first, since the others may be a list. The status is only shown for a single
/// routine.
impl fmt::Display for Alike<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const STATUS_WIDTH: usize = 60;
        let text = self.first.to_string();
        let first_line = text.lines().next().unwrap_or_default();
        let alone = self.count == 1;
        let status = self.first.status.as_ref().filter(|_| alone);
        let facts = [
            (!alone).then(|| format!("×{}", self.count)),
            status.map(|status| format!("status {}", quoted(status, STATUS_WIDTH))),
            self.first
                .while_quitting
                .then(|| "while quitting".to_owned()),
        ];
        let facts: Vec<_> = facts.into_iter().flatten().collect();
        f.write_str(first_line)?;
        if !facts.is_empty() {
            write!(f, " ({})", facts.join(", "))?;
        }
        f.write_str(&text[first_line.len()..])
    }
}

/// The failures of a tree. The first ones are listed and the others counted, so that failures without end do
/// not fill the memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    pub(crate) listed: Vec<RoutineFailure>,
    pub(crate) unlisted: u64,
    /// Whether any of them changes the exit code.
    pub(crate) any_counts: bool,
}

impl Failures {
    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }
}

/// The failures that a tree keeps.
#[derive(Default)]
pub(crate) struct FailureLog {
    failures: Failures,
    paths: Paths,
}

impl FailureLog {
    pub(crate) const LISTED: usize = 1000;

    /// Keeps or counts a failure at the quitter with this lineage. `failure` makes it, and is not
    /// called if it is only counted. A failure that `matters` is always kept: it makes the program
    /// quit. One that `counts` changes the exit code.
    pub(crate) fn record<'a>(
        &mut self,
        matters: bool,
        counts: bool,
        lineage: impl Iterator<Item = (u64, &'a Cow<'static, str>)>,
        failure: impl FnOnce(QuitterPath) -> RoutineFailure,
    ) {
        self.failures.any_counts |= counts;
        if self.failures.listed.len() < Self::LISTED || matters {
            let path = self.paths.of(lineage);
            self.failures.listed.push(failure(path));
        } else {
            self.failures.unlisted += 1;
        }
    }

    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }
}
