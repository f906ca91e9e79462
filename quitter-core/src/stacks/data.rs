//! Stacks and the states of tasks, as data and as text.

use std::fmt;
use std::time::Duration;

use crate::report::escape::{Name, cut};
use crate::report::text::Seconds;

/// The calls that a thread is in, or those that lead to a future that a task awaits.
///
/// It is made for people: it has the calls of the program and of its dependencies, and above them the one
/// call of the system's libraries, or of tokio, that they wait in.
///
/// # Examples
///
/// ```no_run
/// # use quitter_core as quitter;
/// # #[cfg(feature = "stacks")]
/// fn log(report: &quitter::ExitReport) {
///     for routine in report.timeouts.routines() {
///         for frame in routine.stacks.iter().flat_map(|stack| &stack.frames) {
///             println!("{}: {} at {:?}:{:?}", routine.name, frame.function, frame.file, frame.line);
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Stack {
    /// The calls, innermost first.
    pub frames: Vec<Frame>,
    /// Whether there are calls beyond the last one that could not be followed or were too many, as in a deep
    /// recursion, or in code without unwind tables.
    pub is_cut: bool,
    /// Whether some names of its calls were not read, for lack of time (as on a loaded machine or in a large
    /// program) or of memory. The [`offset`](Frame::offset) of such a call identifies it. `false` if there are no names to read, as
    /// in a stripped program.
    pub names_unread: bool,
    /// Whether the names of all calls in the program were read, but no source files: it was built without
    /// line tables.
    pub(crate) lacks_lines: bool,
}

impl Stack {
    /// Whether a list shows the same lines for both.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        let mut frames = self.frames.iter().zip(&other.frames);
        self.is_cut == other.is_cut
            && self.frames.len() == other.frames.len()
            && frames.all(|(one, other)| one.is_alike(other))
    }
}

/// A call in a [`Stack`].
///
/// The [`Display`](fmt::Display) form is "store::flush at src/store.rs:88".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Frame {
    /// The path of the function, without generic arguments: `store::flush`. In code without symbols,
    /// the module and the offset in it: `store+0x1a2b`.
    pub function: String,
    /// The source file, as it was given to the compiler. `None` for code without line tables, and for the
    /// system's libraries.
    pub file: Option<String>,
    /// The line in the file.
    pub line: Option<u32>,
    /// The file name of the program or library that contains the code. `None` if the code is in no file.
    pub module: Option<String>,
    /// The address of the call in that module, as `addr2line` takes it.
    pub offset: u64,
}

impl Frame {
    /// The name of a call without a symbol: "store+0x1a2b".
    pub(super) fn unnamed(module: Option<&str>, offset: u64) -> String {
        match module {
            Some(module) => format!("{module}+{offset:#x}"),
            None => format!("{offset:#x}"),
        }
    }

    pub(crate) fn is_unnamed(&self) -> bool {
        self.function == Self::unnamed(self.module.as_deref(), self.offset)
    }

    /// Whether a list shows the same line for both. Generic and inlined functions have the code of one line
    /// at several addresses.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        self.function == other.function && self.file == other.file && self.line == other.line
    }

    /// Whether its code is in one of the system's libraries.
    pub(crate) fn is_systems(&self) -> bool {
        self.module.as_deref().is_some_and(is_systems)
    }
}

/// Whether a file of this name is one of the system's libraries: those below std.
pub(super) fn is_systems(name: &str) -> bool {
    const LIBRARIES: [&str; 8] = [
        "libc.so",
        "libc-",
        "libpthread",
        "ld-linux",
        "ld-musl",
        "libm.so",
        "libdl",
        "[vdso]",
    ];
    LIBRARIES.iter().any(|library| name.starts_with(library))
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Name(&self.function))?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " at {}:{line}", Name(file)),
            (Some(file), None) => write!(f, " at {}", Name(file)),
            (None, _) => Ok(()),
        }
    }
}

/// The state of a task that has not returned.
///
/// Reports with stacks contain it: they wake each such task once, and its next poll tells what it awaits.
///
/// The [`Display`](fmt::Display) form is "woken and not polled: the runtime's threads are busy", with the
/// time if that is a second or more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// The task is suspended. Its stacks show what it awaits.
    Awaiting,
    /// The task is suspended, and nothing that it awaits has kept its waker: nothing will wake it.
    AwaitingNothing,
    /// The task is inside a poll, and holds up the thread that polls it. Its stack is that thread's.
    InPoll {
        /// The thread's number in the operating system.
        os_id: u64,
        /// The thread's name.
        thread: String,
    },
    /// The task was woken, and no thread has polled it since. Its stack is the present one of the thread that
    /// polled it last.
    NotPolled {
        /// How long ago the task was woken, by this report or an earlier one.
        woken: Duration,
    },
    /// No thread has polled it yet.
    NeverPolled,
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Awaiting => f.write_str("suspended"),
            Self::AwaitingNothing => f.write_str("awaits something that wakes nobody"),
            Self::InPoll { os_id, thread } => {
                write!(f, "holds up thread {os_id} '{}'", cut(thread, 20))
            }
            Self::NotPolled { woken } => {
                // A shorter time only tells how long this report has waited for an answer.
                let is_told = *woken >= Duration::from_secs(1);
                let ago = is_told.then(|| format!(" {} ago", Seconds(*woken)));
                let ago = ago.unwrap_or_default();
                write!(
                    f,
                    "woken{ago} and not polled: the runtime's threads are busy"
                )
            }
            Self::NeverPolled => f.write_str("never polled"),
        }
    }
}

/// Why there is no stack of a thread.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(dead_code, reason = "no system has them all")]
pub(crate) enum Why {
    Unsupported,
    /// The program uses every signal that could be sent.
    NoSignal,
    /// The thread blocks the signal.
    Blocks,
    /// The stack that the thread is on has no room for a signal handler.
    NoRoom,
    /// The thread has ended, or runs something else now.
    Gone,
    NoAnswer,
    TooMany,
    TooManyTasks,
    /// A task that must not be polled for a report.
    LeftOut,
    /// The waker of another task has not returned.
    NotWoken,
    /// Other stacks are being captured, or took all the time.
    NoTime,
    System(String),
}

impl Why {
    /// Whether this reason concerns tasks, and not threads.
    pub(crate) fn is_of_tasks(&self) -> bool {
        matches!(self, Self::TooManyTasks | Self::LeftOut | Self::NotWoken)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "not possible on this system",
            Self::NoSignal => "the program uses every real-time signal",
            Self::Blocks => "blocks the signal",
            Self::NoRoom => "on a stack without room for a signal",
            Self::Gone => "had ended by then",
            Self::NoAnswer => "did not answer",
            Self::TooMany | Self::TooManyTasks => "beyond the first 64",
            Self::LeftOut => "not to be polled for a report",
            Self::NotWoken => "could not be woken in time",
            Self::NoTime => "no time left",
            Self::System(error) => error,
        })
    }
}
