//! One small error type per operation.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;

use crate::report::escape::Name;

/// The quitter has been told to quit.
///
/// Returned where a quitter refuses something ([`child`](crate::Quitter::child),
/// [`guard`](crate::Quitter::guard)) or cuts it short ([`sleep`](crate::Quitter::sleep)). A routine
/// that returns it, bare or as the source of another error, has not failed: it has quit.
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

impl Quitting {
    /// Returns whether an error only says that the program was told to quit: whether it is `Quitting`, or
    /// has it among its sources, as an `io::Error` or an [`AddRoutineError`] may. Only the first 100 errors
    /// of the chain are checked.
    ///
    /// Quitter checks every error that a routine or the body of `main` returns. Check it yourself if you
    /// print an error before that. Pass a boxed error as `&*error`, and an error of anyhow or eyre as
    /// `error.as_ref()`.
    ///
    /// # Examples
    ///
    /// A worker that prints its own errors, but nothing at Ctrl-C:
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::error::Error;
    /// use std::time::Duration;
    ///
    /// use quitter::{Quitter, Quitting, RoutineQuitter};
    ///
    /// fn index(q: &RoutineQuitter) -> Result<(), Box<dyn Error + Send + Sync>> {
    ///     loop {
    ///         q.sleep(Duration::from_secs(1))?;
    ///         std::fs::metadata("/")?;
    ///     }
    /// }
    ///
    /// fn worker(q: &RoutineQuitter) {
    ///     if let Err(error) = index(q) {
    ///         if Quitting::is_in(&*error) {
    ///             return;
    ///         }
    ///         eprintln!("cannot index: {error}");
    /// #       unreachable!();
    ///     }
    /// }
    ///
    /// let root = Quitter::root("main");
    /// root.add_routine(worker).unwrap();
    /// root.quit_and_wait(Duration::from_secs(10)).unwrap();
    /// # assert!(root.failures().is_empty());
    /// ```
    #[must_use]
    pub fn is_in(error: &(dyn Error + 'static)) -> bool {
        chain(error).any(|error| error.is::<Self>() || error.is::<Marker>())
    }
}

impl fmt::Display for Quitting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the quitter is quitting")
    }
}

impl Error for Quitting {
    /// Returns a hidden marker. Some wrappers hide the type of the error inside them (`io::Error::other`,
    /// anyhow's conversion into a boxed error), but pass on its source.
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

/// Lets `?` work in routines that do I/O: `q.sleep(..)?`. The error is still recognized as [`Quitting`],
/// and the routine has not failed.
impl From<Quitting> for io::Error {
    fn from(quitting: Quitting) -> Self {
        Self::other(quitting)
    }
}

/// An error and its sources, outermost first. Limited in number, since an error may be its own source.
pub(crate) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    const LONGEST: usize = 100;
    std::iter::successors(Some(error), |&error| error.source()).take(LONGEST)
}

/// The texts of an error and its sources, joined with colons.
pub(crate) fn full_text(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<_> = chain(error).map(ToString::to_string).collect();
    texts.join(": ")
}

/// Why a routine could not be added. Its closure has been dropped, and the tree is unchanged.
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
///
/// The text leaves out the system's reason, which is the error's source:
///
/// ```
/// # use quitter_core as quitter;
/// use std::error::Error;
/// use quitter::AddRoutineError;
///
/// fn text(error: &AddRoutineError) -> String {
///     match error.source() {
///         Some(reason) => format!("{error}: {reason}"),
///         None => error.to_string(),
///     }
/// }
/// # let (name, source) = ("worker".to_owned(), std::io::ErrorKind::WouldBlock.into());
/// # let refused = text(&AddRoutineError::Thread { name, source });
/// # assert!(refused.starts_with("the operating system refused a thread for routine 'worker': "));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum AddRoutineError {
    /// The quitter has been told to quit. A routine that returns this has not failed, as with
    /// [`Quitting`].
    Quitting,
    /// The operating system refused the thread.
    Thread {
        /// The routine's name.
        name: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// A task was added outside a tokio runtime, without naming a runtime by
    /// [`on`](crate::RoutineBuilder::on).
    #[cfg(feature = "tokio")]
    NoRuntime {
        /// The routine's name.
        name: String,
    },
    /// The tokio runtime is shut down, and no longer takes tasks.
    #[cfg(feature = "tokio")]
    RuntimeShutDown {
        /// The routine's name.
        name: String,
    },
}

impl AddRoutineError {
    /// Returns whether the routine was refused because its quitter has been told to quit.
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

/// Lets `?` work in routines that do I/O, such as a loop that accepts connections and starts a routine for
/// each.
impl From<AddRoutineError> for io::Error {
    fn from(error: AddRoutineError) -> Self {
        Self::other(error)
    }
}

impl fmt::Display for AddRoutineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quitting => Quitting.fmt(f),
            Self::Thread { name, .. } => write!(
                f,
                "the operating system refused a thread for routine '{}'",
                Name(name)
            ),
            #[cfg(feature = "tokio")]
            Self::NoRuntime { name } => write!(
                f,
                "routine '{0}' is a task, and this thread is in no tokio runtime: add it from async \
                 code, or say on which runtime: quitter.routine(\"{0}\").on(runtime.handle()).add_task(..)",
                Name(name)
            ),
            #[cfg(feature = "tokio")]
            Self::RuntimeShutDown { name } => write!(
                f,
                "the tokio runtime for routine '{}' is shut down",
                Name(name)
            ),
        }
    }
}

impl Error for AddRoutineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Quitting => Some(&Quitting),
            Self::Thread { source, .. } => Some(source),
            #[cfg(feature = "tokio")]
            Self::NoRuntime { .. } | Self::RuntimeShutDown { .. } => None,
        }
    }
}

/// Why a main quitter could not be created. The attempt leaves no claim on the process, so the program may
/// try again.
#[derive(Debug)]
#[non_exhaustive]
pub enum MainQuitterError {
    /// The list of quit sources is empty: nothing would ever make the program quit.
    NoSource,
    /// This process has, or had, a main quitter.
    AlreadyExists,
    /// The program cannot listen to the signal of [`QuitSource::signal`](crate::QuitSource::signal) or of
    /// [`dump_on`](crate::MainQuitterBuilder::dump_on).
    UnusableSignal {
        /// The signal's number.
        number: i32,
        /// The signal's name, such as "SIGKILL", or "signal 77" if it has none.
        name: Cow<'static, str>,
        /// Why the program cannot listen to it, such as "no program can handle it".
        reason: &'static str,
    },
    /// The program cannot listen to signals, for example because another part of it has taken the
    /// only handler.
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
            Self::UnusableSignal { name, reason, .. } => {
                write!(f, "cannot listen to {name}: {reason}")
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quitting_is_found_in_itself_in_boxes_and_in_all_that_has_it_among_its_sources() {
        #[derive(Debug)]
        struct Outer(Box<dyn Error + Send + Sync>);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("cannot read")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&*self.0)
            }
        }
        assert!(Quitting::is_in(&Quitting));
        let boxed: Box<dyn Error> = Quitting.into();
        assert!(Quitting::is_in(&*boxed));
        let inside = io::Error::other(Outer(io::Error::from(Quitting).into()));
        let inside: Box<dyn Error + Send + Sync> = Outer(inside.into()).into();
        assert!(Quitting::is_in(&*inside));
        let other = Outer(Quitting.to_string().into());
        assert!(!Quitting::is_in(&other), "the text alone says nothing");
        assert!(!Quitting::is_in(&io::Error::from(
            io::ErrorKind::Interrupted
        )));
    }

    #[test]
    fn quitting_is_recognized_in_an_io_error_that_it_has_become() {
        assert!(Quitting::is_in(&io::Error::from(Quitting)));
        assert!(Quitting::is_in(&io::Error::from(AddRoutineError::Quitting)));
        let refused = AddRoutineError::Thread {
            name: "server".to_owned(),
            source: io::ErrorKind::OutOfMemory.into(),
        };
        assert!(!Quitting::is_in(&io::Error::from(refused)));
    }

    #[test]
    fn the_name_of_a_refused_routine_stays_on_the_line_of_the_error() {
        let error = AddRoutineError::Thread {
            name: "a\nQuit: all routines returned".to_owned(),
            source: io::ErrorKind::OutOfMemory.into(),
        };
        let text = error.to_string();
        assert!(
            text.ends_with(r"'a\nQuit: all routines returned'"),
            "{text}"
        );
    }
}
