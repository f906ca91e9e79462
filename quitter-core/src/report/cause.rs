//! Why a quitter quits.

use std::fmt;
use std::panic::Location;

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
    /// Somebody called [`request_quit`](crate::Quitter::request_quit).
    Requested {
        /// The reason that was given.
        reason: String,
        /// The routine that asked for it; `None`: it was asked for on a plain quitter.
        routine: Option<RequestingRoutine>,
        /// Where.
        at: &'static Location<'static>,
    },
    /// A routine failed, and its [`OnFailure`](crate::OnFailure) said that others are to quit.
    RoutineFailed {
        /// The path of the routine's quitter.
        path: String,
        /// The routine's name.
        name: String,
    },
    /// The body of `main` returned an error or panicked.
    MainFailed {
        /// The error, as std would have shown it, or the panic's message.
        message: String,
    },
    /// The body of `main` returned: an exit code that is not zero, or anything where the program
    /// [ends with it](crate::End::WithBody).
    MainReturned {
        /// The exit code.
        code: u8,
    },
    /// The main quitter was dropped without a call of [`exit`](crate::MainQuitter::exit).
    MainDropped,
}

/// The routine that called [`request_quit`](crate::RoutineQuitter::request_quit).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestingRoutine {
    /// The path of the routine's quitter.
    pub path: String,
    /// The routine's name.
    pub name: String,
    /// The routine's number, as in [`RoutineHandle::id`](crate::RoutineHandle::id).
    pub id: u64,
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
                write!(f, "'{description}'")?;
                match message {
                    Some(message) => write!(f, ": {message}"),
                    None if *closed => f.write_str(": the channel was closed"),
                    None => Ok(()),
                }
            }
            Self::SendQuit { at } => write!(f, "send_quit at {at}"),
            Self::Requested {
                reason,
                routine: Some(routine),
                ..
            } => {
                let RequestingRoutine { path, name, .. } = routine;
                write!(f, "routine '{name}' of {path}: {reason}")
            }
            Self::Requested { reason, at, .. } => write!(f, "request_quit at {at}: {reason}"),
            Self::RoutineFailed { path, name } => {
                write!(f, "routine '{name}' of {path}, which failed")
            }
            Self::MainFailed { message } => write!(f, "main, which failed: {message}"),
            Self::MainReturned { code: 0 } => f.write_str("main, which returned"),
            Self::MainReturned { code } => write!(f, "main, which returned exit code {code}"),
            Self::MainDropped => f.write_str("the main quitter, which was dropped without exit()"),
        }
    }
}
