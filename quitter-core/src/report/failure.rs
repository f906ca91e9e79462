//! Routines that failed.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::error::chain;
use crate::report::escape::{Message, Name};
use crate::report::path::{Paths, QuitterPath};
use crate::report::text::WIDTH;

/// What the failure of a routine does, beside being recorded.
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
    /// The root of the tree quits: under a main quitter the whole program, with exit code 1.
    #[default]
    QuitMain,
    /// The routine's own quitter quits, and those below it. The exit code will be 1.
    QuitOwn,
    /// Nothing else. The exit code will be 1.
    Record,
}

/// A routine that panicked or returned an error, as the exit report and
/// [`failures`](crate::Quitter::failures) list it.
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
    /// The path of the routine's quitter, such as `main/childQuitter`. Paths of one tree's failures
    /// share the names that they have in common.
    pub path: QuitterPath,
    /// The routine's name.
    pub name: String,
    /// The routine's number, as in [`RoutineHandle::id`](crate::RoutineHandle::id).
    pub id: u64,
    /// Where the routine was added.
    pub spawned_at: &'static Location<'static>,
    /// How long the routine had been running.
    pub ran_for: Duration,
    /// Whether its quitter had been told to quit before: then this may be a consequence of the
    /// quit rather than its cause.
    pub while_quitting: bool,
    /// What happened.
    pub kind: FailureKind,
}

/// How a routine failed.
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
        /// File, line and column. `None` where the panic hook that quitter sets has been replaced,
        /// or was not called (`std::panic::resume_unwind`).
        place: Option<String>,
    },
}

impl FailureKind {
    /// The texts of `error` and of its sources.
    pub(crate) fn of_error(error: &(dyn Error + 'static)) -> Self {
        let mut texts = chain(error).map(ToString::to_string);
        Self::Error {
            message: texts.next().unwrap_or_default(),
            sources: texts.collect(),
        }
    }

    /// What happened, as it is, without the word "failed".
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

    /// The text of an error that only implements `Debug`, as the body of `main` may return it.
    pub(crate) fn of_debug(error: &dyn fmt::Debug) -> Self {
        Self::Error {
            message: format!("{error:?}"),
            sources: Vec::new(),
        }
    }
}

/// "failed: disk full", "panicked at src/db.rs:7:5: no such table". For people: see
/// [`RoutineFailure`]'s.
impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Error { .. } = self {
            f.write_str("failed: ")?;
        }
        Message(&self.text()).fmt(f)
    }
}

/// "routine 'flusher' of main/db failed: disk full". For people: escapes what a terminal could obey,
/// shortens what is very long, and indents all lines of a message but the first.
impl fmt::Display for RoutineFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, path) = (Name(&self.name), self.path.shown(WIDTH));
        write!(f, "routine '{name}' of {path} {}", self.kind)
    }
}

/// Failures that differ in nothing but the routine's number and times.
pub(crate) struct Alike<'a> {
    first: &'a RoutineFailure,
    pub(crate) count: u64,
}

impl<'a> Alike<'a> {
    /// At most `room` lots, in the order of the first of each.
    pub(crate) fn of(failures: &'a [RoutineFailure], room: usize) -> Vec<Self> {
        let mut lots: Vec<Self> = Vec::new();
        for failure in failures {
            match lots.iter().position(|lot| lot.includes(failure)) {
                Some(at) => lots[at].count += 1,
                None if lots.len() < room => lots.push(Self {
                    first: failure,
                    count: 1,
                }),
                None => {}
            }
        }
        lots
    }

    fn includes(&self, other: &RoutineFailure) -> bool {
        let first = self.first;
        first.while_quitting == other.while_quitting
            && first.kind == other.kind
            && first.name == other.name
            && first.path == other.path
    }
}

/// "routine 'flusher' of main/db failed: disk full (×997, while quitting)".
impl fmt::Display for Alike<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        match (self.count, self.first.while_quitting) {
            (1, false) => Ok(()),
            (1, true) => f.write_str(" (while quitting)"),
            (n, false) => write!(f, " (×{n})"),
            (n, true) => write!(f, " (×{n}, while quitting)"),
        }
    }
}

/// The failures of a tree: the first ones whole, the others counted, so that a routine that fails
/// for ever does not fill the memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    pub(crate) listed: Vec<RoutineFailure>,
    pub(crate) unlisted: u64,
}

impl Failures {
    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }
}

/// What a tree keeps of its failures.
#[derive(Default)]
pub(crate) struct FailureLog {
    failures: Failures,
    paths: Paths,
}

impl FailureLog {
    const LISTED: usize = 1000;

    /// Keeps a failure of a routine of the quitter with this lineage, or counts it: then `failure` is
    /// not called. One that `matters`, because the program quits for it, is always kept.
    pub(crate) fn record<'a>(
        &mut self,
        matters: bool,
        lineage: impl Iterator<Item = (u64, &'a Cow<'static, str>)>,
        failure: impl FnOnce(QuitterPath) -> RoutineFailure,
    ) {
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
