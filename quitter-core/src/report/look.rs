//! A look at what the routines of a list stand on, the same for reports, waits and snapshots.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::report::path::QuitterPath;
use crate::report::timeouts::StuckRoutine;
use crate::routine::kind::RoutineKind;
use crate::routine::record::Record;
use crate::stands::{self, Stands, Subject};
use crate::system;

/// How thorough a look is.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    /// Over what time to measure how much a thread runs.
    moment: Duration,
    /// How long all processes may take.
    processes: Duration,
}

impl Look {
    /// A look that measures over `moment`, if a thread runs.
    pub(crate) const fn over(moment: Duration) -> Self {
        Self {
            moment,
            processes: moment,
        }
    }

    pub(crate) const THOROUGH: Self = Self::over(Stands::MOMENT);

    /// A look that pauses for nothing.
    pub(crate) const GLANCE: Self = Self {
        moment: Duration::ZERO,
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

/// Adds to the routines what they stand on. Nothing is added to the one that runs on this thread: it
/// stands on this very look.
pub(super) fn look<'a>(listed: impl Iterator<Item = Listed<'a>>, how: Look) {
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
        look_at_threads(threads, how.moment);
    }
    look_at_processes(processes, how);
}

fn look_at_threads(threads: Vec<(u64, Listed<'_>)>, moment: Duration) {
    let subjects = threads.iter().map(|(os_id, one)| Subject {
        os_id: *os_id,
        name: &one.record.name,
        path: one.path,
    });
    let stands = stands::of_threads(&subjects.collect::<Vec<_>>(), moment);
    for ((os_id, one), stands) in threads.into_iter().zip(stands) {
        // Else it was another thread, or the same one in something else.
        if one.record.os_id() == os_id && !one.record.is_finished() {
            one.routine.stands = stands;
        }
    }
}

/// Looks at the first threads of child processes, as far as there is time.
fn look_at_processes(processes: Vec<Listed<'_>>, how: Look) {
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
