//! Wakes a crowd of futures, on a thread that is started for it.
//!
//! A waker holds the memory of its task, and whoever lets go of it last gives it back. If to wake a task
//! used up its waker, those would be the threads that poll the tasks, all at the same time, and glibc takes
//! back under one lock what one thread has allocated. Half of their time would go there. So the thread
//! keeps the wakers until the tasks have had time to end, and then lets go of them alone. It holds nobody
//! up: an executor drops a future, and all that it holds, when it ends. Only the bare memory of the tasks
//! stays for longer. (A hand-made executor may leave an ended future in what its wakers hold. That future
//! is dropped up to a second later; a quitter's own task has ended its routine by then.)

use std::thread;
use std::time::Duration;

use super::waiter::Futures;
use crate::stands;
use crate::threads;

/// Wakes all, and lets go of their wakers later.
pub(super) fn wake(futures: Futures) {
    // Where the thread is refused, they are woken here all the same: a lost wake is the worse fault.
    let started = threads::start_with("quitter wakers", futures, wake_and_keep);
    if let Err((futures, _refused)) = started {
        futures.wake_here();
    }
}

fn wake_and_keep(futures: Futures) {
    futures.wake_each();
    pause(futures.len());
    futures.let_go();
}

/// Lets so many tasks end.
fn pause(tasks: usize) {
    /// Several times as long as an executor takes to poll a task that ends.
    const FOR_EACH: Duration = Duration::from_micros(2);
    /// For half a million.
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

    /// Says that it was called, and that it was let go.
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
            // The first of each list is beside the crowd.
            wakes.add_all(&mut list);
        }
        drop((called, let_go));
        wake(wakes.perform_but_futures());
        assert_eq!(calls.iter().count(), 2 * MANY);
        assert_eq!(lets_go.iter().count(), 2 * MANY);
    }
}
