//! Looks at what the routines of a list stand on, for reports, waits and snapshots.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::report::path::QuitterPath;
use crate::report::timeouts::StuckRoutine;
use crate::routine::kind::RoutineKind;
use crate::routine::record::Record;
use crate::stands::{self, Stands, Subject, Used};
use crate::system;
use crate::tree::LiveAt;

/// The CPU time that the threads of routines had used some time before a look, by the ids of routine and
/// thread. The look measures from then on.
#[derive(Clone, Default)]
pub(crate) struct Before(HashMap<(u64, u64), Used>);

impl Before {
    /// Reads the CPU times as of now, of no more threads than a look looks at.
    pub(crate) fn of(live: &[LiveAt]) -> Self {
        let records = live.iter().flat_map(|at| &at.routines);
        let runs = records.map(|record| (record.id, record.os_id()));
        let runs = runs
            .filter(|(_, os_id)| *os_id != 0)
            .take(stands::MAX_THREADS);
        let used = runs.filter_map(|run| Some((run, Used::by_thread(run.1)?)));
        Self(used.collect())
    }

    #[cfg(all(test, target_os = "linux"))]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn used(&self, routine: u64, os_id: u64) -> Option<Used> {
        self.0.get(&(routine, os_id)).copied()
    }
}

/// How thorough a look is.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    /// The time over which to measure how much a thread runs.
    moment: Duration,
    /// Earlier readings. The look does not pause for a thread that has one.
    before: Option<&'a Before>,
    /// How long the look may take for all processes together.
    processes: Duration,
}

impl<'a> Look<'a> {
    /// A look that measures over `moment`, if a thread runs.
    pub(crate) const fn over(moment: Duration) -> Self {
        Self {
            moment,
            before: None,
            processes: moment,
        }
    }

    /// A thorough look that measures from these readings on.
    pub(crate) fn since(before: &'a Before) -> Self {
        Self {
            before: Some(before),
            ..Self::THOROUGH
        }
    }

    pub(crate) const THOROUGH: Self = Self::over(Stands::MOMENT);

    /// A look that never pauses.
    pub(crate) const GLANCE: Self = Self {
        moment: Duration::ZERO,
        before: None,
        processes: Stands::MOMENT,
    };
}

/// A routine in a list, and its record.
pub(super) struct Listed<'a> {
    path: &'a QuitterPath,
    routine: &'a mut StuckRoutine,
    record: &'a Record,
}

impl<'a> Listed<'a> {
    /// The routines of one quitter, in the order of their records.
    pub(super) fn of(
        path: &'a QuitterPath,
        routines: &'a mut [StuckRoutine],
        records: &'a [Arc<Record>],
    ) -> impl Iterator<Item = Self> {
        let routines = routines.iter_mut().zip(records);
        routines.map(move |(routine, record)| Self {
            path,
            routine,
            record,
        })
    }
}

/// Adds to each routine what it stands on, except to the one that runs on this thread: that one stands on
/// this very look.
pub(super) fn look<'a>(listed: impl Iterator<Item = Listed<'a>>, how: Look<'_>) {
    let this = system::thread_id();
    let (mut threads, mut processes) = (Vec::new(), Vec::new());
    for one in listed {
        match (&one.routine.kind, one.record.os_id()) {
            (_, 0) => {}
            (RoutineKind::Process { .. }, _) => processes.push(one),
            (_, id) if id == this => {}
            (_, id) => threads.push((id, one)),
        }
    }
    if !threads.is_empty() {
        look_at_threads(threads, how);
    }
    look_at_processes(processes, how);
}

fn look_at_threads(threads: Vec<(u64, Listed<'_>)>, how: Look<'_>) {
    let subjects = threads.iter().map(|(os_id, one)| Subject {
        os_id: *os_id,
        name: &one.record.name,
        path: one.path,
        before: how
            .before
            .and_then(|before| before.used(one.record.id, *os_id)),
    });
    let stands = stands::of_threads(&subjects.collect::<Vec<_>>(), how.moment);
    for ((os_id, one), stands) in threads.into_iter().zip(stands) {
        // Otherwise the look may have seen another thread, or the same one doing something else.
        if one.record.os_id() == os_id && !one.record.is_finished() {
            one.routine.stands = stands;
        }
    }
}

/// Looks at the first thread of each child process, as long as there is time.
fn look_at_processes(processes: Vec<Listed<'_>>, how: Look<'_>) {
    let until = Instant::now() + how.processes;
    for one in processes {
        let RoutineKind::Process { pid } = one.routine.kind else {
            continue;
        };
        if Instant::now() >= until {
            return;
        }
        let stands = stands::of_child(pid, how.moment / 4);
        if !one.record.is_finished() {
            one.routine.stands = stands;
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;
    use crate::Quitter;
    use crate::report::timeouts::Timeouts;

    #[test]
    fn a_look_since_earlier_readings_does_not_pause_for_a_thread_that_runs() {
        const PAUSE: Duration = Duration::from_secs(60);
        let root = Quitter::root("main");
        let turns = Arc::new(AtomicU32::new(0));
        let spinning = Arc::clone(&turns);
        root.routine("spins")
            .add(move |q| {
                while !q.has_to_quit() {
                    spinning.fetch_add(1, Ordering::Relaxed);
                }
            })
            .unwrap();
        while turns.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        let from = Instant::now();
        let (live, _unread) = root.node().try_look(from + PAUSE);
        let before = Before::of(&live);
        let how = Look {
            moment: PAUSE,
            ..Look::since(&before)
        };
        // The thread may be preempted between two looks, and then has not run.
        loop {
            let mut timeouts = Timeouts::of_wait(live.clone(), Duration::ZERO, Duration::ZERO);
            let main = &mut timeouts.quitters[0];
            look(
                Listed::of(&main.quitter, &mut main.routines, &live[0].routines),
                how,
            );
            let stands = &main.routines[0].stands;
            assert!(from.elapsed() < PAUSE, "{stands:?}");
            if matches!(stands, Some(Stands::Running { .. })) {
                break;
            }
        }
        root.quit_and_wait(Duration::MAX).unwrap();
    }
}
