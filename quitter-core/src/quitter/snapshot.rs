//! Snapshots of a quitter and everything below it.

use super::Quitter;
use crate::report::snapshot::{Snapshot, Taken};
use crate::routine::quitter::RoutineQuitter;

impl Quitter {
    /// Lists everything live at this quitter and below it: the quitters that are not empty, their routines
    /// with what each [stands on](crate::StuckRoutine::stands), and the failures so far. May be called at
    /// any time, even while quitting.
    ///
    /// The program runs on meanwhile; [`Snapshot`] says what that means for the list. Memory and time are
    /// linear in the length of the list, and a quitter's own lists are locked no longer than it takes to
    /// copy them.
    ///
    /// On Linux, the snapshot says what the first thousand routines that run on threads stand on. This
    /// takes about 10 µs for each of them, a few milliseconds more to find the address if one waits on a
    /// socket, and 50 ms at most. Child processes follow, for up to 20 ms more. There is no pause to
    /// measure how much a thread runs: see [`Stands::MOMENT`](crate::Stands::MOMENT). The calling thread is
    /// not examined. If it runs a routine, the routine stands on this very call.
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

    /// Takes a [snapshot](Self::snapshot) that also shows the call stack of each thread. This takes up to a
    /// second, and usually far less.
    ///
    /// It is as thorough as an exit report: it says what the first thousand threads stand on, measures over
    /// [`Stands::MOMENT`](crate::Stands::MOMENT) how much they run, and has the
    /// [stacks](crate::StuckRoutine::stacks) of the first 64 of them, those with different names first. The
    /// [`Display`](std::fmt::Display) form shows the stacks below the routines, each once, and says at the
    /// end how many threads have no stack, and why.
    ///
    /// Each of these threads is interrupted by a signal, as the guide's page on diagnosis describes, and
    /// copies its own stack, which takes a few microseconds. A thread that blocks the signal is left alone.
    ///
    /// Any thread may call this, and it blocks meanwhile: in async code, call it where blocking is allowed.
    /// The calling thread is not interrupted: if it runs a routine, the routine is listed without a stack.
    /// Concurrent calls take turns with each other, and with the stacks of an exit report or a dump. A call
    /// whose turn does not come within the second returns without stacks, and its text says so.
    ///
    /// Stacks exist on Linux on x86-64 and aarch64. Elsewhere, the snapshot is just as thorough, but has
    /// none.
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
    /// Lists everything live at the routine's quitter and below it, this routine included, like
    /// [`Quitter::snapshot`].
    #[must_use]
    #[track_caller]
    pub fn snapshot(&self) -> Snapshot {
        Taken::of(self.record_call()).at_a_glance()
    }

    /// Lists everything live at the routine's quitter and below it, with stacks, like
    /// [`Quitter::snapshot_with_stacks`]. This routine is included, without a stack.
    #[cfg(feature = "stacks")]
    #[must_use]
    #[track_caller]
    pub fn snapshot_with_stacks(&self) -> Snapshot {
        Taken::of(self.record_timed_call()).in_full()
    }
}
