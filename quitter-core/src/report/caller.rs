//! Calls functions of the program on a separate thread, so that nothing else hangs if one of them does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::routine::panics;
use crate::stands::own;
use crate::threads::{self, Job};

/// The handle of the thread, which ends with it unless a call hangs. The thread is quitter's own while it
/// waits for a call.
pub(crate) struct Caller {
    queue: Sender<Job>,
    /// The number of calls that have not ended.
    unfinished: Arc<AtomicUsize>,
}

impl Caller {
    /// The maximum number of calls that have not ended. Further ones are dropped.
    const MAX_QUEUED: usize = 1000;

    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let (queue, calls) = unbounded::<Job>();
        let run = move || {
            let mut own = own::mark_as_waking();
            calls.iter().for_each(|call| own.run_user_code(call));
        };
        threads::start(name, run)?;
        let unfinished = Arc::default();
        Ok(Self { queue, unfinished })
    }

    /// Calls a function, and returns whether it has returned in time. A function that panics has not. Does
    /// not wait while an earlier call has not ended.
    pub(crate) fn call(&self, function: impl FnOnce() + Send + 'static, timeout: Duration) -> bool {
        let queued = self.queue(function);
        queued
            .is_some_and(|(before, returned)| before == 0 && returned.recv_timeout(timeout).is_ok())
    }

    /// Calls a function, and returns whether it is still running after that time. A function that has
    /// panicked is not.
    pub(crate) fn outlasts(
        &self,
        function: impl FnOnce() + Send + 'static,
        time: Duration,
    ) -> bool {
        let queued = self.queue(function);
        queued.is_some_and(|(_, returned)| {
            returned.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
        })
    }

    /// Like [`call`](Self::call), but waits for the calls before this one, too.
    #[cfg(feature = "tracing")]
    pub(crate) fn call_in_turn(
        &self,
        function: impl FnOnce() + Send + 'static,
        timeout: Duration,
    ) -> bool {
        let queued = self.queue(function);
        queued.is_some_and(|(_, returned)| returned.recv_timeout(timeout).is_ok())
    }

    /// Queues a call. Returns the number of calls before it, and a receiver that is told when it returns.
    /// `None` if there are too many calls.
    fn queue(&self, function: impl FnOnce() + Send + 'static) -> Option<(usize, Receiver<()>)> {
        let before = self.unfinished.fetch_add(1, Ordering::AcqRel);
        if before >= Self::MAX_QUEUED {
            self.unfinished.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let (done, returned) = bounded(1);
        let count = Arc::clone(&self.unfinished);
        let _ = self.queue.send(Box::new(move || {
            let called = panics::catch(function, |_| ());
            count.fetch_sub(1, Ordering::AcqRel);
            if called.is_some() {
                let _ = done.send(());
            }
        }));
        Some((before, returned))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
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
        let caller = Caller::start("caller").unwrap();
        for _ in 0..2 {
            let tell = tell.clone();
            let call = move || tell.send(this_is_own()).unwrap();
            assert!(caller.call(call, Duration::MAX));
            let (id, was_own_in_the_call) = told.recv().unwrap();
            assert!(!was_own_in_the_call);
            let until = Instant::now() + Duration::from_secs(10);
            while !own::is_or_was_own(id) {
                assert!(Instant::now() < until, "it stays the program's");
                thread::yield_now();
            }
            assert!(!own::wakes_nobody(id));
        }
    }

    #[test]
    fn only_a_call_that_hangs_outlasts_its_time() {
        let (let_go, hang) = bounded::<()>(0);
        let caller = Caller::start("caller").unwrap();
        assert!(!caller.outlasts(|| panic!("of the function"), Duration::MAX));
        assert!(!caller.outlasts(|| {}, Duration::MAX));
        let hangs = move || _ = hang.recv();
        assert!(caller.outlasts(hangs, Duration::from_millis(1)));
        drop(let_go);
    }

    #[test]
    fn a_call_that_panics_or_hangs_costs_itself_and_no_later_wait() {
        /// Waiting this long for each of the later calls would take far longer than all of them may take.
        const MOMENT: Duration = Duration::from_millis(10);
        let (tell, told) = unbounded::<()>();
        let (let_go, hang) = bounded::<()>(0);
        let caller = Caller::start("caller").unwrap();
        let tells = || {
            let tell = tell.clone();
            move || tell.send(()).unwrap()
        };
        assert!(!caller.call(|| panic!("of the function"), Duration::MAX));
        assert!(caller.call(tells(), Duration::MAX));
        let hangs = move || _ = hang.recv();
        assert!(!caller.call(hangs, Duration::from_millis(1)));
        let from = Instant::now();
        for _ in 0..2 * Caller::MAX_QUEUED {
            assert!(!caller.call(tells(), MOMENT), "nothing is waited for");
        }
        assert!(from.elapsed() < Duration::from_secs(5));
        drop((let_go, caller, tell));
        assert_eq!(told.iter().count(), Caller::MAX_QUEUED);
    }
}
