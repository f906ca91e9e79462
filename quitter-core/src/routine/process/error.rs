//! Why a child process could not be added.

use std::error::Error;
use std::fmt;
use std::io;

use crate::error::Quitting;
use crate::report::escape::Name;

/// Why a child process could not be added. The tree is unchanged, and no process is left running.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::error::Error;
/// use std::process::Command;
/// use quitter::{AddProcessError, Quitter};
///
/// let root = Quitter::root("example");
/// let missing = root.add_process(Command::new("/no/such/program")).unwrap_err();
/// assert!(matches!(missing, AddProcessError::Start { .. }));
/// // The text leaves out the system's reason, which is the error's source.
/// let reason = missing.source().unwrap();
/// let text = format!("{missing}: {reason}");
/// assert!(text.starts_with("cannot start '/no/such/program': "));
///
/// root.send_quit();
/// let refused = root.add_process(Command::new("true")).unwrap_err();
/// assert!(refused.is_quitting());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum AddProcessError {
    /// The quitter has been told to quit, or the program is ending. A routine that returns this has not
    /// failed, as with [`Quitting`].
    Quitting,
    /// The program could not be started.
    Start {
        /// The name or path of the program, as given.
        program: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// [`stop_signal`](crate::RoutineBuilder::stop_signal) was given a number that is not that of a named
    /// signal.
    StopSignal {
        /// The number.
        number: i32,
    },
    /// The operating system refused a thread or descriptor that is needed to wait for the process. The
    /// process was killed.
    Wait {
        /// The routine's name.
        name: String,
        /// The operating system's error.
        source: io::Error,
    },
}

impl AddProcessError {
    /// Returns whether the process was refused because its quitter has been told to quit.
    #[must_use]
    pub fn is_quitting(&self) -> bool {
        matches!(self, Self::Quitting)
    }
}

impl From<Quitting> for AddProcessError {
    fn from(Quitting: Quitting) -> Self {
        Self::Quitting
    }
}

impl fmt::Display for AddProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quitting => Quitting.fmt(f),
            Self::Start { program, .. } => write!(f, "cannot start '{}'", Name(program)),
            Self::StopSignal { number } => write!(f, "{number} is no signal that can be sent"),
            Self::Wait { name, .. } => write!(f, "cannot wait for process '{}'", Name(name)),
        }
    }
}

impl Error for AddProcessError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Quitting => Some(&Quitting),
            Self::Start { source, .. } | Self::Wait { source, .. } => Some(source),
            Self::StopSignal { .. } => None,
        }
    }
}
