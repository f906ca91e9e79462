//! The format in which snapshots and reports are serialized, as the guide documents it: objects with the
//! names of the fields, durations as seconds, locations as `file:line:column`, and enums with their
//! variant as `type`.
//!
//! It is written out rather than derived, so that it does not change with the types. A type without private
//! fields is destructured without `..`, so that a new field does not compile until it is handled here.

use std::panic::Location;
use std::time::Duration;

use serde_core::ser::{Serialize, SerializeStruct, Serializer};

use crate::main_quitter::signal::QuitSignal;
use crate::report::cause::{QuitCause, RequestingRoutine};
use crate::report::dump::Dump;
use crate::report::exit::ExitReport;
use crate::report::failure::{FailureKind, RoutineFailure};
use crate::report::outside::{OutsideThread, ThreadState};
use crate::report::path::QuitterPath;
use crate::report::slow::SlowRoutine;
use crate::report::snapshot::{LiveQuitter, QuitState, Snapshot};
use crate::report::timeouts::{LastSeen, StuckRoutine, TimedOutQuitter, Timeouts};
use crate::routine::kind::{RoutineKind, RoutineState};
#[cfg(feature = "stacks")]
use crate::stacks::{Frame, Stack, TaskState};
use crate::stands::Stands;

/// The maximum number of characters of a path: without it, a chain of very many quitters would take space
/// quadratic in its length.
const LONGEST_PATH: usize = 1000;

/// Serializes an object with these keys.
macro_rules! object {
    ($serializer:ident, $name:literal, $($key:ident: $value:expr),* $(,)?) => {{
        let keys = [$(stringify!($key)),*];
        let mut object = $serializer.serialize_struct($name, keys.len())?;
        $(object.serialize_field(stringify!($key), $value)?;)*
        object.end()
    }};
}

/// Serializes a variant, whose name is the value of `type`.
macro_rules! variant {
    ($serializer:ident, $name:literal, $type:literal $(, $key:ident: $value:expr)* $(,)?) => {{
        let keys: &[&str] = &[$(stringify!($key)),*];
        let mut object = $serializer.serialize_struct($name, keys.len() + 1)?;
        object.serialize_field("type", $type)?;
        $(object.serialize_field(stringify!($key), $value)?;)*
        object.end()
    }};
}

struct Seconds(Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}

struct Place(&'static Location<'static>);

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

impl Serialize for QuitterPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text_within(LONGEST_PATH))
    }
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            quitters,
            failures,
            unlisted_failures,
            #[cfg(feature = "stacks")]
                stackless: _,
        } = self;
        object!(serializer, "Snapshot",
            quitters: quitters,
            failures: failures,
            unlisted_failures: unlisted_failures,
        )
    }
}

impl Serialize for Dump {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            signal,
            snapshot,
            outside,
        } = self;
        object!(serializer, "Dump", signal: signal, snapshot: snapshot, outside: outside)
    }
}

impl Serialize for OutsideThread {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { os_id, name, state } = self;
        object!(serializer, "OutsideThread", os_id: os_id, name: name, state: state)
    }
}

impl Serialize for ThreadState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Running => "running",
            Self::InTheSystem => "in_the_system",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Ending => "ending",
        })
    }
}

impl Serialize for LiveQuitter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            id,
            name,
            path,
            parent,
            quit,
            waiting,
            routines,
        } = self;
        object!(serializer, "LiveQuitter",
            id: id,
            name: name,
            path: path,
            parent: parent,
            quit: quit,
            waiting: waiting,
            routines: routines,
        )
    }
}

impl Serialize for QuitState {
    /// The cause is only written for the quitter that was told to quit: it may be long, and there may be many
    /// quitters below.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            cause,
            inherited,
            told_for,
            time_left,
        } = self;
        object!(serializer, "QuitState",
            cause: &(!inherited).then_some(&**cause),
            inherited: inherited,
            told_for: &Seconds(*told_for),
            time_left: &time_left.map(Seconds),
        )
    }
}

impl Serialize for ExitReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            exit_code,
            cause,
            signal,
            later_causes,
            timeouts,
            unread,
            failures,
            took,
            unlisted_failures,
            slow,
            unlisted_slow,
            all_read,
            ..
        } = self;
        object!(serializer, "ExitReport",
            exit_code: exit_code,
            cause: cause,
            signal: signal,
            later_causes: later_causes,
            timeouts: timeouts,
            unread: unread,
            all_read: all_read,
            failures: failures,
            unlisted_failures: unlisted_failures,
            slow: slow,
            unlisted_slow: unlisted_slow,
            took: &Seconds(*took),
        )
    }
}

impl Serialize for Timeouts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        object!(serializer, "Timeouts",
            after: &Seconds(self.after()),
            everyone_waits: &self.everyone_waits(),
            quitters: &self.quitters,
        )
    }
}

impl Serialize for TimedOutQuitter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { quitter, routines } = self;
        object!(serializer, "TimedOutQuitter", quitter: quitter, routines: routines)
    }
}

impl Serialize for StuckRoutine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            id,
            name,
            kind,
            state,
            spawned_at,
            running_for,
            status,
            last_seen,
            stands,
            is_body: _,
            cancelled,
            returned_late,
            #[cfg(feature = "stacks")]
            stacks,
            #[cfg(feature = "stacks")]
            task,
        } = self;
        // The keys do not depend on the feature.
        #[cfg(not(feature = "stacks"))]
        let (stacks, task) = (&[(); 0], &None::<()>);
        object!(serializer, "StuckRoutine",
            id: id,
            name: name,
            kind: kind,
            state: state,
            spawned_at: &Place(spawned_at),
            running_for: &Seconds(*running_for),
            status: status,
            last_seen: last_seen,
            stands: stands,
            cancelled: cancelled,
            returned_late: &returned_late.map(Seconds),
            stacks: stacks,
            task: task,
        )
    }
}

impl Serialize for Stands {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Blocked { call, on } => {
                variant!(serializer, "Stands", "blocked", call: call, on: on)
            }
            Self::Running { cpu } => {
                variant!(serializer, "Stands", "running", cpu: &Seconds(*cpu))
            }
            Self::Suspended => variant!(serializer, "Stands", "suspended"),
            Self::Unknown => variant!(serializer, "Stands", "unknown"),
        }
    }
}

#[cfg(feature = "stacks")]
impl Serialize for TaskState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Awaiting => variant!(serializer, "TaskState", "awaiting"),
            Self::AwaitingNothing => variant!(serializer, "TaskState", "awaiting_nothing"),
            Self::InPoll { os_id, thread } => {
                variant!(serializer, "TaskState", "in_poll", os_id: os_id, thread: thread)
            }
            Self::NotPolled { woken } => {
                variant!(serializer, "TaskState", "not_polled", woken: &Seconds(*woken))
            }
            Self::NeverPolled => variant!(serializer, "TaskState", "never_polled"),
        }
    }
}

#[cfg(feature = "stacks")]
impl Serialize for Stack {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            frames,
            is_cut,
            names_unread,
            lacks_lines: _,
        } = self;
        object!(serializer, "Stack",
            frames: frames,
            is_cut: is_cut,
            names_unread: names_unread,
        )
    }
}

#[cfg(feature = "stacks")]
impl Serialize for Frame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            function,
            file,
            line,
            module,
            offset,
        } = self;
        object!(serializer, "Frame",
            function: function,
            file: file,
            line: line,
            module: module,
            offset: offset,
        )
    }
}

impl Serialize for SlowRoutine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            quitter,
            id,
            name,
            kind,
            spawned_at,
            took,
        } = self;
        object!(serializer, "SlowRoutine",
            quitter: quitter,
            id: id,
            name: name,
            kind: kind,
            spawned_at: &Place(spawned_at),
            took: &Seconds(*took),
        )
    }
}

impl Serialize for LastSeen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { at, ago } = self;
        object!(serializer, "LastSeen", at: &Place(at), ago: &ago.map(Seconds))
    }
}

impl Serialize for RoutineKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Thread { os_id } => variant!(serializer, "RoutineKind", "thread", os_id: os_id),
            Self::Task => variant!(serializer, "RoutineKind", "task"),
            Self::Process { pid } => variant!(serializer, "RoutineKind", "process", pid: pid),
            Self::Guard => variant!(serializer, "RoutineKind", "guard"),
        }
    }
}

impl Serialize for RoutineState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        })
    }
}

impl Serialize for RoutineFailure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            path,
            name,
            id,
            spawned_at,
            ran_for,
            while_quitting,
            status,
            kind,
        } = self;
        object!(serializer, "RoutineFailure",
            path: path,
            name: name,
            id: id,
            spawned_at: &Place(spawned_at),
            ran_for: &Seconds(*ran_for),
            while_quitting: while_quitting,
            status: status,
            kind: kind,
        )
    }
}

impl Serialize for FailureKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Error { message, sources } => {
                variant!(serializer, "FailureKind", "error", message: message, sources: sources)
            }
            Self::Panic { message, place } => {
                variant!(serializer, "FailureKind", "panic", message: message, place: place)
            }
        }
    }
}

impl Serialize for QuitCause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Source {
                index,
                description,
                message,
                closed,
            } => variant!(serializer, "QuitCause", "source",
                index: index,
                description: description,
                message: message,
                closed: closed,
            ),
            Self::SendQuit { at } => {
                variant!(serializer, "QuitCause", "send_quit", at: &Place(at))
            }
            Self::Requested {
                reason,
                routine,
                at,
            } => variant!(serializer, "QuitCause", "requested",
                reason: reason,
                routine: routine,
                at: &Place(at),
            ),
            Self::RoutineFailed { path, name, id } => {
                variant!(serializer, "QuitCause", "routine_failed", path: path, name: name, id: id)
            }
            Self::MainFailed { message } => {
                variant!(serializer, "QuitCause", "main_failed", message: message)
            }
            Self::MainReturned { code } => {
                variant!(serializer, "QuitCause", "main_returned", code: code)
            }
            Self::MainDropped => variant!(serializer, "QuitCause", "main_dropped"),
        }
    }
}

impl Serialize for RequestingRoutine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { path, name, id } = self;
        object!(serializer, "RequestingRoutine", path: path, name: name, id: id)
    }
}

impl Serialize for QuitSignal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { number, name } = self;
        object!(serializer, "QuitSignal", number: number, name: name)
    }
}
