//! Futures inside other futures, pinned together with them instead of in a box. Projecting to the inner
//! future takes unsafe code.
//!
//! The field of an [`Inner`] is private to this file, and nothing in this file moves a future out of it:
//! the future is created, polled in place, and dropped in place. The types that hold an `Inner` do not
//! implement `Unpin` by hand, so they are `Unpin` only if the future is, and none has a `Drop` that could
//! move it.
#![allow(unsafe_code)]

use std::pin::Pin;

use crate::cancel::{CancelOnQuit, Quits};
use crate::routine::task::{Task, TaskRoutine};
use crate::routine::tracked::Tracked;

/// A future inside another one, until it has ended.
pub(crate) struct Inner<F>(Option<F>);

impl<F> Inner<F> {
    pub(crate) fn new(future: Option<F>) -> Self {
        Self(future)
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Drops the future in place. It is gone afterwards, even if its drop panics.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// Like [`clear`](Self::clear), for a pinned `Inner`.
    pub(crate) fn clear_pinned(self: Pin<&mut Self>) {
        self.get_pinned().set(None);
    }

    /// The future, to be polled. `None` if it has ended.
    pub(crate) fn get(self: Pin<&mut Self>) -> Option<Pin<&mut F>> {
        self.get_pinned().as_pin_mut()
    }

    fn get_pinned(self: Pin<&mut Self>) -> Pin<&mut Option<F>> {
        // SAFETY: the field is pinned together with `self`: see the top of this file.
        unsafe { self.map_unchecked_mut(|this| &mut this.0) }
    }
}

/// Projects a type with an `Inner<F>` in its field `future` to that field, pinned, and to the field beside
/// it.
macro_rules! parts {
    ($($type:ident { $beside:ident: $of:ty })*) => {$(
        impl<F> $type<F> {
            pub(crate) fn parts(self: Pin<&mut Self>) -> (Pin<&mut Inner<F>>, &mut $of) {
                // SAFETY: nothing is moved out of `this`.
                let this = unsafe { self.get_unchecked_mut() };
                // SAFETY: the field is pinned together with the value that it belongs to: see the top of
                // this file.
                let future = unsafe { Pin::new_unchecked(&mut this.future) };
                (future, &mut this.$beside)
            }
        }
    )*};
}

parts! {
    CancelOnQuit { quits: Quits }
    Task { routine: TaskRoutine }
    Tracked { routine: Option<TaskRoutine> }
}

// These run under Miri: `cargo +nightly miri test -p quitter-core --lib pinned`.
#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, poll_fn};
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};

    use crate::error::Quitting;
    use crate::quitter::Quitter;

    /// When dropped, adds what it borrows from the future that holds both to a shared count.
    struct Seen<'a>(&'a Cell<u32>, Rc<Cell<u32>>);

    impl Drop for Seen<'_> {
        fn drop(&mut self) {
            self.1.set(self.1.get() + self.0.get());
        }
    }

    /// Holds a reference to itself across an await, so it must not be moved.
    async fn refers_to_itself(seen: Rc<Cell<u32>>, rounds: u32) {
        let own = Cell::new(0);
        let borrows = Seen(&own, seen);
        for _ in 0..rounds {
            let mut is_first = true;
            poll_fn(|_| match std::mem::take(&mut is_first) {
                true => Poll::Pending,
                false => Poll::Ready(()),
            })
            .await;
            borrows.0.set(borrows.0.get() + 1);
        }
        if rounds == 0 {
            pending::<()>().await;
        }
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_task_polls_and_drops_its_future_where_it_is() {
        let root = Quitter::root("root");
        let seen = Rc::new(Cell::new(0));
        let routine = |rounds| {
            let seen = Rc::clone(&seen);
            let task = root.routine("task");
            Box::pin(task.task(|_| refers_to_itself(seen, rounds)).unwrap())
        };
        let mut ends = routine(3);
        while poll(ends.as_mut()).is_pending() {}
        assert_eq!(seen.get(), 3);
        let mut dropped = routine(5);
        for _ in 0..5 {
            assert!(poll(dropped.as_mut()).is_pending());
        }
        drop(dropped);
        assert_eq!(seen.get(), 3 + 4);
        drop(routine(1));
        assert_eq!(seen.get(), 3 + 4);
        let tracked = |rounds| {
            let future = refers_to_itself(Rc::clone(&seen), rounds);
            Box::pin(root.routine("tracked").track(future))
        };
        let mut ends = tracked(1);
        assert!(poll(ends.as_mut()).is_pending());
        assert_eq!(poll(ends.as_mut()), Poll::Ready(Some(())));
        assert_eq!(poll(ends.as_mut()), Poll::Ready(None));
        let mut dropped = tracked(9);
        for _ in 0..3 {
            assert!(poll(dropped.as_mut()).is_pending());
        }
        drop(dropped);
        assert_eq!(seen.get(), 3 + 4 + 1 + 2);
        assert!(root.wait_done(std::time::Duration::ZERO).is_ok());
    }

    #[test]
    fn a_future_that_is_cancelled_is_polled_and_dropped_where_it_is() {
        let root = Quitter::root("root");
        let seen = Rc::new(Cell::new(0));
        let future =
            |rounds| Box::pin(root.cancel_on_quit(refers_to_itself(Rc::clone(&seen), rounds)));
        let mut ends = future(2);
        while poll(ends.as_mut()).is_pending() {}
        assert_eq!(seen.get(), 2);
        let mut cancelled = future(7);
        for _ in 0..7 {
            assert!(poll(cancelled.as_mut()).is_pending());
        }
        let mut quitting = future(0);
        assert!(poll(quitting.as_mut()).is_pending());
        root.send_quit();
        assert_eq!(poll(quitting.as_mut()), Poll::Ready(Err(Quitting)));
        drop(cancelled);
        assert_eq!(seen.get(), 2 + 6);
    }
}
