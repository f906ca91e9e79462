//! Where threads and tasks hang, by function, file and line: the feature `stacks`.
//!
//! A thread copies its own registers and stack in a signal handler ([`signal`]). The copies are
//! unwound ([`unwind`]) by the tables of the program's modules ([`modules`]), get their names
//! ([`symbols`]), and are cut to what says something ([`trim`]). All that runs on a thread of its own
//! ([`worker`]), which others wait for with a limit: it takes the locks of the allocator and of the
//! loader, and a thread that hangs may hold these.
//!
//! A task that is suspended is on no thread. It is polled once more, with a waker that notes the calls
//! which lead to whoever keeps it ([`tasks`], [`waker`]).
//!
//! On systems other than Linux on x86-64 and aarch64 there are none. On macOS a thread can be suspended
//! and its registers read, without a signal; but its unwind tables are of another format, and nobody
//! has tried it there.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::routine::kind::RoutineKind;
use crate::routine::record::Record;
use crate::system;

mod limit;

use limit::Limit;

macro_rules! where_there_are_stacks {
    ($($item:item)*) => {
        $(
            #[cfg(all(
                target_os = "linux",
                target_pointer_width = "64",
                target_endian = "little",
                any(target_arch = "x86_64", target_arch = "aarch64"),
            ))]
            $item
        )*
    };
}

where_there_are_stacks! {
    mod asking;
    mod elf;
    mod modules;
    mod signal;
    mod stripped;
    mod symbols;
    pub(crate) mod tasks;
    // The C library musl has no unwind tables: what waits in it is not followed to its caller.
    #[cfg(all(test, not(target_env = "musl")))]
    mod tests;
    mod trim;
    mod unwind;
    mod waker;
    mod worker;

    use worker::capture;
}

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    target_endian = "little",
    any(target_arch = "x86_64", target_arch = "aarch64"),
)))]
#[path = "tasks_elsewhere.rs"]
pub(crate) mod tasks;

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    target_endian = "little",
    any(target_arch = "x86_64", target_arch = "aarch64"),
)))]
fn capture(targets: Vec<Target>, _: Limit) -> Vec<Result<Found, Why>> {
    targets.iter().map(|_| Err(Why::Unsupported)).collect()
}

/// How long capturing and naming may take in all.
pub(crate) const IN_ALL: Duration = Duration::from_secs(1);

/// How many threads are asked at most, and how many tasks.
pub(crate) const MOST_THREADS: usize = 64;

/// The calls that a thread stands in, or those that lead to a future that a task awaits.
///
/// It is made for people: the calls of the program and of its dependencies, and above them the one call
/// of the system's libraries, or of tokio, that they wait in.
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
    /// Whether there are calls beyond the last one, which could not be followed or were too many: a
    /// deep recursion, or code without unwind tables.
    pub is_cut: bool,
    /// Whether names of its calls were not read in time: on a loaded machine, or of a large program. Their
    /// [`offset`](Frame::offset) tells which they are. `false` where there are none to read, as in a
    /// program that was stripped.
    pub names_unread: bool,
    /// Whether the names of all calls in the program were read, and no file of its code: it was built without
    /// line tables.
    pub(crate) lacks_lines: bool,
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
    /// The source file, as the compiler was given it. `None` for code without line tables, and for the
    /// system's libraries.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// The file name of the program or library that the code is in. `None`: it is in no file.
    pub module: Option<String>,
    /// The address of the call in that module, as `addr2line` takes it.
    pub offset: u64,
}

impl Frame {
    /// The text for a call without a name: "store+0x1a2b".
    fn unnamed(module: Option<&str>, offset: u64) -> String {
        match module {
            Some(module) => format!("{module}+{offset:#x}"),
            None => format!("{offset:#x}"),
        }
    }

    pub(crate) fn is_unnamed(&self) -> bool {
        self.function == Self::unnamed(self.module.as_deref(), self.offset)
    }

    /// Whether its code is in one of the system's libraries.
    pub(crate) fn is_systems(&self) -> bool {
        self.module.as_deref().is_some_and(is_systems)
    }
}

/// Whether a file of this name is one of the system's libraries: those below std.
fn is_systems(name: &str) -> bool {
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
        use crate::report::escape::Name;
        write!(f, "{}", Name(&self.function))?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " at {}:{line}", Name(file)),
            (Some(file), None) => write!(f, " at {}", Name(file)),
            (None, _) => Ok(()),
        }
    }
}

/// A thread whose stack is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(dead_code, reason = "not all of it is read where there are no stacks")]
struct Thread {
    /// Its number in the system.
    id: u64,
    /// An address in the part of the stack that belongs to the call below which nothing is of
    /// interest; 0 if there is none.
    mark: u64,
}

/// A routine whose stack is asked for.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "not all of it is read where there are no stacks")]
struct Target {
    record: Arc<Record>,
    /// The thread that runs it. `None`: it is a task that is suspended.
    thread: Option<Thread>,
}

impl Target {
    fn of(record: &Arc<Record>) -> Self {
        Self {
            record: Arc::clone(record),
            thread: Thread::of(record),
        }
    }

    fn is_suspended(&self) -> bool {
        self.thread.is_none()
    }

    fn is_process(&self) -> bool {
        matches!(self.record.kind(), RoutineKind::Process { .. })
    }

    fn is_task(&self) -> bool {
        matches!(self.record.kind(), RoutineKind::Task)
    }

    /// Whether what was found still holds. A new thread may have the number of one that has ended.
    fn is_same(&self) -> bool {
        let is_same = self.is_suspended() || self.thread == Thread::of(&self.record);
        is_same && !self.record.is_finished()
    }
}

impl Thread {
    /// The thread that runs this right now.
    fn of(record: &Record) -> Option<Self> {
        let id = record.os_id();
        let mark = record.stack_mark();
        (id != 0).then_some(Self { id, mark })
    }
}

/// The stacks of a routine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) task: Option<TaskState>,
    pub(crate) stacks: Vec<Stack>,
    /// Why a stack is missing.
    missing: Option<Why>,
}

/// How a task that has not returned stands with its executor.
///
/// Reports with stacks have it: they wake each of these tasks once, and its next poll tells what it
/// awaits.
///
/// The [`Display`](fmt::Display) form is "woken and not polled: the runtime's threads are busy", with the
/// time if that is a second or more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It is suspended. Its stacks show what it awaits.
    Awaiting,
    /// It is suspended, and nothing that it awaits has kept its waker: nothing will wake it.
    AwaitingNothing,
    /// It is inside of a poll, and holds up the thread that polls it. Its stack is that thread's.
    InPoll {
        /// The thread's number in the operating system.
        os_id: u64,
        /// The thread's name.
        thread: String,
    },
    /// It was woken, and no thread has polled it since. Its stack is that of the thread that polled it
    /// last, as it stands.
    NotPolled {
        /// How long ago it was woken: by this report, or by one before it.
        woken: Duration,
    },
    /// No thread has polled it yet.
    NeverPolled,
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::report::escape::cut;
        match self {
            Self::Awaiting => f.write_str("suspended"),
            Self::AwaitingNothing => f.write_str("awaits something that wakes nobody"),
            Self::InPoll { os_id, thread } => {
                write!(f, "holds up thread {os_id} '{}'", cut(thread, 20))
            }
            Self::NotPolled { woken } => {
                // Within a report, the time says no more than how long that waits for an answer.
                let is_told = *woken >= Duration::from_secs(1);
                let ago = is_told.then(|| format!(" {:.1} s ago", woken.as_secs_f64()));
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
    /// The stack that the thread is on has no room for a signal.
    NoRoom,
    /// The thread has ended, or goes on with something else.
    Gone,
    NoAnswer,
    TooMany,
    TooManyTasks,
    /// A task that is not to be polled for a report.
    LeftOut,
    /// A waker of another task has not returned.
    NotWoken,
    /// Other stacks are being captured, or took all the time.
    NoTime,
    System(String),
}

impl Why {
    /// Whether it is said of tasks, and not of threads.
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
            Self::Gone => "has ended meanwhile",
            Self::NoAnswer => "did not answer",
            Self::TooMany | Self::TooManyTasks => "beyond the first 64",
            Self::LeftOut => "not to be polled for a report",
            Self::NotWoken => "could not be woken in time",
            Self::NoTime => "no time left",
            Self::System(error) => error,
        })
    }
}

/// The stacks of routines, and why there are none of others.
#[derive(Default)]
pub(crate) struct Stacks {
    by_routine: HashMap<u64, Found>,
    missing: Vec<(Why, usize)>,
}

/// Captures the stacks of the threads that run these routines right now, and asks tasks that are
/// suspended what they await. This thread is left out. Returns by `until`, with what is there by then.
/// Where there are too many, those with different names come first. If an exit wants stacks meanwhile, this
/// stops.
pub(crate) fn of<'a>(records: impl IntoIterator<Item = &'a Arc<Record>>, until: Instant) -> Stacks {
    within(records, Limit::of_others(until))
}

/// The same for an exit, which goes before all others.
pub(crate) fn of_exit<'a>(
    records: impl IntoIterator<Item = &'a Arc<Record>>,
    until: Instant,
) -> Stacks {
    within(records, Limit::of_exit(until))
}

fn within<'a>(records: impl IntoIterator<Item = &'a Arc<Record>>, limit: Limit) -> Stacks {
    let this = system::thread_id();
    let live = records.into_iter().filter(|record| !record.is_finished());
    let targets = live.map(Target::of).filter(|target| match &target.thread {
        Some(thread) => thread.id != this && !target.is_process(),
        None => target.is_task(),
    });
    let (tasks, threads): (Vec<_>, Vec<_>) = targets.partition(Target::is_suspended);
    let mut stacks = Stacks::default();
    let (mut chosen, others) = choose(threads);
    stacks.miss(Why::TooMany, others);
    let (tasks, others) = choose(tasks);
    stacks.miss(Why::TooManyTasks, others);
    chosen.extend(tasks);
    if chosen.is_empty() {
        return stacks;
    }
    let captured = capture(chosen.clone(), limit);
    for (target, captured) in chosen.iter().zip(captured) {
        match captured {
            Ok(mut found) if target.is_same() => {
                found
                    .missing
                    .take()
                    .into_iter()
                    .for_each(|why| stacks.miss(why, 1));
                stacks.by_routine.insert(target.record.id, found);
            }
            // A task that has ended meanwhile, or that was between two polls, does not hang here.
            Ok(_) | Err(Why::Gone) if target.is_task() => {}
            Ok(_) => stacks.miss(Why::Gone, 1),
            Err(why) => stacks.miss(why, 1),
        }
    }
    stacks
}

/// Those that are asked, and how many are left out.
fn choose(targets: Vec<Target>) -> (Vec<Target>, usize) {
    let mut names = HashSet::new();
    let (first, others): (Vec<_>, Vec<_>) = targets
        .into_iter()
        .partition(|target| names.insert(target.record.name.clone()));
    let all = first.len() + others.len();
    let chosen: Vec<_> = first.into_iter().chain(others).take(MOST_THREADS).collect();
    let left_out = all - chosen.len();
    (chosen, left_out)
}

impl Stacks {
    /// Takes the stacks of a routine out.
    pub(crate) fn take(&mut self, routine: u64) -> Option<Found> {
        self.by_routine.remove(&routine)
    }

    /// Why there are no stacks, with the number of routines.
    pub(crate) fn missing(&self) -> &[(Why, usize)] {
        &self.missing
    }

    fn miss(&mut self, why: Why, count: usize) {
        if count == 0 {
            return;
        }
        match self.missing.iter_mut().find(|(other, _)| *other == why) {
            Some((_, known)) => *known += count,
            None => self.missing.push((why, count)),
        }
    }
}
