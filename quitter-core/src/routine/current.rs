//! The routine that is running on this thread. A thread's routine stays current to its end; others
//! may be current for a while only.

use std::cell::RefCell;
use std::sync::Arc;

use super::failing::CauseOf;
use super::quitter::RoutineQuitter;

thread_local! {
    static CURRENT: RefCell<Option<Routine>> = const { RefCell::new(None) };
}

/// A routine, and the cause of a quit that its failure asks for.
pub(crate) type Routine = (RoutineQuitter, CauseOf);

/// The routine that is running on this thread, if any.
pub(crate) fn get() -> Option<Routine> {
    let current = CURRENT.try_with(|current| current.borrow().clone());
    current.ok().flatten()
}

/// Makes a routine the current one of this thread until this is dropped.
pub(crate) struct Current {
    outer: Option<Routine>,
}

impl Current {
    pub(crate) fn enter(quitter: &RoutineQuitter, cause_of: CauseOf) -> Self {
        let outer = CURRENT.replace(Some((quitter.clone(), cause_of)));
        Self { outer }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        // Dropped only here, after the borrow: the last handle of a quitter may go with it.
        let _inner = CURRENT.replace(self.outer.take());
    }
}

/// Calls `wait` with the id of the current routine, if any. Until `wait` returns,
/// the routine is marked as waiting for others. After a timeout the mark stays: such a routine is
/// about to return.
pub(crate) fn waiting_routine<E>(wait: impl FnOnce(Option<u64>) -> Result<(), E>) -> Result<(), E> {
    let record = |(quitter, _): &Routine| Arc::clone(quitter.record());
    let current = CURRENT.try_with(|current| current.borrow().as_ref().map(record));
    let Ok(Some(record)) = current else {
        return wait(None);
    };
    record.set_waiting(true);
    wait(Some(record.id))?;
    record.set_waiting(false);
    Ok(())
}
