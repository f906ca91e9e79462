//! What lives at a quitter and below it.

use super::Quitter;
use crate::report::snapshot::Snapshot;
use crate::routine::quitter::RoutineQuitter;

impl Quitter {
    /// Lists what lives at this quitter and below it: quitters that have something in them, their
    /// routines, and the failures so far. At any time, also while quitting.
    ///
    /// The program goes on meanwhile; [`Snapshot`] says what that means for what is listed. Memory and
    /// time are linear in what is listed, and at the lists of one quitter nobody waits for longer
    /// than it takes to copy them.
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
        Snapshot::of(self.node())
    }
}

impl RoutineQuitter {
    /// Lists what lives at the routine's quitter and below it, this routine included, like
    /// [`Quitter::snapshot`].
    #[must_use]
    #[track_caller]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.seen())
    }
}
