//! Routines that failed.

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::error::chain;

/// How the program responds to the failure of a routine. Set by
/// [`RoutineBuilder::on_failure`](crate::RoutineBuilder::on_failure) for one routine, and by
/// [`Quitter::on_failure`](crate::Quitter::on_failure) for all routines of a quitter.
///
/// | | quits | exit code | said |
/// | --- | --- | --- | --- |
/// | `QuitMain` | the whole tree | 1 | at the quit, and in the exit report |
/// | `QuitOwn` | the routine's quitter | 1 | in the exit report |
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
    /// The routine's own quitter quits, and those below it. The exit code will be 1.
    QuitOwn,
    /// The program goes on, and nothing is said until its end. Then the exit report lists the
    /// failure, and the exit code is 1. For work whose failure makes the run as a whole a failure,
    /// such as one file of a batch.
    FailAtExit,
    /// The program goes on: one line on stderr says the failure at once, and that is all. It changes
    /// neither the exit code nor the exit report, and
    /// [`failures`](crate::Quitter::failures) leaves it out. For failures that belong to a server's
    /// normal day, such as a client that resets its connection.
    ///
    /// Where failures come faster than stderr takes lines, some are only counted: "and 17 more
    /// failures".
    Report,
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
    /// The path of the routine's quitter, such as `main/childQuitter`.
    pub path: String,
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

    /// What happened, without the word that it failed.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Error { message, sources } => {
                let texts = std::iter::once(message).chain(sources);
                texts.map(String::as_str).collect::<Vec<_>>().join(": ")
            }
            Self::Panic { .. } => self.to_string(),
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

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error { .. } => write!(f, "failed: {}", self.text()),
            Self::Panic { message, place } => {
                f.write_str("panicked")?;
                if let Some(place) = place {
                    write!(f, " at {place}")?;
                }
                write!(f, ": {message}")
            }
        }
    }
}

/// One line: "routine 'flusher' of main/db failed: disk full".
impl fmt::Display for RoutineFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "routine '{}' of {} {}", self.name, self.path, self.kind)
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
    pub(crate) const LISTED: usize = 1000;

    /// Counts a failure that there is no room to list. Returns whether that was the case.
    pub(crate) fn is_only_counted(&mut self) -> bool {
        let is_full = self.listed.len() >= Self::LISTED;
        self.unlisted += u64::from(is_full);
        is_full
    }

    /// Lists a failure, or counts it if others have taken the room meanwhile.
    pub(crate) fn push(&mut self, failure: RoutineFailure) {
        if !self.is_only_counted() {
            self.listed.push(failure);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }
}
