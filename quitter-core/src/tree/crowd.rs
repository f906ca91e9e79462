//! Wakes a crowd of futures on a separate thread.
//!
//! A waker keeps the memory of its task alive, and the last reference to be dropped frees that memory. If
//! waking a task consumed its waker, the threads that poll the tasks would free the memory, all at the same
//! time, and glibc frees memory that one thread has allocated under one lock. Half of their time would go
//! there. So this thread keeps the wakers until the tasks have had time to end, and then drops them by
//! itself. This delays nobody: an executor drops a future, and all that it holds, when it ends. Only the
//! bare memory of the tasks is kept longer. (A hand-written executor may keep an ended future in memory
//! that its wakers hold. That future is dropped up to a second later; a quitter's own task has ended its
//! routine by then.)

use std::thread;
use std::time::Duration;

use super::waiter::Futures;
use crate::stands;
use crate::threads;

/// Wakes all futures, and drops their wakers later.
pub(super) fn wake(futures: Futures) {
    // If the thread is refused, this thread wakes them nevertheless: a lost wake-up would be worse.
    let started = threads::start_with("quitter wakers", futures, wake_and_keep);
    if let Err((futures, _refused)) = started {
        futures.wake_here();
    }
}

fn wake_and_keep(futures: Futures) {
    futures.wake_each();
    pause(futures.len());
    futures.drop_wakers();
}

/// Gives this many tasks time to end.
fn pause(tasks: usize) {
    /// Several times as long as an executor takes to poll a task that ends.
    const FOR_EACH: Duration = Duration::from_micros(2);
    /// The time for half a million tasks.
    const AT_MOST: Duration = Duration::from_secs(1);
    let _own = stands::own::mark();
    let tasks = u32::try_from(tasks).unwrap_or(u32::MAX);
    thread::sleep(FOR_EACH.saturating_mul(tasks).min(AT_MOST));
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::resume_unwind;
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::task::Wake;

    use super::super::waiter::{Waiter, Wakes};
    use super::super::waiters::Waiters;
    use super::*;

    /// A waker that reports that it was called, and that it was dropped.
    struct Says {
        called: Sender<()>,
        let_go: Sender<()>,
    }

    impl Wake for Says {
        fn wake(self: Arc<Self>) {
            let _ = self.called.send(());
            panics();
        }
    }

    impl Drop for Says {
        fn drop(&mut self) {
            let _ = self.let_go.send(());
            panics();
        }
    }

    fn panics() {
        resume_unwind(Box::new("a waker"));
    }

    #[test]
    fn each_waker_of_a_crowd_is_called_and_let_go_though_all_panic() {
        const MANY: usize = 100;
        let (called, calls) = channel();
        let (let_go, lets_go) = channel();
        let mut wakes = Wakes::default();
        for _ in 0..2 {
            let mut list = Waiters::default();
            for _ in 0..MANY {
                let (called, let_go) = (called.clone(), let_go.clone());
                let waker = Arc::new(Says { called, let_go }).into();
                list.enter(Waiter::Future(waker), 0);
            }
            // The first waiter of each list is not part of the crowd.
            wakes.add_all(&mut list);
        }
        drop((called, let_go));
        wake(wakes.perform_except_futures());
        assert_eq!(calls.iter().count(), 2 * MANY);
        assert_eq!(lets_go.iter().count(), 2 * MANY);
    }
}
