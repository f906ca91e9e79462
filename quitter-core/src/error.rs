//! One small error type per operation.

use std::error::Error;
use std::fmt;
use std::io;

/// The quitter was told to quit.
///
/// Returned by what a quitter refuses from then on (a child, a guard) and by what it cuts short
/// ([`sleep`](crate::Quitter::sleep)). A routine that returns it, bare or as the source of another
/// error, has not failed: it has quit.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{Quitter, Quitting};
///
/// let root = Quitter::root("example");
/// root.send_quit();
/// assert_eq!(root.child("late").unwrap_err(), Quitting);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quitting;

impl fmt::Display for Quitting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the quitter is quitting")
    }
}

impl Error for Quitting {
    /// Always a hidden marker: wrappers that hide the type of what they wrap (`io::Error::other`,
    /// anyhow's conversion into a boxed error) still pass on its source, so the marker is found.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&Marker)
    }
}

#[derive(Debug)]
struct Marker;

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("told to quit")
    }
}

impl Error for Marker {}

/// Whether `error` says, itself or in its source chain, that somebody was told to quit.
pub(crate) fn is_quitting(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| error.is::<Quitting>() || error.is::<Marker>())
}

/// An error and its sources, outermost first. Not without end, as one that is its own source has.
pub(crate) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    const LONGEST: usize = 100;
    std::iter::successors(Some(error), |&error| error.source()).take(LONGEST)
}

/// An error and its sources, on one line.
pub(crate) fn full_text(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<_> = chain(error).map(ToString::to_string).collect();
    texts.join(": ")
}

/// Why a routine could not be added. The closure was dropped and the tree is as it was.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{AddRoutineError, Quitter};
///
/// let root = Quitter::root("example");
/// root.send_quit();
/// let refused = root.add_routine(|_| {}).unwrap_err();
/// assert!(matches!(refused, AddRoutineError::Quitting));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum AddRoutineError {
    /// The quitter was told to quit. A routine that returns this has not failed, as with
    /// [`Quitting`].
    Quitting,
    /// The operating system refused the thread.
    Thread {
        /// The routine's name.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl AddRoutineError {
    /// Whether the routine was refused because its quitter was told to quit.
    #[must_use]
    pub fn is_quitting(&self) -> bool {
        matches!(self, Self::Quitting)
    }
}

impl From<Quitting> for AddRoutineError {
    fn from(Quitting: Quitting) -> Self {
        Self::Quitting
    }
}

impl fmt::Display for AddRoutineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quitting => Quitting.fmt(f),
            Self::Thread { name, .. } => {
                write!(
                    f,
                    "the operating system refused a thread for routine '{name}'"
                )
            }
        }
    }
}

impl Error for AddRoutineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Quitting => Some(&Quitting),
            Self::Thread { source, .. } => Some(source),
        }
    }
}

/// Why there is no main quitter. No claim on the process is left behind: another attempt may
/// follow.
#[derive(Debug)]
#[non_exhaustive]
pub enum MainQuitterError {
    /// The list of quit sources is empty: nothing would ever make the program quit.
    NoSource,
    /// This process has, or had, a main quitter.
    AlreadyExists,
    /// The operating system's signals cannot be listened to, as when another part of the program
    /// has taken the only handler.
    Signals(io::Error),
    /// The operating system refused one of the threads that watch the quit sources and write the
    /// report.
    Thread(io::Error),
}

impl fmt::Display for MainQuitterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSource => f.write_str(
                "a main quitter needs at least one quit source, such as QuitSource::os_signal()",
            ),
            Self::AlreadyExists => f.write_str(
                "this process already has, or had, a main quitter; \
                 libraries and tests make trees of their own with Quitter::root",
            ),
            Self::Signals(_) => f.write_str(
                "cannot listen to the signals of the operating system; if another part of the \
                 program handles them, let it send to a channel and use QuitSource::channel",
            ),
            Self::Thread(_) => {
                f.write_str("the operating system refused a thread that the main quitter needs")
            }
        }
    }
}

impl Error for MainQuitterError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Signals(source) | Self::Thread(source) => Some(source),
            _ => None,
        }
    }
}

/// The item of a quit channel: there is none, the channel only ever closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Never {}
