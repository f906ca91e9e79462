//! Snapshots of a quitter and everything below it.

use super::Quitter;
use crate::report::snapshot::{Snapshot, Taken};
use crate::routine::quitter::RoutineQuitter;

impl Quitter {
    /// Lists what lives at this quitter and below it: quitters that have something in them, their
    /// routines and what each [stands on](crate::StuckRoutine::stands), and the failures so far. At any
    /// time, also while quitting.
    ///
    /// The program goes on meanwhile; [`Snapshot`] says what that means for what is listed. Memory and
    /// time are linear in what is listed, and at the lists of one quitter nobody waits for longer
    /// than it takes to copy them.
    ///
    /// On Linux it has what the first thousand routines that run on threads stand on. To look takes
    /// some 10 µs for each of them, a few milliseconds more if one waits at a socket, to find the
    /// address, and 50 ms at most; then come child processes, as far as 20 ms reach. There is no pause to
    /// measure how much a thread runs: see [`Stands::MOMENT`](crate::Stands::MOMENT). The thread that
    /// calls this is not looked at. If it runs a routine, that stands on this very call.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// let _flusher = root.child("db").unwrap().guard("flusher").unwrap();
    /// let names: Vec<_> = root.snapshot().routines().map(|r| r.name.clone()).collect();
    /// assert_eq!(names, ["flusher"]);
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Taken::of(self.node()).at_a_glance()
    }

    /// Takes a [snapshot](Self::snapshot) that also shows the calls that each thread stands in. Takes up
    /// to a second, and far less in most cases.
    ///
    /// It is as thorough as an exit report: it says what the first thousand threads stand on, measures
    /// over [`Stands::MOMENT`](crate::Stands::MOMENT) how much they run, and has the
    /// [stacks](crate::StuckRoutine::stacks) of the first 64 of them, those with different names first.
    /// The [`Display`](std::fmt::Display) form shows the stacks below the routines, each once, and says
    /// at the end of how many threads there is no stack, and why.
    ///
    /// Each of these threads is interrupted by a signal, as the guide's page on diagnosis describes, and
    /// copies its own stack: some microseconds' work. A thread that blocks the signal is left alone.
    ///
    /// Every thread may call this, and blocks meanwhile: in async code, call it where blocking is
    /// allowed. The thread that calls it is not asked: if it runs a routine, that is listed without a
    /// stack. Calls at the same time take turns, also with the stacks of an exit report or a dump. One
    /// whose turn does not come within the second returns without stacks, and its text says so.
    ///
    /// There are stacks on Linux on x86-64 and aarch64. Elsewhere this is a thorough snapshot.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// root.routine("flusher").add(|q| q.wait_quit()).unwrap();
    /// let snapshot = root.snapshot_with_stacks();
    /// for frame in snapshot.routines().flat_map(|r| &r.stacks).flat_map(|stack| &stack.frames) {
    ///     println!("{frame}");
    /// }
    /// # root.quit_and_wait(std::time::Duration::MAX).unwrap();
    /// ```
    #[cfg(feature = "stacks")]
    #[must_use]
    pub fn snapshot_with_stacks(&self) -> Snapshot {
        Taken::of(self.node()).in_full()
    }
}

impl RoutineQuitter {
    /// Lists what lives at the routine's quitter and below it, this routine included, like
    /// [`Quitter::snapshot`].
    #[must_use]
    #[track_caller]
    pub fn snapshot(&self) -> Snapshot {
        Taken::of(self.seen()).at_a_glance()
    }

    /// Lists what lives at the routine's quitter and below it, with stacks, like
    /// [`Quitter::snapshot_with_stacks`]. This routine is included, without a stack of its thread.
    #[cfg(feature = "stacks")]
    #[must_use]
    #[track_caller]
    pub fn snapshot_with_stacks(&self) -> Snapshot {
        Taken::of(self.seen_now()).in_full()
    }
}
