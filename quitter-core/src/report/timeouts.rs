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
/// share a line, such as `worker ×997`. After a hundred lines, the remaining routines are counted. Then those
/// that only wait for others come last.
/// Names, paths and statuses are escaped, so that they cannot forge a line or control the terminal, and
/// long ones are shortened. The fields hold everything as it is. The [`Debug`] form is the same list, since std prints that of an error which
/// `main` returns; the fields derive theirs.
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
    /// Why there are no stacks, with the number of routines.
    #[cfg(feature = "stacks")]
    stackless: Vec<(Why, usize)>,
}

/// A quitter with routines that did not return in time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TimedOutQuitter {
    /// The quitter's path, such as `main/childQuitter`.
    pub quitter: QuitterPath,
    /// Its routines that were live.
    pub routines: Vec<StuckRoutine>,
}

/// A live routine: one that did not return in time, or any one in a [`Snapshot`](crate::Snapshot).
///
/// The [`Display`](std::fmt::Display) form is everything but the name, on one line: "running 7.0 s,
/// blocked in futex (a lock or condition), spawned at src/main.rs:31, last seen 2.1 s ago at
/// src/main.rs:52". The status and all that comes from outside is escaped, and shortened if it is
/// long.
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
    /// The kind of work it is.
    pub kind: RoutineKind,
    /// The state in which it was.
    pub state: RoutineState,
    /// Where the routine was added.
    pub spawned_at: &'static Location<'static>,
    /// How long the routine had been running. For a guard this may be too long by a tick of the
    /// system's clock, which is a few milliseconds.
    pub running_for: Duration,
    /// The call that its thread, or the first thread of the process, was blocked in, or how much it ran,
    /// once the time was up or the snapshot was taken. `None`: no thread runs it, or the system does not say, as
    /// on others than Linux, or nobody looked. A wait with a timeout of zero looks at no thread, others
    /// look at the first thousand, and nobody looks at the thread that does the looking. How much of it
    /// a snapshot has, [`Quitter::snapshot`](crate::Quitter::snapshot) says.
    pub stands: Option<Stands>,
    /// The last status it set. A child process has its command line here.
    pub status: Option<String>,
    /// Where it last called its quitter; `None` if it never did. Only calls of a
    /// [`RoutineQuitter`](crate::RoutineQuitter) count, which the body of `main` does not have.
    pub last_seen: Option<LastSeen>,
    /// It is the body of `main`, which has a plain quitter, whose calls keep no place.
    pub(super) is_body: bool,
    /// It is a task that was dropped before its end.
    pub cancelled: bool,
    /// It has returned since the deadline: at most this long after it. Only the exit report tells.
    pub returned_late: Option<Duration>,
    /// Where it hangs. Of a thread this is its stack, or nothing if it could not be captured.
    ///
    /// A task that is suspended has a stack for each of the futures that it awaits, up to 16: several in
    /// a `join!` or `select!`. The innermost call is the one that waits, such as
    /// `tokio::sync::Mutex::lock`, and below it stand the `async` functions that await it, with their
    /// lines. To find that out, the task is woken and polled once more. Of a task that is inside of a
    /// poll, or that nobody polls, this is the stack of a thread: see [`TaskState`].
    ///
    /// The exit report has them, also that of an end by force, a dump, and
    /// [`Quitter::snapshot_with_stacks`](crate::Quitter::snapshot_with_stacks).
    #[cfg(feature = "stacks")]
    pub stacks: Vec<Stack>,
    /// How a task stands with its executor. `None`: it is no task, or was not asked, or did not answer.
    /// Only reports with stacks have it.
    #[cfg(feature = "stacks")]
    pub task: Option<TaskState>,
}

/// Where a routine last called its quitter. Derefs to the place.
///
/// The [`Display`](std::fmt::Display) form is "last seen 2.1 s ago at src/main.rs:52".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastSeen {
    /// The place of the call. For a read or a write of a
    /// stream made by `interruptible` it is the place where the stream was made.
    pub at: &'static Location<'static>,
    /// How long ago the call returned, or began if it has not returned. Only known for calls that may
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

/// Std prints this when `main` returns an error.
impl fmt::Debug for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Timeouts {
    /// The list of a wait with this timeout, which was waited for `after`.
    pub(crate) fn of_wait(live: Vec<LiveAt>, after: Duration, timeout: Duration) -> Self {
        let moment = (timeout / 10).min(Stands::MOMENT);
        let moment = (timeout > Duration::ZERO).then_some(moment);
        Self::new(&live, after, None, moment.map(Look::over))
    }

    /// The list of an exit that has gone on for `after`. If its deadline was `late` ago, routines that
    /// have returned since are marked so. `before`: readings of their threads at the deadline. `is_whole`:
    /// nobody is live who is not among them.
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
        // Parents first, so that their paths are there to be shared.
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

    /// Whether nobody can wake anybody: each routine is a thread in a futex, and so is every other
    /// thread.
    fn find_everyone_waiting(&self) -> bool {
        // Another routine of the list runs on its thread.
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

    /// Whether every thread of the program waited for another one, without a time limit: nothing in
    /// the program could wake any of them. Known on Linux, of an exit that waits.
    ///
    /// It is only said if each of these routines is a thread that waits for a lock or condition, and
    /// so does every other thread that the process has, at the same instant.
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

    /// Whether there is anything to say about stacks.
    #[cfg(feature = "stacks")]
    pub(crate) fn has_stacks(&self) -> bool {
        let says = |routine: &StuckRoutine| !routine.stacks.is_empty() || routine.task.is_some();
        self.routines().any(says) || !self.stackless.is_empty()
    }

    #[cfg(feature = "stacks")]
    pub(super) fn stackless(&self) -> &[(Why, usize)] {
        &self.stackless
    }

    /// Whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.quitters.is_empty()
    }

    /// How many routines are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.quitters.iter().map(|at| at.routines.len()).sum()
    }

    /// The quitters that have routines in the list.
    pub fn iter(&self) -> slice::Iter<'_, TimedOutQuitter> {
        self.quitters.iter()
    }

    /// The routines in the list, without their quitters.
    pub fn routines(&self) -> impl Iterator<Item = &StuckRoutine> {
        self.quitters.iter().flat_map(|at| &at.routines)
    }

    /// The first `count` routines, each with the path of its quitter: those that only wait for others come
    /// last.
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

    /// How long they were waited for.
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
            returned_late: late.filter(|_| record.is_finished()),
            #[cfg(feature = "stacks")]
            stacks: Vec::new(),
            #[cfg(feature = "stacks")]
            task: None,
        }
    }

    /// Adds its stacks, if some were captured.
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
