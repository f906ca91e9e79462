//! A future that is a routine while it is awaited, and keeps its output.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::builder::RoutineBuilder;
use super::task::TaskRoutine;
use crate::pinned::Inner;

/// A future that is a routine, and yields the output of the future inside it. Made by
/// [`RoutineBuilder::track`](crate::RoutineBuilder::track).
///
/// It may be polled on any executor and on any thread. Polled again once it was ready, it yields `None`. As
/// with a [`Task`](crate::Task), a routine whose future is dropped before its end is cancelled.
#[must_use = "a future does nothing unless it is awaited, and its routine is live until it is dropped"]
pub struct Tracked<F> {
    pub(crate) future: Inner<F>,
    /// `None`: the quitter was quitting.
    pub(crate) routine: Option<TaskRoutine>,
}

impl<F: Future> Future for Tracked<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (mut future, routine) = self.parts();
        let Some(routine) = routine else {
            let Some(unlisted) = future.as_mut().get() else {
                return Poll::Ready(None);
            };
            let output = ready!(unlisted.poll(cx));
            future.clear_pinned();
            return Poll::Ready(Some(output));
        };
        let mut yielded = None;
        let polled = routine.poll(future, cx, |output, _failed| yielded = Some(output));
        polled.map(|()| yielded)
    }
}

impl<F> Drop for Tracked<F> {
    fn drop(&mut self) {
        if let Some(routine) = &mut self.routine {
            routine.drop(&mut self.future);
        }
    }
}

impl<F> fmt::Debug for Tracked<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = self.routine.as_ref().and_then(TaskRoutine::live);
        f.debug_struct("Tracked").field("live", &live).finish()
    }
}

impl RoutineBuilder<'_> {
    /// Makes a routine of a future whose output is needed, such as the answer to a request. This is like a
    /// [`guard`](Self::guard), but a report also names the await on which the future hangs, and a panic
    /// ends only the future.
    ///
    /// The routine is live from here until the future has ended or is dropped. Its output never counts as a
    /// failure. The output is `None` if the future panicked, which is the routine's failure. If the quitter
    /// is already quitting, the future can still be awaited, but is not listed, and a panic reaches the
    /// code that polls it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{OnFailure, Quitter};
    ///
    /// async fn answer(requests: &Quitter, path: &str) -> String {
    ///     let request = requests.routine(format!("GET {path}")).on_failure(OnFailure::Report);
    ///     let answer = request.track(async {
    ///         assert_eq!(requests.live_routines(), 1);
    ///         format!("you asked for {path}")
    ///     });
    ///     answer.await.unwrap_or_else(|| "an error within the server".to_owned())
    /// }
    /// # let requests = Quitter::root("requests");
    /// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// # let answered = std::pin::pin!(answer(&requests, "/")).poll(&mut cx);
    /// # assert_eq!(answered, std::task::Poll::Ready("you asked for /".to_owned()));
    /// # assert_eq!(requests.live_routines(), 0);
    /// ```
    #[track_caller]
    pub fn track<F: Future>(self, future: F) -> Tracked<F> {
        Tracked {
            routine: self.list_task().ok(),
            future: Inner::new(Some(future)),
        }
    }
}
