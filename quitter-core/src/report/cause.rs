//! Why a quitter quits.

use std::fmt;
use std::panic::Location;

use crate::report::escape::{Message, Name};
use crate::report::path::QuitterPath;
use crate::report::text::WIDTH;

/// Why a quitter was told to quit.
///
/// Routines read it with [`quit_cause`](crate::Quitter::quit_cause), and the exit report has it.
/// The [`Display`](fmt::Display) form is what stands behind "Received quit from".
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{QuitCause, Quitter};
///
/// let root = Quitter::root("main");
/// root.send_quit();
/// match root.quit_cause() {
///     Some(QuitCause::SendQuit { at }) => println!("told at {at}"),
///     other => println!("told otherwise: {other:?}"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum QuitCause {
    /// A quit source fired.
    Source {
        /// The source's position in the list that the main quitter was made with, or what
        /// [`add_source`](crate::MainQuitter::add_source) returned.
        index: usize,
        /// What the source was described as.
        description: String,
        /// The message, where it could be shown.
        message: Option<String>,
        /// Whether the channel was closed, rather than a message received.
        closed: bool,
    },
    /// Somebody called [`send_quit`](crate::Quitter::send_quit) or
    /// [`quit_and_wait`](crate::Quitter::quit_and_wait).
    SendQuit {
        /// Where.
        at: &'static Location<'static>,
    },
    /// A routine failed, and its [`OnFailure`](crate::OnFailure) said that others are to quit.
    RoutineFailed {
        /// The path of the routine's quitter.
        path: QuitterPath,
        /// The routine's name.
        name: String,
        /// The routine's number, which tells it from others of its name: that of its
        /// [`RoutineFailure::id`](crate::RoutineFailure::id). Zero if the routine could not be started.
        id: u64,
    },
    /// The body of `main` returned an error or panicked.
    MainFailed {
        /// The error, as std would have shown it, or the panic's message.
        message: String,
    },
    /// The body of `main` returned an exit code that is not zero.
    MainReturned {
        /// The exit code.
        code: u8,
    },
    /// The main quitter was dropped without a call of [`exit`](crate::MainQuitter::exit).
    MainDropped,
}

impl fmt::Display for QuitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source {
                description,
                message,
                closed,
                ..
            } => {
                write!(f, "'{}'", Name(description))?;
                match message {
                    Some(message) => write!(f, ": {}", Message(message)),
                    None if *closed => f.write_str(": the channel was closed"),
                    None => Ok(()),
                }
            }
            Self::SendQuit { at } => write!(f, "send_quit at {at}"),
            Self::RoutineFailed { path, name, .. } => {
                write!(
                    f,
                    "routine '{}' of {}, which failed",
                    Name(name),
                    path.shown(WIDTH)
                )
            }
            Self::MainFailed { message } => write!(f, "main, which failed: {}", Message(message)),
            Self::MainReturned { code } => write!(f, "main, which returned exit code {code}"),
            Self::MainDropped => f.write_str("the main quitter, which was dropped without exit()"),
        }
    }
}
