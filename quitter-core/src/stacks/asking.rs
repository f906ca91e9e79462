//! Asks tasks what they await: wakes them, and waits for their next polls.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::limit::Limit;
use super::tasks::Answer;
use super::waker::Leaf;
use super::worker::Turn;
use super::{Target, TaskState, Thread, Why};
use crate::routine::record::Record;
use crate::threads;

/// Where a target was found.
pub(super) enum At {
    /// Suspended, where its waker was kept.
    Leaves(Vec<Leaf>),
    /// On this thread, or waiting for it.
    Thread(Thread),
    Nowhere,
}

/// Wakes the suspended targets, on a thread of its own: their wakers are code of the executors, and may hang.
pub(super) fn wake(targets: &[Target], limit: Limit) {
    /// More than an earlier wake-up takes, unless it hangs.
    const EARLIER: Duration = Duration::from_millis(10);
    static WAKING: AtomicBool = AtomicBool::new(false);

    let suspended = targets.iter().filter(|target| target.is_suspended());
    let tasks: Vec<_> = suspended.map(|target| Arc::clone(&target.record)).collect();
    if tasks.is_empty() {
        return;
    }
    let Some(turn) = Turn::take(&WAKING, limit.at_most(EARLIER)) else {
        // An earlier wake-up has not returned.
        return;
    };
    let ask = |(tasks, _turn): (Vec<Arc<Record>>, Turn)| {
        tasks.iter().for_each(|task| task.polls.ask());
    };
    // If the thread cannot be started, no task is asked, and the report says so.
    let _ = threads::start_with("quitter wakes", (tasks, turn), ask);
}

/// Waits for the answers of the suspended targets.
pub(super) fn wait(targets: &[Target], limit: Limit) {
    let is_done = |target: &Target| {
        let record = &target.record;
        !target.is_suspended() || record.is_finished() || record.polls.has_answered()
    };
    limit.wait_until(|| targets.iter().all(is_done));
}

/// Returns where a target is by now, and stops asking it.
pub(super) fn find(target: &Target) -> Result<(Option<TaskState>, At), Why> {
    let record = &target.record;
    if record.is_finished() {
        return Err(Why::Gone);
    }
    let in_poll = |thread| {
        (
            target.is_task().then(|| in_poll(thread)),
            At::Thread(thread),
        )
    };
    if let Some(thread) = target.thread {
        return Ok(in_poll(thread));
    }
    let answer = record.polls.answer();
    if let Answer::Awaits(leaves) = answer {
        let state = match leaves.is_empty() {
            true => TaskState::AwaitingNothing,
            false => TaskState::Awaiting,
        };
        return Ok((Some(state), At::Leaves(leaves)));
    }
    // It was polled again, and that poll has not returned.
    if let Some(thread) = Thread::of(record) {
        return Ok(in_poll(thread));
    }
    match answer {
        Answer::NotPolled { woken, thread: id } => {
            let thread = Thread { id, mark: 0 };
            Ok((Some(TaskState::NotPolled { woken }), At::Thread(thread)))
        }
        Answer::NeverPolled => Ok((Some(TaskState::NeverPolled), At::Nowhere)),
        Answer::LeftOut => Err(Why::LeftOut),
        Answer::NotAsked | Answer::Awaits(_) => Err(Why::NotWoken),
    }
}

/// The state of a task that is in a poll on this thread.
fn in_poll(thread: Thread) -> TaskState {
    let name = fs::read(format!("/proc/self/task/{}/comm", thread.id)).unwrap_or_default();
    TaskState::InPoll {
        os_id: thread.id,
        thread: String::from_utf8_lossy(&name).trim_end().to_owned(),
    }
}
