//! The routine that is running on this thread. A thread's own routine stays current until it ends; others
//! may be current only for a while.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use super::kind::RoutineKind;
use super::quitter::RoutineQuitter;
use super::record::Record;
use crate::system;
use crate::tree::Excluded;

thread_local! {
    static CURRENT: RefCell<Option<RoutineQuitter>> = const { RefCell::new(None) };
}

pub(crate) fn get() -> Option<RoutineQuitter> {
    let current = CURRENT.try_with(|current| current.borrow().clone());
    current.ok().flatten()
}

/// Makes this routine the current one. Returns the previous one. A thread that is dropping its
/// thread-locals, which may include a task, has no current routine: then `routine` itself is returned.
fn exchange(mut routine: Option<RoutineQuitter>) -> Option<RoutineQuitter> {
    let _ = CURRENT.try_with(|current| std::mem::swap(&mut *current.borrow_mut(), &mut routine));
    routine
}

#[cfg_attr(
    not(feature = "stacks"),
    expect(unused_variables, reason = "marks nothing")
)]
fn mark_stack(record: &Record, address: usize) {
    #[cfg(feature = "stacks")]
    record.set_stack_mark(address.try_into().unwrap_or(0));
}

/// Makes a routine the current one of this thread until this is dropped.
pub(crate) struct Current {
    outer: Option<RoutineQuitter>,
    /// The thread that the outer routine has handed over.
    lent_thread: Option<u64>,
    /// The record that names this thread. `None`: another thread runs the routine.
    record: Option<Arc<Record>>,
    /// The thread that the routine's record named before: the routine may be current on several threads.
    before: u64,
}

impl Current {
    pub(crate) fn enter(quitter: &RoutineQuitter) -> Self {
        let record = Arc::clone(quitter.record());
        let thread = system::thread_id();
        let before = record.set_os_id(thread);
        let outer = exchange(Some(quitter.clone()));
        let outer_record = outer.as_ref().map(RoutineQuitter::record);
        // A task keeps its thread, which it blocks. A routine that this thread stands in for has a thread
        // of its own.
        let has_this_thread =
            |outer: &&Arc<Record>| outer.os_id() == thread && outer.kind() != RoutineKind::Task;
        let lender = outer_record.filter(has_this_thread);
        let lent_thread = lender.map(|outer| outer.lend_thread());
        Self {
            outer,
            lent_thread,
            record: Some(record),
            before,
        }
    }

    /// Records the position of `self` on the stack: the routine's own calls are above it, and the calls
    /// that lead to the routine are below. To be called where `self` is not moved any more.
    pub(crate) fn mark_stack(&self) {
        if let Some(record) = &self.record {
            mark_stack(record, std::ptr::from_ref(self).addr());
        }
    }

    /// Makes a routine the current one on this thread, while it waits on another for the work done here.
    pub(crate) fn stand_in(routine: RoutineQuitter) -> Self {
        Self {
            outer: exchange(Some(routine)),
            lent_thread: None,
            record: None,
            before: 0,
        }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        if let Some(record) = &self.record {
            record.set_os_id(self.before);
        }
        if let (Some(outer), Some(before)) = (&self.outer, self.lent_thread.take()) {
            outer.record().reclaim_thread(before);
        }
        // Dropped only now, after the borrow: this may drop the last handle of a quitter.
        let _inner = exchange(self.outer.take());
    }
}

/// Like [`Current`], but borrows the routine instead of cloning it: tasks are polled often, and a clone
/// writes to reference counts that the polling threads share.
pub(crate) struct Lent<'a> {
    lender: &'a mut Option<RoutineQuitter>,
    outer: Option<RoutineQuitter>,
    before: u64,
    /// The record of the lent routine. A clone, and so present only where it is needed.
    #[cfg(feature = "stacks")]
    record: Option<Arc<Record>>,
}

impl<'a> Lent<'a> {
    pub(crate) fn new(lender: &'a mut Option<RoutineQuitter>) -> Self {
        let mut before = 0;
        if let Some(routine) = lender {
            before = routine.record().set_os_id(system::thread_id());
        }
        #[cfg(feature = "stacks")]
        let record = lender.as_ref().map(|routine| Arc::clone(routine.record()));
        let outer = exchange(lender.take());
        Self {
            lender,
            outer,
            before,
            #[cfg(feature = "stacks")]
            record,
        }
    }

    /// Like [`Current::mark_stack`].
    pub(crate) fn mark_stack(&self) {
        #[cfg(feature = "stacks")]
        if let Some(record) = &self.record {
            mark_stack(record, std::ptr::from_ref(self).addr());
        }
    }

    /// The record of the routine that is lent. Only reports with stacks need it.
    pub(crate) fn record(&self) -> Option<&Record> {
        #[cfg(feature = "stacks")]
        return self.record.as_deref();
        #[cfg(not(feature = "stacks"))]
        None
    }

    /// The routine, while it is lent.
    pub(crate) fn routine(&self) -> Option<RoutineQuitter> {
        // On a thread that no longer has a current routine, `exchange` returned the lent one.
        get().or_else(|| self.outer.clone())
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.lender = exchange(self.outer.take());
        if let Some(routine) = &self.lender {
            routine.record().set_os_id(self.before);
        }
    }
}

/// The current routine, to be left out of its own wait.
pub(crate) fn excluded() -> Option<Excluded> {
    let current = get()?;
    Some(Excluded {
        id: current.record().id,
        node: Arc::clone(current.node()),
    })
}

/// The number of the current routine.
pub(crate) fn id() -> Option<u64> {
    let id = |current: &RefCell<Option<RoutineQuitter>>| {
        current.borrow().as_ref().map(RoutineQuitter::id)
    };
    CURRENT.try_with(id).ok().flatten()
}

/// Whether the current routine's deadline has passed. A wait that then times out was cut short, and the routine
/// is about to return. Before, the routine goes on with work of its own.
pub(crate) fn is_late() -> bool {
    let deadline = get().and_then(|current| current.node().deadline());
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

/// Calls `wait` with the current routine, if any. Until `wait` returns, the routine is marked as waiting
/// for others. After a timeout by its deadline the mark stays, since the routine is about to return.
pub(crate) fn waiting_routine<E>(
    wait: impl FnOnce(Option<Excluded>) -> Result<(), E>,
) -> Result<(), E> {
    let Some(current) = get() else {
        return wait(None);
    };
    current.record().begin_wait();
    let result = wait(excluded());
    current.record().end_wait(result.is_err() && is_late());
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quitter::Quitter;

    #[test]
    fn a_thread_that_stands_in_for_a_routine_does_not_hand_that_ones_thread_over() {
        const ELSEWHERE: u64 = u64::MAX - 1;
        let root = Quitter::root("root");
        let [waits, job] = ["waits", "job"].map(|name| root.guard(name).unwrap());
        waits.record().set_os_id(ELSEWHERE);
        let _stands_in = Current::stand_in((*waits).clone());
        let _runs = Current::enter(&job);
        let record = waits.record();
        assert_eq!((record.os_id(), record.is_waiting()), (ELSEWHERE, false));
    }
}
