//! The memory of the last guard's record that this thread let go, for its next routine. So most guards
//! take none from the heap.

use std::cell::Cell;
use std::sync::Arc;

use super::record::Record;

thread_local! {
    static SPARE: Cell<Option<Arc<Record>>> = const { Cell::new(None) };
}

/// Keeps the memory of a record that has left its list. Whoever still holds the record keeps it from
/// being used again.
#[inline]
pub(super) fn keep(left: Option<Arc<Record>>) {
    // That of a task may have a waker, which is the executor's memory.
    let left = left.filter(|record| record.is_guard());
    // A thread that drops its thread-local values keeps none.
    let _ = SPARE.try_with(|spare| spare.replace(left));
}

/// Puts a record where the last one was, if nobody holds that any more, or else elsewhere.
#[inline]
pub(super) fn fill(record: Record) -> Arc<Record> {
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    if let Some(mut spare) = spare
        && let Some(place) = Arc::get_mut(&mut spare)
    {
        *place = record;
        return spare;
    }
    Arc::new(record)
}
