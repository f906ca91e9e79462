//! Suspended tasks tell what they await.
//!
//! A task keeps the waker of its last poll. To ask the task, a report sets a flag and wakes it with that
//! waker. The poll that follows is made with a waker that records the calls that keep it ([`waker`]).

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use once_cell::race::OnceBox;

use super::waker::{self, Leaf};
use crate::sync::lock_std;
use crate::system;

/// The polls of a routine that is a task. Empty if the task was never pending.
#[derive(Debug, Default)]
pub(crate) struct Polls(OnceBox<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// The next poll has to tell what the task awaits. Written under the lock.
    asked: AtomicBool,
    /// This task is never asked.
    left_out: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The waker of the last poll, unless the task was woken with it.
    waker: Option<Waker>,
    /// The thread of the last poll.
    thread: u64,
    /// When the task was first woken since its last poll, by the system's clock.
    woken: Option<Duration>,
    answer: Option<Vec<Leaf>>,
}

/// The answer of a task, or a reason why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Awaits(Vec<Leaf>),
    NotPolled {
        /// How long ago it was woken.
        woken: Duration,
        /// The thread that polled it last.
        thread: u64,
    },
    NeverPolled,
    LeftOut,
    NotAsked,
}

impl Polls {
    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }

    /// Keeps this task from being asked. Must be called before its first poll.
    pub(crate) fn leave_out(&self) {
        let kept = Kept {
            left_out: true,
            ..Kept::default()
        };
        let _ = self.0.set(Box::new(kept));
    }

    /// Polls the task's future on this thread.
    pub(crate) fn poll<F: Future>(
        &self,
        future: Pin<&mut F>,
        cx: &mut Context<'_>,
        thread: u64,
    ) -> Poll<F::Output> {
        let (polled, leaves) = match self.0.get() {
            Some(kept) if kept.left_out => return future.poll(cx),
            Some(kept) if kept.asked.load(Ordering::Acquire) => {
                let (polled, leaves) = waker::trace(cx.waker(), |cx| future.poll(cx));
                (polled, Some(leaves))
            }
            _ => (future.poll(cx), None),
        };
        if polled.is_pending() {
            self.0
                .get_or_init(Box::default)
                .keep(cx.waker(), thread, leaves);
        }
        polled
    }

    /// Drops the waker once the task has ended.
    pub(crate) fn end(&self) {
        let kept = self.0.get();
        let waker = kept.and_then(|kept| lock_std(&kept.state).waker.take());
        drop(waker);
    }

    /// Asks what the task awaits. Runs its executor's code.
    pub(super) fn ask(&self) {
        let waker = self.0.get().and_then(Kept::ask);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether there is no answer to wait for.
    pub(super) fn has_answered(&self) -> bool {
        let kept = self.0.get();
        kept.is_none_or(|kept| kept.left_out || lock_std(&kept.state).answer.is_some())
    }

    /// Takes the answer, or what is known without one, and stops asking the task.
    pub(super) fn answer(&self) -> Answer {
        let Some(kept) = self.0.get() else {
            return Answer::NeverPolled;
        };
        if kept.left_out {
            return Answer::LeftOut;
        }
        let mut state = lock_std(&kept.state);
        kept.asked.store(false, Ordering::Release);
        match (state.answer.take(), state.woken) {
            (Some(leaves), _) => Answer::Awaits(leaves),
            (None, Some(woken)) => Answer::NotPolled {
                woken: system::now().saturating_sub(woken),
                thread: state.thread,
            },
            (None, None) => Answer::NotAsked,
        }
    }
}

impl Kept {
    /// Returns the waker to wake. `None` if the task was woken before and not polled since.
    fn ask(&self) -> Option<Waker> {
        if self.left_out {
            return None;
        }
        let mut state = lock_std(&self.state);
        state.answer = None;
        state.woken.get_or_insert_with(system::now);
        self.asked.store(true, Ordering::Release);
        state.waker.take()
    }

    /// Keeps the results of a pending poll. No waker is cloned, dropped or woken under the lock.
    fn keep(&self, waker: &Waker, thread: u64, leaves: Option<Vec<Leaf>>) {
        let mut state = lock_std(&self.state);
        state.thread = thread;
        if leaves.is_some() {
            state.answer = leaves;
            self.asked.store(false, Ordering::Release);
        }
        let mut is_asked = self.asked.load(Ordering::Acquire);
        if !is_asked {
            state.woken = None;
        }
        let kept = state.waker.as_ref();
        let is_kept = kept.is_some_and(|kept| kept.will_wake(waker));
        drop(state);
        if !is_kept {
            let waker = waker::untraced(waker);
            let mut state = lock_std(&self.state);
            let before = state.waker.replace(waker);
            is_asked = self.asked.load(Ordering::Acquire);
            drop(state);
            drop(before);
        }
        // The task was asked during this poll, perhaps by the waker of an earlier one.
        if is_asked {
            waker::untraced(waker).wake();
        }
    }
}

// The executors do not build under loom.
#[cfg(all(test, feature = "tokio", not(loom), not(target_env = "musl")))]
mod tests;
