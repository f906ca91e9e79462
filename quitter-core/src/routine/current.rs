//! The routine that is running on this thread. A thread's routine stays current to its end; others
//! may be current for a while only.

use std::cell::RefCell;
use std::sync::Arc;

use super::kind::RoutineKind;
use super::quitter::RoutineQuitter;
use super::record::{HandedOver, Record, Waiting};
use crate::system;
use crate::tree::Excluded;

thread_local! {
    static CURRENT: RefCell<Option<RoutineQuitter>> = const { RefCell::new(None) };
}

/// The routine that is running on this thread, if any.
pub(crate) fn get() -> Option<RoutineQuitter> {
    let current = CURRENT.try_with(|current| current.borrow().clone());
    current.ok().flatten()
}

/// Makes this routine the current one. Returns the one that was. A thread that is dropping its
/// thread-local values, of which a task may be one, has none: then this is returned.
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
    /// How the outer one was before it handed its thread over.
    handed_over: Option<HandedOver>,
    /// The record that names this thread. `None`: another thread runs the routine.
    record: Option<Arc<Record>>,
    /// The thread that the routine's record named before: it may be current on several threads.
    before: u64,
}

impl Current {
    pub(crate) fn enter(quitter: &RoutineQuitter) -> Self {
        let record = Arc::clone(quitter.record());
        let thread = system::thread_id();
        let before = record.set_os_id(thread);
        let outer = exchange(Some(quitter.clone()));
        let outer_record = outer.as_ref().map(RoutineQuitter::record);
        // A task stays on its thread, which it holds up. One that a thread stands in for has its own.
        let has_this_thread =
            |outer: &&Arc<Record>| outer.os_id() == thread && outer.kind() != RoutineKind::Task;
        let handing_over = outer_record.filter(has_this_thread);
        let handed_over = handing_over.map(|outer| outer.hand_over());
        Self {
            outer,
            handed_over,
            record: Some(record),
            before,
        }
    }

    /// Notes where this is on the stack: the routine's own calls are above it, and those that lead to it
    /// below. To be called where this stays until it is dropped.
    pub(crate) fn mark_stack(&self) {
        if let Some(record) = &self.record {
            mark_stack(record, std::ptr::from_ref(self).addr());
        }
    }

    /// Makes a routine the current one that waits for what this thread does.
    pub(crate) fn stand_in(routine: RoutineQuitter) -> Self {
        Self {
            outer: exchange(Some(routine)),
            handed_over: None,
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
        if let (Some(outer), Some(before)) = (&self.outer, self.handed_over.take()) {
            outer.record().take_back(before);
        }
        // Dropped only here, after the borrow: the last handle of a quitter may go with it.
        let _inner = exchange(self.outer.take());
    }
}

/// Makes a routine the current one of this thread until this is dropped, as [`Current`] does, but lends
/// it: tasks are polled often, and to clone a routine is to write to counts that their threads share.
pub(crate) struct Lent<'a> {
    lender: &'a mut Option<RoutineQuitter>,
    outer: Option<RoutineQuitter>,
    before: u64,
    /// The lent routine's: a clone, and so only where it is asked for.
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

    /// As [`Current::mark_stack`].
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
        // A thread that has no current routine any more has given it back.
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

/// The current routine, to be left out of a wait of its own.
pub(crate) fn excluded() -> Option<Excluded> {
    let current = get()?;
    Some(Excluded {
        id: current.record().id,
        node: Arc::clone(current.node()),
    })
}

/// Calls `wait` with the current routine, if any. Until `wait` returns,
/// the routine is marked as waiting for others. After a timeout the mark stays: such a routine is
/// about to return.
pub(crate) fn waiting_routine<E>(
    wait: impl FnOnce(Option<Excluded>) -> Result<(), E>,
) -> Result<(), E> {
    let Some(current) = get() else {
        return wait(None);
    };
    current.record().set_waiting(Waiting::Now);
    let result = wait(excluded());
    current.record().set_waiting(match result {
        Ok(()) => Waiting::No,
        Err(_) => Waiting::TimedOut,
    });
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quitter::Quitter;

    #[test]
    fn a_thread_that_stands_in_for_a_routine_does_not_hand_that_ones_thread_over() {
        const ELSEWHERE: u64 = u64::MAX;
        let root = Quitter::root("root");
        let [waits, job] = ["waits", "job"].map(|name| root.guard(name).unwrap());
        waits.record().set_os_id(ELSEWHERE);
        let _stands_in = Current::stand_in((*waits).clone());
        let _runs = Current::enter(&job);
        let record = waits.record();
        assert_eq!((record.os_id(), record.is_waiting()), (ELSEWHERE, false));
    }
}
