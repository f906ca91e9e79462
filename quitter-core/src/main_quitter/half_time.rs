//! Marks the routines that are live when half of the quit timeout is over: those that return after that are
//! slow.
//!
//! Only a marked routine records the time of its end, so the others pay nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::report::path::Paths;
use crate::report::slow::SlowRoutine;
use crate::routine::record::Record;
use crate::tree::LiveAt;

/// How many routines are marked at most. Further ones are only counted.
const MARKED: usize = 1000;

#[derive(Clone, Default)]
pub(crate) struct HalfTime {
    marked: Vec<LiveAt>,
    only_counted: usize,
}

impl HalfTime {
    /// Marks these live routines, except those that wait for others.
    pub(crate) fn of(mut live: Vec<LiveAt>) -> Self {
        let mut room = MARKED;
        let mut only_counted = 0;
        for at in &mut live {
            at.routines.retain(|record| !record.is_waiting());
            only_counted += at.routines.len().saturating_sub(room);
            at.routines.truncate(room);
            at.routines.iter().for_each(|record| record.mark_as_slow());
            room -= at.routines.len();
        }
        live.retain(|at| !at.routines.is_empty());
        Self {
            marked: live,
            only_counted,
        }
    }

    /// The marked routines that have returned since, within the quit timeout, slowest first.
    pub(crate) fn slow(&self, quit_at: Instant, timeout: Duration) -> Vec<SlowRoutine> {
        let mut paths = Paths::default();
        let mut slow = Vec::new();
        for at in &self.marked {
            let took = |record: &Arc<Record>| {
                let took = quit_at.elapsed().checked_sub(record.ended_ago()?)?;
                (took <= timeout).then_some((Arc::clone(record), took))
            };
            let ended: Vec<_> = at.routines.iter().filter_map(took).collect();
            if ended.is_empty() {
                continue;
            }
            let path = paths.of(at.node.lineage());
            slow.extend(ended.into_iter().map(|(record, took)| SlowRoutine {
                quitter: path.clone(),
                id: record.id,
                name: record.name.to_string(),
                kind: record.kind(),
                spawned_at: record.spawned_at,
                took,
            }));
        }
        slow.sort_unstable_by_key(|slow| (std::cmp::Reverse(slow.took), slow.id));
        slow
    }

    /// How many of the routines that were only counted have returned since: all but those among `stuck`.
    pub(crate) fn unlisted_slow(&self, stuck: &[LiveAt]) -> usize {
        let stuck = stuck.iter().flat_map(|at| &at.routines);
        let unmarked = stuck.filter(|record| !record.is_marked_as_slow());
        self.only_counted.saturating_sub(unmarked.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quitter::Quitter;
    use crate::report::cause::QuitCause;

    #[test]
    fn those_that_waited_for_others_at_half_time_are_not_slow_nor_those_that_took_too_long() {
        let root = Quitter::root("root");
        let guards = ["works", "waits"].map(|name| root.guard(name).unwrap());
        guards[1].record().begin_wait();
        let live = root.node().look(None).err().unwrap();
        let half_time = HalfTime::of(live);
        drop(guards);
        let quit_at = Instant::now() - Duration::from_secs(1);
        let slow = half_time.slow(quit_at, Duration::MAX);
        let names: Vec<_> = slow.iter().map(|slow| &slow.name[..]).collect();
        assert_eq!(names, ["works"]);
        let in_time = half_time.slow(quit_at, Duration::from_millis(500));
        assert!(in_time.is_empty(), "{in_time:?}");
    }

    #[test]
    fn of_those_that_are_only_counted_the_ones_that_hang_are_not_slow() {
        let root = Quitter::root("root");
        let mut guards: Vec<_> = (0..MARKED + 10)
            .map(|_| root.guard("guard").unwrap())
            .collect();
        let live = || root.node().look(None).err().unwrap_or_default();
        root.node().quit(QuitCause::MainDropped, None);
        let half_time = HalfTime::of(live());
        // As if half of the quit timeout were over.
        let quit_at = root.node().quit_info().unwrap().at - Duration::from_secs(1);
        let slow = |half_time: &HalfTime| {
            let listed = half_time.slow(quit_at, Duration::MAX).len();
            (listed, half_time.unlisted_slow(&live()))
        };
        assert_eq!(slow(&half_time), (0, 0));
        drop(guards.split_off(MARKED + 7));
        assert_eq!(slow(&half_time), (0, 3));
        drop(guards.split_off(MARKED - 1));
        assert_eq!(slow(&half_time), (1, 10));
        drop(guards);
        assert_eq!(slow(&half_time), (MARKED, 10));
    }
}
