//! Futures inside of others, which are pinned with them instead of in a box. To reach them takes unsafe code.
//!
//! The field of an [`Inner`] is private to this file, and nothing here moves a future out of it: it is made,
//! polled where it is, and dropped where it is. The types that hold one implement neither `Unpin`, so they
//! have it only where the future has it, nor a `Drop` that could move one.
#![allow(unsafe_code)]

use std::pin::Pin;

use crate::cancel::{CancelOnQuit, Quits};
use crate::routine::task::{Of, Task};

/// A future inside of another one, until it has ended.
pub(crate) struct Inner<F>(Option<F>);

impl<F> Inner<F> {
    pub(crate) fn new(future: Option<F>) -> Self {
        Self(future)
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Drops the future where it is. It is gone afterwards, even if that panics.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// Does the same where it is pinned.
    pub(crate) fn clear_pinned(self: Pin<&mut Self>) {
        self.get_pinned().set(None);
    }

    /// The future, to be polled. `None`: it has ended.
    pub(crate) fn get(self: Pin<&mut Self>) -> Option<Pin<&mut F>> {
        self.get_pinned().as_pin_mut()
    }

    fn get_pinned(self: Pin<&mut Self>) -> Pin<&mut Option<F>> {
        // SAFETY: the field is pinned with this: see above.
        unsafe { self.map_unchecked_mut(|this| &mut this.0) }
    }
}

impl<F> Task<F> {
    /// The future, pinned, and what is beside it.
    pub(crate) fn parts(self: Pin<&mut Self>) -> (Pin<&mut Inner<F>>, &mut Of) {
        // SAFETY: nothing is moved out of `this`.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: it is pinned with the task, of which it is a field: see above.
        let future = unsafe { Pin::new_unchecked(&mut this.future) };
        (future, &mut this.of)
    }
}

impl<F> CancelOnQuit<F> {
    /// The future, pinned, and what is beside it.
    pub(crate) fn parts(self: Pin<&mut Self>) -> (Pin<&mut Inner<F>>, &mut Quits) {
        // SAFETY: nothing is moved out of `this`.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as for a task.
        let future = unsafe { Pin::new_unchecked(&mut this.future) };
        (future, &mut this.quits)
    }
}
