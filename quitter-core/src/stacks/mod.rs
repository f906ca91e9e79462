//! Where threads hang, by function, file and line: the feature `stacks`.
//!
//! A thread copies its own registers and stack in a signal handler ([`signal`]). The copies are
//! unwound ([`unwind`]) by the tables of the program's modules ([`modules`]), get their names
//! ([`symbols`]), and are cut to what says something ([`trim`]). All that runs on a thread of its own
//! ([`worker`]), which others wait for with a limit: it takes the locks of the allocator and of the
//! loader, and a thread that hangs may hold these.
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
    mod modules;
    mod signal;
    mod symbols;
    // The C library musl has no unwind tables: what waits in it is not followed to its caller.
    #[cfg(all(test, not(target_env = "musl")))]
    mod tests;
    mod trim;
    mod unwind;
    mod worker;

    use worker::capture;
}

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    target_endian = "little",
    any(target_arch = "x86_64", target_arch = "aarch64"),
)))]
fn capture(targets: Vec<Target>, _: Instant) -> Vec<Result<Stack, Why>> {
    targets.iter().map(|_| Err(Why::Unsupported)).collect()
}

/// How long capturing and naming may take in all.
pub(crate) const IN_ALL: Duration = Duration::from_secs(1);

/// How many threads are asked at most.
pub(crate) const MOST_THREADS: usize = 64;

/// The calls that a thread stands in.
///
/// It is made for people: the calls of the program and of its dependencies, and above them the one call
/// of the system's libraries that they wait in.
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
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "not all of it is read where there are no stacks")]
pub(crate) struct Target {
    /// Its number in the system.
    thread: u64,
    /// An address in the part of the stack that belongs to the call below which nothing is of
    /// interest; 0 if there is none.
    mark: u64,
    /// A file in which the thread's routine is named, as the compiler was given it.
    place: &'static str,
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
    NoAnswer {
        /// It may still be at it.
        unsettled: bool,
    },
    TooMany,
    /// Other stacks are being captured, or took all the time.
    NoTime,
    System(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "not possible on this system",
            Self::NoSignal => "the program uses every real-time signal",
            Self::Blocks => "blocks the signal",
            Self::NoRoom => "on a stack without room for a signal",
            Self::Gone => "has ended meanwhile",
            Self::NoAnswer { .. } => "did not answer",
            Self::TooMany => "beyond the first 64",
            Self::NoTime => "no time left",
            Self::System(error) => error,
        })
    }
}

/// The stacks of routines, and why there are none of others.
#[derive(Default)]
pub(crate) struct Stacks {
    by_routine: HashMap<u64, Stack>,
    missing: Vec<(Why, usize)>,
}

/// Captures the stacks of the threads that run these routines right now, but for this thread. Returns by
/// `until`, with what is there by then. Where there are too many, those with different names come first.
pub(crate) fn of<'a>(records: impl IntoIterator<Item = &'a Arc<Record>>, until: Instant) -> Stacks {
    let this = system::thread_id();
    let on_threads = |record: &&Arc<Record>| {
        let is_process = matches!(record.kind(), RoutineKind::Process { .. });
        let is_live = !record.is_finished() && record.os_id() != 0;
        is_live && !is_process && record.os_id() != this
    };
    let records: Vec<_> = records.into_iter().filter(on_threads).collect();
    let mut names = HashSet::new();
    let (first, others): (Vec<_>, Vec<_>) = records
        .into_iter()
        .partition(|record| names.insert(&record.name));
    let chosen: Vec<_> = first.into_iter().chain(others).collect();
    let targets: Vec<_> = chosen
        .iter()
        .take(MOST_THREADS)
        .map(|record| Target {
            thread: record.os_id(),
            mark: record.stack_mark(),
            place: record.spawned_at.file(),
        })
        .collect();
    let mut stacks = Stacks::default();
    stacks.miss(Why::TooMany, chosen.len() - targets.len());
    if targets.is_empty() {
        return stacks;
    }
    let captured = capture(targets.clone(), until);
    for ((record, target), captured) in chosen.iter().zip(&targets).zip(captured) {
        // A new thread may have the number of one that has ended.
        let is_same = !record.is_finished()
            && record.os_id() == target.thread
            && record.stack_mark() == target.mark;
        match captured {
            Ok(stack) if is_same => drop(stacks.by_routine.insert(record.id, stack)),
            Ok(_) => stacks.miss(Why::Gone, 1),
            Err(why) => stacks.miss(why, 1),
        }
    }
    stacks
}

impl Stacks {
    /// The stack of a routine, once.
    pub(crate) fn take(&mut self, routine: u64) -> Option<Stack> {
        self.by_routine.remove(&routine)
    }

    /// Why there are no stacks, with the number of threads.
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
