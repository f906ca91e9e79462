//! Futures for async code, on any executor.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::tree::QuitWait;

/// A future that is ready once its quitter is told to quit, and stays ready after that. Made by
/// [`Quitter::quitting`](crate::Quitter::quitting) and
/// [`RoutineQuitter::quitting`](crate::RoutineQuitter::quitting).
///
/// It works on any executor. Dropping it leaves nothing behind, and it may be polled again once it was
/// ready.
#[must_use = "a future does nothing unless it is awaited"]
pub struct QuitFuture(QuitWait);

impl QuitFuture {
    pub(crate) fn new(wait: QuitWait) -> Self {
        Self(wait)
    }
}

impl Future for QuitFuture {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl fmt::Debug for QuitFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuitFuture").finish_non_exhaustive()
    }
}
