//! A future that is a routine.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::builder::RoutineBuilder;
use super::current::Routine;
use super::failing::{CauseOf, routine_failed};
use super::kind::Work;
use super::live::Live;
use super::outcome::RoutineOutcome;
use super::panics;
use super::quitter::RoutineQuitter;
use super::record::Record;
use crate::error::Quitting;
use crate::system;

/// A future that is a routine, from its making to its end. Made by
/// [`RoutineBuilder::task`](crate::RoutineBuilder::task).
///
/// It may be polled on any executor and on any thread, and is ready when the routine is done. The
/// routine's failure is recorded, so that nothing is left to return. Polled again after that it is
/// ready again.
///
/// Dropped before its end it is cancelled: what it holds is dropped, and the routine is done, without a
/// failure. A report that lists it nevertheless, since it was dropped after the deadline or a value
/// that it holds hangs in its drop, says that it was dropped unfinished.
#[must_use = "a future does nothing unless it is awaited, and its routine is live until it is dropped"]
pub struct Task<F> {
    /// `None`: it has ended.
    running: Option<Running<F>>,
    id: u64,
}

struct Running<F> {
    /// In a box, so that it can be polled without unsafe code. `None`: it has ended.
    future: Option<Pin<Box<F>>>,
    /// To be the current routine while it is polled.
    routine: Option<Routine>,
    live: Live,
}

impl<F> Task<F> {
    fn new(live: Live, make: impl FnOnce(RoutineQuitter) -> F) -> Self {
        let quitter = live.quitter().clone();
        let id = quitter.id();
        let routine = Some((quitter.clone(), routine_failed as CauseOf));
        let failed = |kind| live.fail(kind, routine_failed);
        let future = panics::catch(|| Box::pin(make(quitter)), failed);
        let running = future.map(|future| Running {
            future: Some(future),
            routine,
            live,
        });
        Self { running, id }
    }

    /// The routine's number, unique in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Drops the future as its routine, unless it has ended, and ends the routine.
    fn end(&mut self) {
        if let Some(mut running) = self.running.take()
            && let Some(future) = running.future
        {
            let live = &running.live;
            #[cfg(feature = "stacks")]
            live.quitter().record().polls.end();
            live.call_lent(&mut running.routine, || drop(future));
        }
    }
}

impl<F> Future for Task<F>
where
    F: Future,
    F::Output: RoutineOutcome,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(running) = &mut self.running else {
            return Poll::Ready(());
        };
        let (future, live) = (&mut running.future, &running.live);
        let failed = |kind| live.fail(kind, routine_failed);
        let mut is_pending = false;
        live.call_lent(&mut running.routine, || {
            let record = live.quitter().record();
            let polled = future
                .as_mut()
                .map(|future| poll(record, future.as_mut(), cx));
            match polled {
                Some(Poll::Pending) => is_pending = true,
                Some(Poll::Ready(outcome)) => {
                    outcome.settle(&failed);
                    *future = None;
                }
                None => {}
            }
        });
        if is_pending {
            return Poll::Pending;
        }
        self.end();
        Poll::Ready(())
    }
}

/// Polls a future as the routine of this record, which may be asked what it awaits.
#[cfg_attr(
    not(feature = "stacks"),
    expect(unused_variables, reason = "nobody asks")
)]
fn poll<F: Future>(record: &Record, future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    #[cfg(feature = "stacks")]
    return record.polls.poll(future, cx, record.os_id());
    #[cfg(not(feature = "stacks"))]
    return future.poll(cx);
}

impl<F> Drop for Task<F> {
    fn drop(&mut self) {
        if let Some(Running { live, .. }) = &self.running {
            live.quitter().record().set_cancelled();
        }
        self.end();
    }
}

impl<F> fmt::Debug for Task<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = self.running.as_ref().map(|running| &running.live);
        f.debug_struct("Task")
            .field("id", &self.id)
            .field("live", &live)
            .finish()
    }
}

impl RoutineBuilder<'_> {
    /// Makes a routine of a future, to be run on any executor. `f` is called at once with the
    /// routine's view of its quitter, and what it returns is polled whenever the [`Task`] is. A stack
    /// size has no effect.
    ///
    /// The routine is live from here on: it is listed, waited for and told to quit like any other,
    /// whether it is polled or not. While it is polled it is the current routine of that thread, so
    /// that waits leave it out, and a panic is its failure.
    ///
    /// Inside of a task, await: [`quitting`](RoutineQuitter::quitting),
    /// [`cancel_on_quit`](RoutineQuitter::cancel_on_quit), [`done`](crate::Quitter::done). Calls that
    /// block, such as [`sleep`](RoutineQuitter::sleep), block the executor's thread.
    ///
    /// # Errors
    ///
    /// [`Quitting`] if the quitter has been told to quit. `f` is dropped then.
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
        #[cfg(feature = "stacks")]
        let extra_poll = self.extra_poll;
        let live = self.check_in(Work::Task, Location::caller(), system::lately())?;
        #[cfg(feature = "stacks")]
        if !extra_poll {
            live.quitter().record().polls.leave_out();
        }
        Ok(Task::new(live, f))
    }
}
