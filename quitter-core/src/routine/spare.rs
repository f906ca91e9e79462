//! Keeps the memory of the last record that this thread dropped, for its next routine. So most guards do
//! not allocate, nor do tasks that are spawned on a thread where others have ended.

use std::cell::Cell;
use std::sync::Arc;

use super::record::Record;

thread_local! {
    static SPARE: Cell<Option<Arc<Record>>> = const { Cell::new(None) };
}

/// Keeps the memory of a record that has left its list. The memory is not reused while the record is still
/// held elsewhere.
#[inline]
pub(super) fn keep(left: Option<Arc<Record>>) {
    // Other records own more memory: the text of a status, which may be long, or an executor's waker.
    if let Some(left) = left.filter(|record| record.is_plain()) {
        // A thread that is dropping its thread-locals keeps no record.
        let _ = SPARE.try_with(|spare| spare.replace(Some(left)));
    }
}

/// Creates a record in the memory of the last one, if that is not held any more, or else in new memory.
#[inline]
pub(super) fn fill(record: impl FnOnce() -> Record) -> Arc<Record> {
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    if let Some(mut spare) = spare
        && let Some(place) = Arc::get_mut(&mut spare)
    {
        *place = record();
        return spare;
    }
    Arc::new(record())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::panic::Location;

    use super::*;
    use crate::routine::kind::Work;
    use crate::system;

    fn record(work: Work, name: impl Into<Cow<'static, str>>) -> Arc<Record> {
        let now = system::now();
        let place = Location::caller();
        fill(|| Record::new(work, name.into(), place, None, now))
    }

    #[test]
    fn a_record_takes_the_place_of_a_guard_or_task_that_nobody_holds() {
        for work in [Work::Guard, Work::Task] {
            let first = record(work, "first");
            let place = Arc::as_ptr(&first);
            let is_kept = Arc::downgrade(&first);
            keep(Some(first));
            // The allocator, too, could give the same place again.
            assert!(is_kept.upgrade().is_some());
            drop(is_kept);
            let second = record(work, "second");
            assert_eq!(Arc::as_ptr(&second), place);
            assert_eq!(second.name, "second");
            let held = Arc::clone(&second);
            keep(Some(second));
            assert_ne!(Arc::as_ptr(&record(work, "third")), Arc::as_ptr(&held));
        }
    }

    #[test]
    fn no_text_of_the_programs_is_kept() {
        let named = record(Work::Task, "its own name".to_owned());
        let with_status = record(Work::Guard, "guard");
        with_status.set_status("flushing 3/10".into());
        for record in [named, with_status] {
            let left = Arc::downgrade(&record);
            keep(Some(record));
            assert!(left.upgrade().is_none());
        }
    }
}
