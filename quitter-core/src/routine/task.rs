//! A future that is a routine.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::builder::RoutineBuilder;
use super::current::Lent;
use super::failing::fail;
use super::kind::Work;
use super::live::check_out;
use super::outcome::RoutineOutcome;
use super::panics;
use super::quitter::RoutineQuitter;
#[cfg(feature = "tokio")]
use super::record::Record;
use crate::error::Quitting;
use crate::pinned::Inner;
use crate::report::failure::FailureKind;
use crate::system;
use crate::trace::RoutineSpan;

/// A future that is a routine, from its creation to its end. Made by
/// [`RoutineBuilder::task`](crate::RoutineBuilder::task).
///
/// It may be polled on any executor and on any thread, and is ready when the routine is done. A failure of
/// the routine is recorded, so the output is `()`. Polled again after that, it is ready again. To poll it
/// by hand, pin it, like the future of an `async` block.
///
/// Once ready, it holds its quitter until it is dropped, as a clone of a
/// [`RoutineQuitter`](crate::RoutineQuitter) does.
///
/// If dropped before its end, the task is cancelled: its values are dropped, and the routine is done,
/// without a failure. If it was dropped after the deadline, or the drop of one of its values hangs, a
/// report may still list it, and says that it was dropped unfinished.
#[must_use = "a future does nothing unless it is awaited, and its routine is live until it is dropped"]
pub struct Task<F> {
    pub(crate) future: Inner<F>,
    pub(crate) routine: TaskRoutine,
}

/// The routine that a task is.
pub(crate) struct TaskRoutine {
    /// `None`: it is lent to the thread that polls it. The record says whether it has ended: a field for
    /// that would make small tasks take twice the memory, since executors round the size up.
    quitter: Option<RoutineQuitter>,
    span: RoutineSpan,
}

impl<F> Task<F> {
    /// Returns the routine's number, unique in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.routine.quitter().id()
    }
}

impl TaskRoutine {
    fn quitter(&self) -> &RoutineQuitter {
        let quitter = self.quitter.as_ref();
        quitter.expect("it is lent only during a poll")
    }

    /// Makes this the routine that runs on this thread, and calls `f` with it and a function that records
    /// its failures. A panic is recorded as one.
    fn call(&mut self, f: impl FnOnce(&Lent<'_>, &dyn Fn(FailureKind))) {
        let current = Lent::new(&mut self.quitter);
        let _span = self.span.enter();
        current.mark_stack();
        let failed = |kind| {
            if let Some(routine) = current.routine() {
                fail(&routine, kind);
            }
        };
        panics::catch(|| f(&current, &failed), failed);
    }

    /// Polls the future as this routine, and calls `done` with what it yields.
    pub(super) fn poll<F: Future>(
        &mut self,
        mut future: Pin<&mut Inner<F>>,
        cx: &mut Context<'_>,
        done: impl FnOnce(F::Output, &dyn Fn(FailureKind)),
    ) -> Poll<()> {
        let mut is_pending = false;
        if future.is_there() {
            self.call(|lent, failed| {
                let Some(running) = future.as_mut().get() else {
                    return;
                };
                match poll(lent, running, cx) {
                    Poll::Pending => is_pending = true,
                    Poll::Ready(output) => {
                        done(output, failed);
                        end_polls(lent);
                        future.as_mut().clear_pinned();
                    }
                }
            });
        }
        if is_pending {
            return Poll::Pending;
        }
        // It is still there only if it has panicked.
        if future.is_there() {
            self.call(|lent, _| {
                end_polls(lent);
                future.clear_pinned();
            });
        }
        self.end();
        Poll::Ready(())
    }

    /// Drops the future as this routine, and marks the routine as cancelled unless it has ended.
    pub(super) fn drop<F>(&mut self, future: &mut Inner<F>) {
        if let Some(quitter) = self.live() {
            quitter.record().set_cancelled();
        }
        if future.is_there() {
            self.call(|lent, _| {
                end_polls(lent);
                future.clear();
            });
        }
        self.end();
    }

    /// The routine, unless it has ended.
    pub(super) fn live(&self) -> Option<&RoutineQuitter> {
        let quitter = self.quitter.as_ref();
        quitter.filter(|quitter| !quitter.record().is_finished())
    }

    /// Ends the routine, unless it has ended.
    fn end(&self) {
        if let Some(quitter) = self.live() {
            check_out(quitter, &self.span);
        }
    }
}

impl<F> Future for Task<F>
where
    F: Future,
    F::Output: RoutineOutcome,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (future, routine) = self.parts();
        routine.poll(future, cx, |outcome, failed| outcome.settle(failed))
    }
}

/// Polls a future as the lent routine, which a report may ask what it awaits.
fn poll<F: Future>(lent: &Lent<'_>, future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    match lent.record() {
        Some(record) => record.polls.poll(future, cx, record.os_id()),
        None => future.poll(cx),
    }
}

/// Drops the executor's waker, since the future is not polled again.
fn end_polls(lent: &Lent<'_>) {
    if let Some(record) = lent.record() {
        record.polls.end();
    }
}

/// Polls a future as the routine of this record, which is the current one. The record names this thread
/// only during the poll.
#[cfg(feature = "tokio")]
pub(crate) fn poll_on<F: Future>(
    record: &Record,
    future: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    const NONE: u64 = 0;
    record.set_os_id(system::thread_id());
    let polled = record.polls.poll(future, cx, record.os_id());
    match polled {
        Poll::Pending => _ = record.set_os_id(NONE),
        Poll::Ready(_) => record.polls.end(),
    }
    polled
}

impl<F> Drop for Task<F> {
    fn drop(&mut self) {
        self.routine.drop(&mut self.future);
    }
}

impl<F> fmt::Debug for Task<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id())
            .field("live", &self.routine.live())
            .finish()
    }
}

impl RoutineBuilder<'_> {
    /// Makes a routine of a future, to be run on any executor. `f` is called at once with the routine's
    /// view of its quitter, and the future that it returns is polled whenever the [`Task`] is. A stack size
    /// has no effect.
    ///
    /// The routine is live from here on: it is listed, waited for and told to quit like any other, whether
    /// it is polled or not. While it is polled, it is the current routine of that thread, so its own waits
    /// leave it out, and a panic is its failure.
    ///
    /// Inside a task, await: [`quitting`](RoutineQuitter::quitting),
    /// [`cancel_on_quit`](RoutineQuitter::cancel_on_quit), [`done`](crate::Quitter::done). Calls that
    /// block, such as [`sleep`](RoutineQuitter::sleep), block the executor's thread.
    ///
    /// # Errors
    ///
    /// [`Quitting`] if the quitter has been told to quit. Then `f` is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// # use std::pin::pin;
    /// # use std::task::{Context, Waker};
    /// use quitter::{Quitter, RoutineKind};
    ///
    /// let root = Quitter::root("main");
    /// let task = root
    ///     .routine("connection")
    ///     .task(|q| async move {
    ///         q.set_status("waiting for the quit");
    ///         q.quitting().await;
    ///         Err::<(), _>("connection reset")
    ///     })
    ///     .unwrap();
    /// // An executor's `spawn(task)` or `block_on(task)`:
    /// # let mut task = pin!(task);
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// # assert!(task.as_mut().poll(&mut cx).is_pending());
    ///
    /// let timeouts = root.wait_done(std::time::Duration::ZERO).unwrap_err();
    /// let stuck = timeouts.routines().next().unwrap();
    /// assert_eq!((&stuck.name[..], stuck.kind), ("connection", RoutineKind::Task));
    /// root.send_quit();
    /// # assert!(task.as_mut().poll(&mut cx).is_ready());
    /// # assert_eq!(root.failures()[0].kind.to_string(), "failed: connection reset");
    /// ```
    #[track_caller]
    pub fn task<F, Fut>(self, f: F) -> Result<Task<Fut>, Quitting>
    where
        F: FnOnce(RoutineQuitter) -> Fut,
        Fut: Future,
        Fut::Output: RoutineOutcome,
    {
        let routine = self.list_task()?;
        let quitter = routine.quitter();
        let future = panics::catch(|| f(quitter.clone()), |kind| fail(quitter, kind));
        if future.is_none() {
            routine.end();
        }
        let future = Inner::new(future);
        Ok(Task { future, routine })
    }

    #[track_caller]
    pub(super) fn list_task(self) -> Result<TaskRoutine, Quitting> {
        let extra_poll = self.extra_poll;
        let (quitter, span) = self.list(Work::Task, Location::caller(), system::now_coarse())?;
        if !extra_poll {
            quitter.record().polls.leave_out();
        }
        let quitter = Some(quitter);
        Ok(TaskRoutine { quitter, span })
    }
}

#[cfg(all(test, not(feature = "tracing")))]
mod tests {
    use super::*;

    /// Every word counts, since tokio rounds a task's memory up to 128 bytes.
    #[test]
    fn a_task_is_two_words_larger_than_its_future() {
        assert_eq!(size_of::<TaskRoutine>(), size_of::<[usize; 2]>());
    }
}
