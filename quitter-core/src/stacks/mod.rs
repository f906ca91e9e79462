//! Where threads and tasks hang, by function, file and line: the feature `stacks`.
//!
//! A thread copies its own registers and stack in a signal handler ([`signal`]). The copies are unwound
//! ([`unwind`]) by the tables of the program's modules ([`modules`]), get their names ([`symbols`]), and are
//! trimmed to what is useful ([`trim`]). All that runs on a thread of its own ([`worker`]), for which others
//! wait with a limit: it takes the locks of the allocator and of the loader, which a thread that hangs may
//! hold.
//!
//! A suspended task is on no thread. It is polled once more, with a waker that records the calls that lead to
//! the code that keeps it ([`tasks`], [`waker`]).
//!
//! Systems other than Linux on x86-64 and aarch64 are not supported. On macOS a thread can be suspended and
//! its registers read, without a signal; but its unwind tables are of another format, and nobody has tried it
//! there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::routine::kind::RoutineKind;
use crate::routine::record::Record;
use crate::system;

mod data;
mod limit;

pub(crate) use data::Why;
pub use data::{Frame, Stack, TaskState};
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
    mod memory;
    mod modules;
    mod signal;
    mod stripped;
    mod symbols;
    pub(crate) mod tasks;
    // The C library musl has no unwind tables: a thread that waits in it cannot be followed to the caller.
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

/// How long capturing and naming may take together.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(1);

/// The maximum number of threads that are asked, and of tasks.
pub(crate) const MAX_THREADS: usize = 64;

/// A thread whose stack is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(dead_code, reason = "not all of it is read where there are no stacks")]
struct Thread {
    /// Its id in the system.
    id: u64,
    /// An address in the stack frame of the call beyond which nothing is of interest; 0 if there is none.
    mark: u64,
}

/// A routine whose stack is asked for.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "not all of it is read where there are no stacks")]
struct Target {
    record: Arc<Record>,
    /// The thread that runs it. `None` for a suspended task.
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

    /// Whether a result still holds. A new thread may have the id of one that has ended.
    fn is_same(&self) -> bool {
        let is_same = self.is_suspended() || self.thread == Thread::of(&self.record);
        is_same && !self.record.is_finished()
    }
}

impl Thread {
    /// The thread that runs this routine right now.
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

/// The stacks of routines, and why other routines have none.
#[derive(Default)]
pub(crate) struct Stacks {
    by_routine: HashMap<u64, Found>,
    missing: Vec<(Why, usize)>,
}

/// Captures the stacks of the threads that run these routines right now, and asks suspended tasks what they
/// await. Leaves this thread out. Returns by `until`, with the stacks that are there by then. If there are
/// too many routines, those with different names come first. Stops if an exit wants stacks meanwhile.
pub(crate) fn of<'a>(records: impl IntoIterator<Item = &'a Arc<Record>>, until: Instant) -> Stacks {
    within(records, Limit::of_others(until))
}

/// Like [`of`], but for an exit, which takes precedence over all others.
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
            // A task that has ended meanwhile, or was between two polls, does not hang here.
            Ok(_) | Err(Why::Gone) if target.is_task() => {}
            Ok(_) => stacks.miss(Why::Gone, 1),
            Err(why) => stacks.miss(why, 1),
        }
    }
    stacks
}

/// The targets to ask, those with different names first, and the number of targets left out.
fn choose(targets: Vec<Target>) -> (Vec<Target>, usize) {
    let mut names = HashSet::new();
    let (first, others): (Vec<_>, Vec<_>) = targets
        .into_iter()
        .partition(|target| names.insert(target.record.name.clone()));
    let all = first.len() + others.len();
    let chosen: Vec<_> = first.into_iter().chain(others).take(MAX_THREADS).collect();
    let left_out = all - chosen.len();
    (chosen, left_out)
}

impl Stacks {
    /// Removes and returns the stacks of a routine.
    pub(crate) fn take(&mut self, routine: u64) -> Option<Found> {
        self.by_routine.remove(&routine)
    }

    /// Why stacks are missing, each reason with the number of routines.
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
