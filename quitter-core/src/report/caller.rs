//! Calls a function of the program on a thread of its own, so that nothing else hangs if it does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::routine::panics;
use crate::stands::own;

/// The thread ends with this handle, unless the function hangs. It is quitter's own while it waits for a
/// call.
pub(crate) struct Caller<T> {
    queue: Sender<(T, Sender<()>)>,
    /// How many calls have not ended.
    unfinished: Arc<AtomicUsize>,
}

impl<T: Send + 'static> Caller<T> {
    /// How many calls may wait for one that hangs. Further ones are dropped.
    const MOST_QUEUED: usize = 1000;

    pub(crate) fn start(
        name: &str,
        mut function: impl FnMut(T) + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, calls) = unbounded::<(T, Sender<()>)>();
        let unfinished = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&unfinished);
        let run = move || {
            let mut own = own::mark_as_waking();
            for (value, done) in calls {
                let call = || panics::catch(|| function(value), |_| ());
                let returned = own.lend(call);
                count.fetch_sub(1, Ordering::AcqRel);
                if returned.is_some() {
                    let _ = done.send(());
                }
            }
            // Its drop is the program's code, too.
            own.lend(|| panics::drop_quietly(function));
        };
        thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { queue, unfinished })
    }

    /// Calls the function, and returns whether it has returned in time. A panic is as good as a hang.
    /// Behind a call that hangs nothing is waited for.
    pub(crate) fn call(&self, value: T, timeout: Duration) -> bool {
        let queued = self.queue(value);
        queued
            .is_some_and(|(before, returned)| before == 0 && returned.recv_timeout(timeout).is_ok())
    }

    /// Calls the function, and returns whether it is still running after that time. One that has panicked is
    /// not.
    pub(crate) fn outlasts(&self, value: T, time: Duration) -> bool {
        let queued = self.queue(value);
        queued.is_some_and(|(_, returned)| {
            returned.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
        })
    }

    /// As [`call`](Self::call), but waits for the calls before this one, too.
    #[cfg(feature = "tracing")]
    pub(crate) fn call_in_turn(&self, value: T, timeout: Duration) -> bool {
        let queued = self.queue(value);
        queued.is_some_and(|(_, returned)| returned.recv_timeout(timeout).is_ok())
    }

    /// Returns how many calls are before this one, and what hears of its end. `None`: too many are.
    fn queue(&self, value: T) -> Option<(usize, Receiver<()>)> {
        let before = self.unfinished.fetch_add(1, Ordering::AcqRel);
        if before >= Self::MOST_QUEUED {
            self.unfinished.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let (done, returned) = bounded(1);
        let _ = self.queue.send((value, done));
        Some((before, returned))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::system;

    #[test]
    fn its_thread_is_quitters_own_but_for_the_calls() {
        let this_is_own = || {
            let id = system::thread_id();
            (id, own::is_or_was_own(id))
        };
        let (tell, told) = unbounded();
        let call = move |()| tell.send(this_is_own()).unwrap();
        let caller = Caller::start("caller", call).unwrap();
        for _ in 0..2 {
            assert!(caller.call((), Duration::MAX));
            let (id, was_own_in_the_call) = told.recv().unwrap();
            assert!(!was_own_in_the_call);
            assert!(own::is_or_was_own(id) && !own::wakes_nobody(id));
        }
    }

    #[test]
    fn only_a_call_that_hangs_outlasts_its_time() {
        let (let_go, hang) = bounded::<()>(0);
        let caller = Caller::start("caller", move |n| match n {
            0 => panic!("of the function"),
            1 => drop(hang.recv()),
            _ => {}
        });
        let caller = caller.unwrap();
        assert!(!caller.outlasts(0, Duration::MAX));
        assert!(!caller.outlasts(2, Duration::MAX));
        assert!(caller.outlasts(1, Duration::from_millis(1)));
        drop(let_go);
    }

    #[test]
    fn a_call_that_panics_or_hangs_costs_itself_and_no_later_wait() {
        let (tell, told) = unbounded();
        let (let_go, hang) = bounded::<()>(0);
        let caller = Caller::start("caller", move |n| match n {
            0 => panic!("of the function"),
            1 => drop(hang.recv()),
            n => tell.send(n).unwrap(),
        });
        let caller = caller.unwrap();
        assert!(!caller.call(0, Duration::MAX));
        assert!(caller.call(2, Duration::MAX));
        assert!(!caller.call(1, Duration::from_millis(1)));
        let from = Instant::now();
        for n in 3..3 + 2 * Caller::<i32>::MOST_QUEUED as i32 {
            assert!(!caller.call(n, Duration::MAX), "nothing is waited for");
        }
        assert!(from.elapsed() < Duration::from_secs(5));
        drop((let_go, caller));
        assert_eq!(told.iter().count(), Caller::<i32>::MOST_QUEUED);
    }
}
