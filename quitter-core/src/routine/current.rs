//! The routine that runs on this thread.

use std::cell::RefCell;
use std::sync::Arc;

use super::quitter::RoutineQuitter;
use crate::tree::Excluded;

thread_local! {
    /// The routine that runs on this thread.
    static CURRENT: RefCell<Option<RoutineQuitter>> = const { RefCell::new(None) };
}

/// The routine that runs on this thread, if any.
pub(crate) fn get() -> Option<RoutineQuitter> {
    let current = CURRENT.try_with(|current| current.borrow().clone());
    current.ok().flatten()
}

/// Makes a routine the current one until it is dropped.
pub(crate) struct Current {
    outer: Option<RoutineQuitter>,
}

impl Current {
    pub(crate) fn enter(quitter: &RoutineQuitter) -> Self {
        let outer = CURRENT.replace(Some(quitter.clone()));
        Self { outer }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        // Dropped after the borrow: the last handle of a quitter may go with it.
        let _inner = CURRENT.replace(self.outer.take());
    }
}

/// Calls `wait` with the id of the routine that runs on this thread, if any, while that routine is
/// marked as waiting for others. After a timeout the mark stays: such a routine is about to return.
pub(crate) fn waiting_routine<E>(
    wait: impl FnOnce(Option<Excluded>) -> Result<(), E>,
) -> Result<(), E> {
    let Some(current) = get() else {
        return wait(None);
    };
    let record = current.record();
    let excluded = Excluded {
        id: record.id,
        node: Arc::clone(current.node()),
    };
    record.set_waiting(true);
    wait(Some(excluded))?;
    record.set_waiting(false);
    Ok(())
}
