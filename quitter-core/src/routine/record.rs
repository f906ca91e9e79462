//! The record of one live routine, whatever the kind of work.

use std::borrow::Cow;
use std::cell::Cell;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, TryLockError};
use std::thread;
use std::time::Duration;

use crossbeam_utils::atomic::AtomicCell;
use once_cell::race::OnceBox;

use super::kind::{RoutineKind, RoutineState, Work};
use super::polls::Polls;
use crate::report::failure::OnFailure;
use crate::system;
use crate::tree::{Item, Slot};

/// A place in a program's source.
pub(crate) type Place = &'static Location<'static>;

/// Returns a number for a quitter or routine, unique in the process, and ascending among those that one
/// thread creates. A thread takes numbers in batches, so that threads do not contend for the counter.
#[inline]
pub(crate) fn next_id() -> u64 {
    const AT_ONCE: u64 = 64;
    static NEXT: AtomicU64 = AtomicU64::new(AT_ONCE);
    thread_local! {
        static OWN: Cell<u64> = const { Cell::new(0) };
    }
    let id = match OWN.get() {
        used if used % AT_ONCE == 0 => NEXT.fetch_add(AT_ONCE, Ordering::Relaxed),
        next => next,
    };
    OWN.set(id + 1);
    id
}

/// One routine. The tree lists the record from check-in to check-out; the routine's quitters write to it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) name: Cow<'static, str>,
    pub(crate) spawned_at: Place,
    work: Work,
    /// The system's number of the thread that runs this right now, or of the process that it is; 0:
    /// none.
    os_id: AtomicU64,
    /// An address on the stack of that thread, in the call that runs the routine.
    #[cfg(feature = "stacks")]
    stack_mark: AtomicU64,
    pub(crate) polls: Polls,
    slot: Slot,
    /// When it started, in nanoseconds of the system's clock.
    started: u64,
    /// When it ended, in the same unit, if it was marked as slow; else [`NOT_SLOW`] or [`SLOW`].
    ended: AtomicU64,
    /// Where the routine last called its quitter.
    place: AtomicCell<Option<Place>>,
    /// When that was, in the same unit. Only blocking calls store it, since a routine polls in its hottest
    /// loop; otherwise [`UNTIMED`].
    timed: AtomicU64,
    /// An `RwLock`, since reports read this concurrently: one that is preempted must not block the others.
    status: OnceBox<RwLock<Cow<'static, str>>>,
    /// The routine's own policy. `None`: that of its quitters.
    pub(crate) on_failure: Option<OnFailure>,
    finished: AtomicBool,
    failed: AtomicBool,
    /// The routine is a task that was dropped before its end.
    cancelled: AtomicBool,
    /// How many waits for others are pending: an async routine may have several.
    waits: AtomicU16,
    /// The routine's deadline ended its last wait.
    cut_short: AtomicBool,
}

/// The value of `os_id` until a thread or a process runs the routine.
const NOT_STARTED: u64 = u64::MAX;

/// The values of `ended` while the routine has not ended.
const NOT_SLOW: u64 = 0;
const SLOW: u64 = 1;

/// Stands for the time of a call that does not store it.
const UNTIMED: u64 = u64::MAX;

/// A time of the system's clock in nanoseconds, whose 64 bits last for centuries.
#[inline]
fn nanos(time: Duration) -> u64 {
    let seconds = time.as_secs().wrapping_mul(1_000_000_000);
    seconds.wrapping_add(time.subsec_nanos().into())
}

impl Item for Record {
    fn slot(&self) -> &Slot {
        &self.slot
    }
}

impl Record {
    #[inline]
    pub(crate) fn new(
        work: Work,
        name: Cow<'static, str>,
        spawned_at: Place,
        on_failure: Option<OnFailure>,
        started: Duration,
    ) -> Self {
        Self {
            id: next_id(),
            name,
            spawned_at,
            work,
            os_id: AtomicU64::new(NOT_STARTED),
            #[cfg(feature = "stacks")]
            stack_mark: AtomicU64::new(0),
            polls: Default::default(),
            slot: Slot::default(),
            started: nanos(started),
            ended: AtomicU64::new(NOT_SLOW),
            place: AtomicCell::new(None),
            timed: AtomicU64::new(UNTIMED),
            status: OnceBox::new(),
            on_failure,
            finished: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            waits: AtomicU16::new(0),
            cut_short: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
        }
    }

    /// The kind of routine, with its numbers at this moment.
    pub(crate) fn kind(&self) -> RoutineKind {
        self.work.kind(self.os_id())
    }

    /// Whether this is the body of `main`.
    pub(crate) fn is_body(&self) -> bool {
        self.work.is_body()
    }

    /// Whether this is a guard or a task that owns no memory besides its record.
    pub(super) fn is_plain(&self) -> bool {
        let has_own_text = matches!(self.name, Cow::Owned(_)) || self.status.get().is_some();
        matches!(self.work, Work::Guard | Work::Task) && !has_own_text && self.polls.is_empty()
    }

    /// The system's number of the thread that runs this right now, or of the process that it is; 0:
    /// none.
    pub(crate) fn os_id(&self) -> u64 {
        match self.os_id.load(Ordering::Relaxed) {
            NOT_STARTED => 0,
            id => id,
        }
    }

    /// Returns the number that was there before.
    pub(crate) fn set_os_id(&self, id: u64) -> u64 {
        let before = self.os_id();
        self.os_id.store(id, Ordering::Relaxed);
        before
    }

    /// Hands the thread over to another routine, which runs on it while this routine waits. Otherwise
    /// reports would show both routines in the same call, and take that for a lock that both want. Returns
    /// the number of the thread.
    pub(super) fn lend_thread(&self) -> u64 {
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.set_os_id(0)
    }

    /// Takes the thread back from the other routine, which has ended.
    pub(super) fn reclaim_thread(&self, thread: u64) {
        self.set_os_id(thread);
        self.waits.fetch_sub(1, Ordering::Relaxed);
    }

    /// An address on the stack of the thread, in the call that runs the routine; 0: none.
    #[cfg(feature = "stacks")]
    pub(crate) fn stack_mark(&self) -> u64 {
        self.stack_mark.load(Ordering::Relaxed)
    }

    #[cfg(feature = "stacks")]
    pub(crate) fn set_stack_mark(&self, address: u64) {
        self.stack_mark.store(address, Ordering::Relaxed);
    }

    /// Records where the routine called its quitter.
    #[inline]
    pub(crate) fn record_call(&self, place: Place) {
        // Stored before the place, so that the place is not read together with the time of another.
        self.timed.store(UNTIMED, Ordering::Relaxed);
        self.place.store(Some(place));
    }

    /// Records where and when the routine called its quitter.
    pub(crate) fn record_timed_call(&self, place: Place) {
        self.record_call(place);
        self.timed.store(nanos(system::now()), Ordering::Release);
    }

    /// Records where and when the routine makes a blocking call, and when that returns.
    pub(crate) fn record_blocking_call<T>(&self, place: Place, call: impl FnOnce() -> T) -> T {
        self.record_timed_call(place);
        let result = call();
        self.record_timed_call(place);
        result
    }

    /// Where the routine last called its quitter, and how long ago, if known.
    pub(crate) fn last_seen(&self) -> Option<(Place, Option<Duration>)> {
        let place = self.place.load()?;
        let timed = Some(self.timed.load(Ordering::Acquire)).filter(|timed| *timed != UNTIMED);
        // If another call has stored its place meanwhile, the time may be that call's.
        let timed = timed.filter(|_| self.place.load() == Some(place));
        let ago = timed.map(|then| system::now().saturating_sub(Duration::from_nanos(then)));
        Some((place, ago))
    }

    /// How long the routine has been running, or ran, if it is known when it ended.
    pub(crate) fn running_for(&self) -> Duration {
        let since = system::now().saturating_sub(Duration::from_nanos(self.started));
        since.saturating_sub(self.ended_ago().unwrap_or_default())
    }

    /// The last status that the routine set. Also `None` if the routine was preempted while setting one: a
    /// report does not wait for a lock that a routine holds (rule 12).
    pub(crate) fn status(&self) -> Option<String> {
        const TIMES: usize = 20;
        let status = self.status.get()?;
        for _ in 0..TIMES {
            match status.try_read() {
                Ok(status) => return Some(status.clone().into_owned()),
                Err(TryLockError::Poisoned(status)) => {
                    return Some(status.into_inner().clone().into_owned());
                }
                Err(TryLockError::WouldBlock) => thread::yield_now(),
            }
        }
        None
    }

    /// The last status that the routine set itself: the status of a process is its command line.
    pub(crate) fn own_status(&self) -> Option<String> {
        let is_process = matches!(self.kind(), RoutineKind::Process { .. });
        (!is_process).then(|| self.status()).flatten()
    }

    pub(crate) fn set_status(&self, text: Cow<'static, str>) {
        let mut text = Some(text);
        let first = || Box::new(RwLock::new(text.take().unwrap_or_default()));
        let status = self.status.get_or_init(first);
        if let Some(text) = text {
            *status.write().unwrap_or_else(PoisonError::into_inner) = text;
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Called by the tree, under the lock of the list that the record leaves.
    pub(crate) fn finish(&self) {
        if self.ended.load(Ordering::Relaxed) == SLOW {
            self.ended.store(nanos(system::now()), Ordering::Relaxed);
        }
        self.finished.store(true, Ordering::Release);
    }

    /// Makes the record store the time when the routine ends.
    pub(crate) fn mark_as_slow(&self) {
        self.ended.store(SLOW, Ordering::Relaxed);
    }

    pub(crate) fn is_marked_as_slow(&self) -> bool {
        self.ended.load(Ordering::Relaxed) != NOT_SLOW
    }

    /// How long ago the routine ended. `None`: it has not ended, or had ended before it was marked.
    pub(crate) fn ended_ago(&self) -> Option<Duration> {
        match self.ended.load(Ordering::Relaxed) {
            NOT_SLOW | SLOW => None,
            at => Some(system::now().saturating_sub(Duration::from_nanos(at))),
        }
    }

    /// Returns whether the routine had already failed.
    pub(crate) fn set_failed(&self) -> bool {
        self.failed.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub(crate) fn set_cancelled(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Whether the routine waits for others, or its deadline has ended its last wait.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waits.load(Ordering::Acquire) > 0 || self.cut_short.load(Ordering::Acquire)
    }

    pub(crate) fn begin_wait(&self) {
        self.waits.fetch_add(1, Ordering::Release);
        self.cut_short.store(false, Ordering::Release);
    }

    /// Ends a wait. `cut_short`: the routine's deadline ended it, so the routine is about to return.
    pub(crate) fn end_wait(&self, cut_short: bool) {
        if cut_short {
            self.cut_short.store(true, Ordering::Relaxed);
        }
        self.waits.fetch_sub(1, Ordering::Release);
    }

    pub(crate) fn state(&self) -> RoutineState {
        if self.failed.load(Ordering::Acquire) {
            RoutineState::Failed
        } else if self.waits.load(Ordering::Relaxed) > 0 {
            RoutineState::Waiting
        } else if self.work == Work::Thread && self.os_id.load(Ordering::Relaxed) == NOT_STARTED {
            RoutineState::Starting
        } else {
            RoutineState::Running
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_stored_with_one_instruction() {
        assert!(AtomicCell::<Option<Place>>::is_lock_free());
    }

    fn record() -> Record {
        Record::new(
            Work::Guard,
            "routine".into(),
            Location::caller(),
            None,
            system::now(),
        )
    }

    #[test]
    fn a_status_is_read_while_another_report_reads_it() {
        let record = record();
        record.set_status("flushing 3/10".into());
        let _other = record.status.get().unwrap().read().unwrap();
        assert_eq!(record.status().as_deref(), Some("flushing 3/10"));
    }

    #[test]
    fn a_call_that_blocks_was_last_seen_when_it_returned() {
        let record = record();
        let here = Location::caller();
        let within = record.record_blocking_call(here, || {
            let begun = system::now();
            while system::now() == begun {}
            nanos(system::now())
        });
        assert!(record.timed.load(Ordering::Relaxed) >= within);
        assert!(record.last_seen().is_some_and(|(_, ago)| ago.is_some()));
    }

    /// With the two counts of an `Arc`, a record takes 120 bytes. Many allocators free larger blocks under
    /// a lock, on which threads that end many routines would contend.
    #[test]
    #[cfg(all(target_pointer_width = "64", not(feature = "stacks")))]
    fn a_record_is_small() {
        assert_eq!(size_of::<Record>(), 104);
    }

    #[test]
    fn a_time_belongs_to_its_own_place_only() {
        let record = record();
        assert!(record.last_seen().is_none());
        let (here, there) = (Location::caller(), Location::caller());
        record.record_timed_call(here);
        assert!(
            record
                .last_seen()
                .is_some_and(|(at, ago)| at == here && ago.is_some())
        );
        record.record_call(there);
        assert!(
            record
                .last_seen()
                .is_some_and(|(at, ago)| at == there && ago.is_none())
        );
    }
}
