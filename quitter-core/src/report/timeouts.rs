//! The routines that did not return in time, as data.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::slice;
use std::time::Duration;
use std::vec;

use crate::report::look::{Before, Listed, Look, look};
use crate::report::path::{Paths, QuitterPath};
use crate::routine::kind::{RoutineKind, RoutineState};
use crate::routine::record::Record;
#[cfg(feature = "stacks")]
use crate::stacks::{Stack, Stacks, TaskState, Why};
use crate::stands::{self, Stands};
use crate::tree::LiveAt;

/// The routines that were live when the time to wait for them was up, by quitter.
///
/// Each routine is listed once, identified by its id. Child quitters come before their parents.
/// Quitters with the same parent, and the routines of one quitter, are in the order of their ids:
/// those that one thread made are in the order in which it made them.
///
/// The [`Display`](std::fmt::Display) form is a list for people, of bounded length. Routines of one
/// quitter that differ only in their times, or in the objects of the call that they are blocked in,
/// share a line, such as `worker ×997`. After a hundred lines, the remaining routines are counted. If
/// there are more than a hundred quitters and routines, those that only wait for others come last.
/// Names, paths and statuses are escaped, so that they cannot forge a line or control the terminal, and
/// long ones are shortened. The fields hold the text unchanged. The [`Debug`] form is the same list,
/// since std prints the `Debug` form of an error that `main` returns. The types of the items derive
/// `Debug`.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
///
/// let root = quitter::Quitter::root("main");
/// let child = root.child("db").unwrap();
/// let flusher = child.guard("flusher").unwrap();
///
/// let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
/// for quitter in &timeouts {
///     assert_eq!(quitter.quitter, "main/db");
///     assert_eq!(quitter.routines[0].name, "flusher");
/// }
/// eprintln!("{timeouts}");
/// ```
#[derive(Clone, Default)]
pub struct Timeouts {
    pub(super) quitters: Vec<TimedOutQuitter>,
    pub(super) after: Duration,
    everyone_waits: bool,
    /// Why routines have no stacks, each reason with the number of routines.
    #[cfg(feature = "stacks")]
    stackless: Vec<(Why, usize)>,
}

/// A quitter with routines that did not return in time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TimedOutQuitter {
    /// The quitter's path, such as `main/childQuitter`.
    pub quitter: QuitterPath,
    /// The routines of the quitter that were live.
    pub routines: Vec<StuckRoutine>,
}

/// A live routine: one that did not return in time, or any routine in a [`Snapshot`](crate::Snapshot).
///
/// The [`Display`](std::fmt::Display) form is everything but the name, on one line: "running 7.0 s,
/// blocked in futex (a lock or condition), spawned at src/main.rs:31, last seen 2.1 s ago at
/// src/main.rs:52". The status and all other foreign text is escaped, and shortened if it is long.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
///
/// let root = quitter::Quitter::root("main");
/// let guard = root.guard("flusher").unwrap();
/// assert!(!guard.has_to_quit());
/// let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
/// let flusher = timeouts.routines().next().unwrap();
/// assert_eq!(flusher.id, guard.id());
/// assert_eq!(flusher.spawned_at.file(), file!());
/// assert!(flusher.last_seen.is_some_and(|seen| seen.line() == flusher.spawned_at.line() + 1));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StuckRoutine {
    /// The routine's number, as in [`RoutineHandle::id`](crate::RoutineHandle::id).
    pub id: u64,
    /// The routine's name.
    pub name: String,
    /// The kind of work that the routine is.
    pub kind: RoutineKind,
    /// The state that the routine was in.
    pub state: RoutineState,
    /// Where the routine was added.
    pub spawned_at: &'static Location<'static>,
    /// How long the routine had been running, or ran if it has returned since the deadline. For a guard this
    /// may be too long by a tick of the system's clock, which is a few milliseconds.
    pub running_for: Duration,
    /// The call that the routine's thread, or the first thread of a child process, was blocked in, or how
    /// much that thread ran, once the time was up or the snapshot was taken.
    ///
    /// `None` if no thread runs the routine, if the system does not say (only Linux does), or if the thread
    /// was not looked at. A wait with a timeout of zero looks at no thread, and other waits look at the first
    /// thousand, and at as many child processes as there is time for. The thread that takes the list is never
    /// looked at. For what a snapshot looks at, see [`Quitter::snapshot`](crate::Quitter::snapshot).
    pub stands: Option<Stands>,
    /// The last status that the routine set. For a child process, its command line.
    pub status: Option<String>,
    /// Where the routine last called its quitter; `None` if it never did. Only calls on a
    /// [`RoutineQuitter`](crate::RoutineQuitter) count, which the body of `main` does not have.
    pub last_seen: Option<LastSeen>,
    /// Whether it is the body of `main`, which has a plain quitter: that does not record its calls.
    pub(super) is_body: bool,
    /// Whether it is a task that was dropped before its end.
    pub cancelled: bool,
    /// If the routine has returned since the deadline, the most by which it was late. Only set in an exit
    /// report.
    pub returned_late: Option<Duration>,
    /// Where the routine hangs. For a thread, this is its stack, or nothing if the stack could not be
    /// captured.
    ///
    /// A suspended task has a stack for each future that it awaits, up to 16: a `join!` or `select!` awaits
    /// several. The innermost call is the one that waits, such as `tokio::sync::Mutex::lock`. Below it are
    /// the `async` functions that await it, with their lines. To find these, the task is woken and polled once
    /// more. For a task that is inside a poll, or that is not polled, this is the stack of a thread: see
    /// [`TaskState`].
    ///
    /// Exit reports, also those of an end by force, dumps, and
    /// [`Quitter::snapshot_with_stacks`](crate::Quitter::snapshot_with_stacks) have stacks.
    #[cfg(feature = "stacks")]
    pub stacks: Vec<Stack>,
    /// The state of a task. `None` if the routine is no task, or was not asked, or did not answer. Only
    /// reports with stacks contain it.
    #[cfg(feature = "stacks")]
    pub task: Option<TaskState>,
}

/// Where a routine last called its quitter. Derefs to the [`Location`].
///
/// The [`Display`](std::fmt::Display) form is "last seen 2.1 s ago at src/main.rs:52".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastSeen {
    /// The location of the call. For a read or a write on a stream made by `interruptible`, the location
    /// where the stream was made.
    pub at: &'static Location<'static>,
    /// How long ago the call returned, or started if it has not returned. Only known for calls that may
    /// block, such as [`sleep`](crate::RoutineQuitter::sleep).
    pub ago: Option<Duration>,
}

impl Deref for LastSeen {
    type Target = Location<'static>;

    fn deref(&self) -> &Location<'static> {
        self.at
    }
}

impl Error for Timeouts {}

/// Std prints the `Debug` form of an error that `main` returns.
impl fmt::Debug for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Timeouts {
    /// Makes the list of a wait with this timeout that has lasted for `after`.
    pub(crate) fn of_wait(live: Vec<LiveAt>, after: Duration, timeout: Duration) -> Self {
        let moment = (timeout / 10).min(Stands::MOMENT);
        let moment = (timeout > Duration::ZERO).then_some(moment);
        Self::new(&live, after, None, moment.map(Look::over))
    }

    /// Makes the list of an exit that has gone on for `after`. If its deadline was `late` ago, routines that
    /// have returned since are marked as late. `before` has readings of the threads from the deadline.
    /// `is_whole` says that no live routine is missing from `live`.
    pub(crate) fn of_exit(
        live: &[LiveAt],
        after: Duration,
        late: Option<Duration>,
        before: &Before,
        is_whole: bool,
    ) -> Self {
        let mut timeouts = Self::new(live, after, late, Some(Look::since(before)));
        timeouts.everyone_waits = is_whole && timeouts.find_everyone_waiting();
        timeouts
    }

    fn new(
        live: &[LiveAt],
        after: Duration,
        late: Option<Duration>,
        how: Option<Look<'_>>,
    ) -> Self {
        let mut paths = Paths::default();
        // Parents first, so that the paths of their children can share theirs.
        let upwards = live.iter().rev();
        let mut quitters: Vec<_> = upwards
            .map(|at| TimedOutQuitter::new(at, &mut paths, late))
            .collect();
        quitters.reverse();
        if let Some(how) = how {
            let listed = quitters
                .iter_mut()
                .zip(live)
                .flat_map(|(at, live)| Listed::of(&at.quitter, &mut at.routines, &live.routines));
            look(listed, how);
        }
        Self {
            quitters,
            after,
            ..Self::default()
        }
    }

    /// Whether no thread can wake another: each routine is a thread in a futex call, and every other thread
    /// is in one, too.
    fn find_everyone_waiting(&self) -> bool {
        // It waits while another routine of the list runs on its thread.
        let has_handed_over = |routine: &&StuckRoutine| {
            let has_no_thread = matches!(routine.kind, RoutineKind::Thread { os_id: 0 });
            has_no_thread && routine.state == RoutineState::Waiting
        };
        let thread = |routine: &StuckRoutine| match (&routine.kind, &routine.stands) {
            (RoutineKind::Thread { os_id }, Some(Stands::Blocked { call, .. })) => {
                (call == "futex").then_some(*os_id)
            }
            _ => None,
        };
        let on_threads = self.routines().filter(|routine| !has_handed_over(routine));
        let threads = on_threads.map(thread).collect::<Option<Vec<_>>>();
        threads.is_some_and(|threads| !threads.is_empty() && stands::everyone_waits(&threads))
    }

    /// Returns whether every thread of the program was waiting for another one, without a time limit, so
    /// that nothing in the program could wake any of them. Only known on Linux, for an exit that waits.
    ///
    /// It is only `true` if each of these routines was a thread that waited for a lock or condition, and
    /// every other thread of the process did so, too, at the same instant.
    #[must_use]
    pub fn everyone_waits(&self) -> bool {
        self.everyone_waits
    }

    /// Adds the stacks of the routines' threads.
    #[cfg(feature = "stacks")]
    pub(crate) fn add_stacks(&mut self, mut stacks: Stacks) {
        for routine in self.quitters.iter_mut().flat_map(|at| &mut at.routines) {
            routine.add_stacks(&mut stacks);
        }
        self.stackless = stacks.missing().to_vec();
    }

    /// Whether there are stacks, states of tasks, or reasons why stacks are missing.
    #[cfg(feature = "stacks")]
    pub(crate) fn has_stacks(&self) -> bool {
        let says = |routine: &StuckRoutine| !routine.stacks.is_empty() || routine.task.is_some();
        self.routines().any(says) || !self.stackless.is_empty()
    }

    #[cfg(feature = "stacks")]
    pub(super) fn stackless(&self) -> &[(Why, usize)] {
        &self.stackless
    }

    /// Returns whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.quitters.is_empty()
    }

    /// Returns the number of routines in the list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.quitters.iter().map(|at| at.routines.len()).sum()
    }

    /// Iterates over the quitters that have routines in the list.
    pub fn iter(&self) -> slice::Iter<'_, TimedOutQuitter> {
        self.quitters.iter()
    }

    /// Iterates over the routines in the list, without their quitters.
    pub fn routines(&self) -> impl Iterator<Item = &StuckRoutine> {
        self.quitters.iter().flat_map(|at| &at.routines)
    }

    /// The first `count` routines, each with its quitter's path. Those that only wait for others come last.
    pub(crate) fn first(
        &self,
        count: usize,
    ) -> impl Iterator<Item = (&QuitterPath, &StuckRoutine)> {
        let quitters = self.quitters.iter();
        let all = quitters.flat_map(|at| at.routines.iter().map(move |it| (&at.quitter, it)));
        let (working, waiting) = (all.clone(), all);
        let working = working.filter(|(_, routine)| routine.state != RoutineState::Waiting);
        let waiting = waiting.filter(|(_, routine)| routine.state == RoutineState::Waiting);
        working.chain(waiting).take(count)
    }

    /// Returns how long the routines were waited for.
    #[must_use]
    pub fn after(&self) -> Duration {
        self.after
    }
}

impl TimedOutQuitter {
    fn new(live: &LiveAt, paths: &mut Paths, late: Option<Duration>) -> Self {
        let routines = live.routines.iter();
        Self {
            quitter: paths.of(live.node.lineage()),
            routines: routines
                .map(|record| StuckRoutine::new(record, late))
                .collect(),
        }
    }
}

impl StuckRoutine {
    pub(super) fn new(record: &Record, late: Option<Duration>) -> Self {
        Self {
            id: record.id,
            name: record.name.to_string(),
            kind: record.kind(),
            state: record.state(),
            spawned_at: record.spawned_at,
            running_for: record.running_for(),
            stands: None,
            status: record.status(),
            last_seen: record.last_seen().map(|(at, ago)| LastSeen { at, ago }),
            is_body: record.is_body(),
            cancelled: record.is_cancelled(),
            returned_late: late.filter(|_| record.is_finished()).map(|late| {
                let since = record.ended_ago().unwrap_or_default();
                late.saturating_sub(since)
            }),
            #[cfg(feature = "stacks")]
            stacks: Vec::new(),
            #[cfg(feature = "stacks")]
            task: None,
        }
    }

    /// Adds the stacks of this routine, if any were captured.
    #[cfg(feature = "stacks")]
    pub(super) fn add_stacks(&mut self, stacks: &mut Stacks) {
        if let Some(found) = stacks.take(self.id) {
            self.stacks = found.stacks;
            self.task = found.task;
        }
    }
}

impl IntoIterator for Timeouts {
    type Item = TimedOutQuitter;
    type IntoIter = vec::IntoIter<TimedOutQuitter>;

    fn into_iter(self) -> Self::IntoIter {
        self.quitters.into_iter()
    }
}

impl<'a> IntoIterator for &'a Timeouts {
    type Item = &'a TimedOutQuitter;
    type IntoIter = slice::Iter<'a, TimedOutQuitter>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quitter;

    #[test]
    fn the_paths_of_a_list_are_as_the_quitters_know_them() {
        let root = Quitter::root("main");
        let mut at = root.clone();
        let mut guards = Vec::new();
        for name in ["a", "b/c", "", "d"] {
            at = at.child(name).unwrap();
            guards.push(at.guard("guard").unwrap());
        }
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        let paths: Vec<_> = timeouts.iter().map(|at| at.quitter.to_string()).collect();
        assert_eq!(
            paths,
            ["main/a/b/c//d", "main/a/b/c/", "main/a/b/c", "main/a"]
        );
        assert_eq!(guards[3].path(), paths[0]);
    }
}
