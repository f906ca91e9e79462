//! Why a quitter quits.

use std::fmt;
use std::panic::Location;

use crate::main_quitter::signal::QuitSignal;
use crate::process::Process;
use crate::report::escape::{FirstLine, Message, Name};
use crate::report::path::QuitterPath;
use crate::report::text::width;

/// Why a quitter was told to quit.
///
/// Routines read it with [`quit_cause`](crate::Quitter::quit_cause); the exit report has it, too.
///
/// The [`Display`](fmt::Display) form completes the sentence "Received quit from". Descriptions,
/// messages, names and paths are escaped and shortened there; the lines of a message after the first
/// are indented. For a failure of `main`, it shows the first line: the exit report has the others.
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
        /// The source's position in the list that the main quitter was made with, or the index that
        /// [`add_source`](crate::MainQuitter::add_source) returned.
        index: usize,
        /// The source's description.
        description: String,
        /// The text of the message, if it has one.
        message: Option<String>,
        /// Whether the channel was closed, instead of receiving a message.
        closed: bool,
    },
    /// The program called [`send_quit`](crate::Quitter::send_quit) or
    /// [`quit_and_wait`](crate::Quitter::quit_and_wait).
    SendQuit {
        /// The location of the call.
        at: &'static Location<'static>,
    },
    /// The program called [`request_quit`](crate::Quitter::request_quit).
    Requested {
        /// The reason that was given.
        reason: String,
        /// The routine that called it, on its own or on a plain quitter; `None` if no routine did.
        routine: Option<RequestingRoutine>,
        /// The location of the call.
        at: &'static Location<'static>,
    },
    /// A routine failed, and its [`OnFailure`](crate::OnFailure) makes others quit.
    RoutineFailed {
        /// The path of the routine's quitter.
        path: QuitterPath,
        /// The routine's name.
        name: String,
        /// The routine's number, as in [`RoutineFailure::id`](crate::RoutineFailure::id). Zero if the
        /// routine could not be started.
        id: u64,
    },
    /// The body of `main` returned an error or panicked.
    MainFailed {
        /// The text of the error, or the panic's message.
        message: String,
    },
    /// The body of `main` returned: an exit code that is not zero, or anything where the program
    /// [ends with it](crate::End::WithBody).
    MainReturned {
        /// The exit code.
        code: u8,
    },
    /// The main quitter was dropped without a call to [`exit`](crate::MainQuitter::exit).
    MainDropped,
}

/// The routine that called [`request_quit`](crate::RoutineQuitter::request_quit).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestingRoutine {
    /// The path of the routine's quitter.
    pub path: QuitterPath,
    /// The routine's name.
    pub name: String,
    /// The routine's number, as in [`RoutineHandle::id`](crate::RoutineHandle::id).
    pub id: u64,
}

impl QuitCause {
    /// Returns the signal, if this is the event of a source that listens to signals.
    ///
    /// The signal is looked up by the source's index, which belongs to one source for the life of the
    /// process. So a cause that was made by hand, or in another process, may lack its signal.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use quitter_core as quitter;
    /// use quitter::RoutineQuitter;
    ///
    /// fn worker(q: &RoutineQuitter) {
    ///     q.wait_quit();
    ///     match q.quit_cause().and_then(|cause| cause.signal()) {
    ///         Some(signal) => println!("told by {}", signal.name),
    ///         None => println!("told by the program"),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn signal(&self) -> Option<QuitSignal> {
        match self {
            Self::Source {
                index,
                message: Some(name),
                closed: false,
                ..
            } => {
                let signal = Process::current().quit_signals.of_source(*index)?;
                (signal.name == name).then_some(signal)
            }
            _ => None,
        }
    }
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
            Self::Requested {
                reason,
                routine: Some(routine),
                ..
            } => {
                let (name, path) = (Name(&routine.name), routine.path.shown(width()));
                write!(f, "routine '{name}' of {path}: {}", Message(reason))
            }
            Self::Requested { reason, at, .. } => {
                write!(f, "request_quit at {at}: {}", Message(reason))
            }
            Self::RoutineFailed { path, name, .. } => {
                write!(
                    f,
                    "routine '{}' of {}, which failed",
                    Name(name),
                    path.shown(width())
                )
            }
            Self::MainFailed { message } => {
                write!(f, "main, which failed: {}", FirstLine(message))
            }
            Self::MainReturned { code: 0 } => f.write_str("main, which returned"),
            Self::MainReturned { code } => write!(f, "main, which returned exit code {code}"),
            Self::MainDropped => f.write_str("the main quitter, which was dropped without exit()"),
        }
    }
}
