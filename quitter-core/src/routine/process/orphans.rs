//! Orphans that the system has made children of this process: as the first process of a container, or
//! as what Linux calls a subreaper.
//!
//! Nothing tells an orphan from a child that other code of the program has started. So a child that
//! has ended is left to that code for a while, and is reaped if nobody has waited for it by then.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::os::reap_orphan;
use super::proc::{self, Stat};
use crate::main_quitter::builder::MainQuitterBuilder;

impl MainQuitterBuilder {
    /// Sets whether orphans are reaped that become children of this process. The default is `false`.
    /// For the first process of a container, and for one that has made itself a subreaper: on Linux,
    /// a process whose parent has ended becomes the child of such a process, and stays as a zombie
    /// when it ends, until it is waited for.
    ///
    /// Nobody's wait is stolen without this. With it, a child that other code of the program has started
    /// is taken for an orphan if nobody has waited for it one to two seconds after its end: a later
    /// wait is an error. Processes that are [added](crate::Quitter::add_process) or
    /// [adopted](crate::RoutineBuilder::adopt) are never affected. Has no effect on systems without
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

/// How often to look. A child that two looks find ended is an orphan.
const LOOK: Duration = Duration::from_secs(1);

/// The orphans, once they are to be reaped.
pub(super) struct Orphans {
    next: Instant,
    /// The ended children that the last look found: their numbers, and when they were started.
    ended: HashSet<(u32, u64)>,
}

impl Orphans {
    pub(super) fn new() -> Self {
        Self {
            next: Instant::now(),
            ended: HashSet::new(),
        }
    }

    /// Looks, if it is time. Returns when to look again.
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
