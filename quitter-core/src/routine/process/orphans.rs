//! Orphans that the system made children of this process, since it is the first process of a container, or
//! what Linux calls a subreaper.
//!
//! An orphan cannot be told from a child that other code of the program started. So a child that has ended
//! is left to that code for a while, and is reaped if nobody has waited for it by then.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::os::reap_orphan;
use super::proc::{self, Stat};
use crate::main_quitter::builder::MainQuitterBuilder;

impl MainQuitterBuilder {
    /// Sets whether to reap orphans that become children of this process. The default is `false`. Use this
    /// in the first process of a container, and in a process that has made itself a subreaper: on Linux, a
    /// process whose parent has ended becomes the child of such a process, and when it ends, it remains a
    /// zombie until it is waited for.
    ///
    /// By default, no child of other code is ever reaped. With `true`, a child that other code of the
    /// program started is taken for an orphan if nobody has waited for it one to two seconds after its end:
    /// a later wait fails. Processes that are [added](crate::Quitter::add_process) or
    /// [adopted](crate::RoutineBuilder::adopt) are never affected. This has no effect on systems without
    /// `/proc`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::MainQuitter;
    ///
    /// let is_first = std::process::id() == 1;
    /// let builder = MainQuitter::builder().reap_orphans(is_first);
    /// ```
    pub fn reap_orphans(mut self, reap_orphans: bool) -> Self {
        self.reap_orphans = reap_orphans;
        self
    }
}

/// How often to look. A child that two looks in a row find ended is an orphan.
const LOOK: Duration = Duration::from_secs(1);

/// The search for orphans.
pub(super) struct Orphans {
    next: Instant,
    /// The ended children that the last look found for the first time: their numbers, and when they were
    /// started.
    ended: HashSet<(u32, u64)>,
}

impl Orphans {
    pub(super) fn new() -> Self {
        Self {
            next: Instant::now(),
            ended: HashSet::new(),
        }
    }

    /// Looks and reaps, if it is time. Returns when to look again.
    pub(super) fn step(&mut self, supervised: impl FnOnce() -> HashSet<u32>) -> Instant {
        let now = Instant::now();
        if now < self.next {
            return self.next;
        }
        self.next = now + LOOK;
        let (own, supervised) = (std::process::id(), supervised());
        let is_orphan =
            |stat: &Stat| stat.parent == own && stat.is_zombie() && !supervised.contains(&stat.pid);
        let ended = proc::all().unwrap_or_default().into_iter();
        let ended = ended.filter(is_orphan).map(|stat| (stat.pid, stat.started));
        let (again, first): (HashSet<_>, HashSet<_>) =
            ended.partition(|child| self.ended.contains(child));
        self.ended = first;
        for (pid, _) in again {
            reap_orphan(pid);
        }
        self.next
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A child that has ended, and that nobody has waited for.
    fn ended() -> Child {
        let child = Command::new("true").spawn().unwrap();
        while !Stat::of(child.id()).unwrap().is_zombie() {
            std::thread::yield_now();
        }
        child
    }

    /// All processes, so that none of another test is reaped.
    fn everyone() -> HashSet<u32> {
        let all = proc::all().unwrap().into_iter();
        all.map(|stat| stat.pid).collect()
    }

    #[test]
    fn a_child_that_has_just_ended_is_left_to_whoever_started_it() {
        let mut child = ended();
        Orphans::new().step(HashSet::new);
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn a_supervised_child_is_left_to_its_supervisor_and_others_are_reaped_in_the_end() {
        let (mut supervised, mut orphan) = (ended(), ended());
        let mut orphans = Orphans::new();
        for _ in 0..2 {
            orphans.next = Instant::now();
            orphans.step(|| {
                let mut left_alone = everyone();
                left_alone.remove(&orphan.id());
                left_alone
            });
        }
        assert!(supervised.wait().unwrap().success());
        assert!(orphan.wait().is_err());
    }
}
