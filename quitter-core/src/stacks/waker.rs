//! A waker that records the calls that keep it: whatever a task awaits clones its waker before it is pending,
//! and at that moment the stack is the chain of awaits.
//!
//! The safe way to make a waker, [`Wake`](std::task::Wake), cannot do that: std's own code clones it. So this
//! one has a table of functions of its own, which takes unsafe code. Its clones are clones of the real waker.
//! So nothing of it is left once the poll is over, and it lives on the stack.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use crate::system;

/// The maximum number of different stacks that are recorded in a poll. Each takes tens of microseconds.
const MAX_LEAVES: usize = 16;

/// The maximum number of calls that are recorded of each.
const MAX_CALLS: usize = 512;

/// One of the futures that a task awaits, by the calls that led to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Leaf {
    /// The addresses of the calls, innermost first. Empty if another thread kept the waker.
    pub(super) calls: Vec<u64>,
    pub(super) is_cut: bool,
}

/// The data of the waker.
struct Tracer<'a> {
    real: &'a Waker,
    /// The thread that polls.
    thread: u64,
    leaves: Mutex<Vec<Leaf>>,
}

// A single item, so that its address tells these wakers from others.
static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, keep);

/// Calls `poll` with a waker that stands for `real`. Also returns which calls kept the waker, or woke it at
/// once.
pub(super) fn trace<R>(real: &Waker, poll: impl FnOnce(&mut Context<'_>) -> R) -> (R, Vec<Leaf>) {
    let tracer = Tracer {
        real,
        thread: system::thread_id(),
        leaves: Mutex::default(),
    };
    // SAFETY: the functions of the table do what RawWakerVTable asks for, from any thread, as long as the
    // tracer lives: it is `Sync`. It outlives the waker, of which others only get a reference that ends with
    // the call, and clones, which do not point to the tracer.
    let waker = unsafe { Waker::new(ptr::from_ref(&tracer).cast(), &TABLE) };
    let result = poll(&mut Context::from_waker(&waker));
    drop(waker);
    let leaves = tracer.leaves.into_inner();
    (result, leaves.unwrap_or_else(PoisonError::into_inner))
}

/// A clone of the waker that `waker` stands for. It is not recorded which calls keep the clone.
pub(super) fn untraced(waker: &Waker) -> Waker {
    if ptr::eq(waker.vtable(), &raw const TABLE) {
        // SAFETY: only `trace` makes a waker with this table, and its data is the tracer, which lives
        // as long as the reference to the waker does.
        let tracer = unsafe { tracer(waker.data()) };
        return untraced(tracer.real);
    }
    waker.clone()
}

/// # Safety
///
/// `data` is that of a waker that [`trace`] has made and not yet dropped.
unsafe fn tracer<'a>(data: *const ()) -> &'a Tracer<'a> {
    // SAFETY: by the above it points to a live tracer, and nobody has a mutable reference to it before the
    // waker is dropped.
    unsafe { &*data.cast::<Tracer<'a>>() }
}

/// # Safety
///
/// That of [`tracer`].
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the caller's promise.
    let tracer = unsafe { tracer(data) };
    tracer.note();
    // The new waker owns what this clone owns.
    let real = ManuallyDrop::new(tracer.real.clone());
    RawWaker::new(real.data(), real.vtable())
}

/// # Safety
///
/// That of [`tracer`].
unsafe fn wake(data: *const ()) {
    // SAFETY: the caller's promise.
    let tracer = unsafe { tracer(data) };
    tracer.note();
    tracer.real.wake_by_ref();
}

/// Does nothing: [`trace`] drops the tracer.
unsafe fn keep(_: *const ()) {}

impl Tracer<'_> {
    #[inline(never)]
    fn note(&self) {
        let is_of_poll = system::thread_id() == self.thread;
        let leaves = || self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if leaves().len() >= MAX_LEAVES {
            return;
        }
        let here = ptr::from_ref(&is_of_poll).addr();
        let leaf = match is_of_poll {
            true => Leaf::between(here, ptr::from_ref(self).addr()),
            false => Leaf::default(),
        };
        let mut leaves = leaves();
        if !leaves.contains(&leaf) {
            leaves.push(leaf);
        }
    }
}

impl Leaf {
    /// The calls of this thread between two addresses on its stack.
    fn between(inner: usize, outer: usize) -> Self {
        let mut leaf = Self::default();
        let note = |frame: &backtrace::Frame| {
            let (at, sp) = (frame.ip().addr(), frame.sp().addr());
            let is_outside = sp > outer;
            leaf.is_cut = !is_outside && leaf.calls.len() == MAX_CALLS;
            if is_outside || leaf.is_cut {
                return false;
            }
            // The stack pointer is unknown under Miri.
            if sp > inner || sp == 0 {
                // The call is before its return address.
                leaf.calls.push(at.saturating_sub(1) as u64);
            }
            true
        };
        // SAFETY: the lock that this function does without is for systems whose unwinder cannot be used by
        // two threads at once. That of Linux can: all panics use it.
        unsafe { backtrace::trace_unsynchronized(note) };
        leaf
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn those_who_keep_the_waker_keep_the_real_one_and_are_noted() {
        let wakes = Arc::new(Wakes::default());
        let real = Waker::from(Arc::clone(&wakes));
        let (kept, leaves) = trace(&real, |cx| {
            assert!(
                !cx.waker().will_wake(&real),
                "so that a kept one is replaced"
            );
            let clone = cx.waker().clone();
            assert_eq!(clone.data(), real.data());
            vec![clone, cx.waker().clone()]
        });
        assert_eq!(leaves.len(), 2, "{leaves:?}");
        assert!(
            leaves
                .iter()
                .all(|leaf| !leaf.calls.is_empty() && !leaf.is_cut)
        );
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
        kept.into_iter().for_each(Waker::wake);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 2);
        drop(real);
        assert_eq!(Arc::strong_count(&wakes), 1, "nothing is left");
    }

    #[test]
    fn a_wake_during_the_poll_arrives_and_is_noted() {
        let wakes = Arc::new(Wakes::default());
        let real = Waker::from(Arc::clone(&wakes));
        let ((), leaves) = trace(&real, |cx| cx.waker().wake_by_ref());
        assert_eq!((leaves.len(), wakes.0.load(Ordering::SeqCst)), (1, 1));
        let ((), leaves) = trace(&real, |_| ());
        assert!(leaves.is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "there every call is at a place of its own")]
    fn the_same_place_counts_once_and_very_many_are_not_all_noted() {
        fn keep_some(cx: &Context<'_>, depth: usize) {
            // Hidden from the compiler, which would write the loop out as three places.
            let times = std::hint::black_box(3);
            (0..times).for_each(|_| drop(cx.waker().clone()));
            if depth > 0 {
                keep_some(cx, depth - 1);
                std::hint::black_box(());
            }
        }
        let noted = |depth| trace(Waker::noop(), |cx| keep_some(cx, depth)).1.len();
        assert_eq!(noted(0), 1);
        assert_eq!(noted(3), 4);
        assert_eq!(noted(100), MAX_LEAVES);
    }

    #[test]
    fn other_threads_may_use_the_waker_during_the_poll() {
        let wakes = Arc::new(Wakes::default());
        let real = Waker::from(Arc::clone(&wakes));
        let (kept, leaves) = trace(&real, |cx| {
            let waker = cx.waker();
            let keep = || (waker.clone(), waker.wake_by_ref()).0;
            thread::scope(|scope| {
                let threads = [scope.spawn(keep), scope.spawn(keep)];
                threads.map(|thread| thread.join().unwrap())
            })
        });
        assert_eq!(leaves, [Leaf::default()]);
        drop(kept);
        drop(real);
        assert_eq!(Arc::strong_count(&wakes), 1);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_traced_poll_in_a_traced_poll_is_noted_in_both() {
        let wakes = Arc::new(Wakes::default());
        let real = Waker::from(Arc::clone(&wakes));
        let (inner, outer) = trace(&real, |cx| {
            let (clone, leaves) =
                trace(cx.waker(), |cx| (cx.waker().clone(), untraced(cx.waker())));
            assert_eq!([clone.0.data(), clone.1.data()], [real.data(); 2]);
            leaves
        });
        assert_eq!((inner.len(), outer.len()), (1, 1));
        let calls = |leaves: &[Leaf]| leaves[0].calls.len();
        assert!(calls(&inner) < calls(&outer) || cfg!(miri));
    }

    #[test]
    fn a_future_of_the_tree_is_noted_in_each_of_several_polls() {
        let root = crate::Quitter::root("main");
        let _guard = root.guard("guard").unwrap();
        let mut quitting = root.quitting();
        let mut done = std::pin::pin!(root.done());
        for _ in 0..3 {
            let ((), leaves) = trace(Waker::noop(), |cx| {
                assert!(std::pin::pin!(&mut quitting).poll(cx).is_pending());
                assert!(done.as_mut().poll(cx).is_pending());
            });
            assert_eq!(leaves.len(), 2);
        }
    }

    #[test]
    fn a_panic_during_the_poll_leaves_nothing() {
        let wakes = Arc::new(Wakes::default());
        let real = Waker::from(Arc::clone(&wakes));
        let poll = || {
            trace(&real, |cx| -> () {
                std::panic::resume_unwind(Box::new(cx.waker().clone()))
            })
        };
        let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll));
        drop(payload);
        drop(real);
        assert_eq!(Arc::strong_count(&wakes), 1);
    }
}
