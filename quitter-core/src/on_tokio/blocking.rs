//! Detects calls that block a thread on which tokio polls tasks, and reports them: they may be why a program
//! hangs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{coop, try_id};

use crate::report::console;
use crate::report::notice::Notice;
use crate::routine::record::Place;

/// Implements [`crate::blocking::warn_if_blocking`].
pub(crate) fn warn_if_blocking(
    call: &'static str,
    instead: &'static str,
    at: Place,
    has_to_wait: impl FnOnce() -> bool,
) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if blocks_tasks() && has_to_wait() && !SAID.swap(true, Ordering::Relaxed) {
        // A tree without a main quitter has no console yet.
        let _ = console::open();
        console::say(Notice::Hint(
            format!(
                "{call} at {}:{} blocks a thread on which tokio polls tasks, and holds these up. Use \
                 {instead}",
                at.file(),
                at.line()
            )
            .into(),
        ));
    }
}

/// Whether a task is being polled on this thread, or the only thread of a runtime is in use. The main future
/// of a multi-threaded runtime holds up no task.
fn blocks_tasks() -> bool {
    let is_alone = |runtime: Handle| runtime.runtime_flavor() == RuntimeFlavor::CurrentThread;
    let Ok(runtime) = Handle::try_current() else {
        return false;
    };
    (try_id().is_some() || is_alone(runtime)) && is_in_poll()
}

/// Whether this thread is inside a poll, and not in `spawn_blocking` or `block_in_place`: tokio counts
/// operations only in polls, and allows a limited number.
fn is_in_poll() -> bool {
    const MORE_THAN_ALLOWED: usize = 256;
    let mut cx = Context::from_waker(Waker::noop());
    let mut counted = Vec::new();
    while counted.len() < MORE_THAN_ALLOWED {
        match coop::poll_proceed(&mut cx) {
            Poll::Ready(operation) => counted.push(operation),
            Poll::Pending => break,
        }
    }
    let is_in_poll = counted.len() < MORE_THAN_ALLOWED;
    // Each gives its count back when it is dropped, the last one first.
    while counted.pop().is_some() {}
    is_in_poll
}
