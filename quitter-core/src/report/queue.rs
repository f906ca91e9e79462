//! The jobs of the console, which are run one at a time and in order.
//!
//! A separate thread runs them, since a job may block in a write. But waking that thread and waiting for it
//! takes most of the time that a program with nothing to shut down needs to end. So a thread that is about
//! to wait for its output may run queued jobs itself, as long as they cannot block.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::stands::{self, own};
use crate::sync::{lock_std, lock_within};
use crate::system;
use crate::threads::{self, Job};

/// How much longer than asked a wait may take while the queue's thread gets no CPU time.
const STARVED: Duration = Duration::from_secs(5);

pub(super) struct Queue {
    add: Sender<Job>,
    take: Receiver<Job>,
    /// Wakes the thread, which then runs all jobs. Has room for one wake-up.
    wake_up: Sender<()>,
    /// Held by the thread that runs jobs.
    turn: Arc<Mutex<()>>,
    /// The id of the queue's thread in the system, once the thread has started.
    thread: Arc<AtomicU64>,
}

impl Queue {
    /// Starts the thread, which ends with the queue.
    pub(super) fn start() -> io::Result<Self> {
        let (add, take) = unbounded::<Job>();
        let (wake_up, wake_ups) = bounded(1);
        let queue = Self {
            add,
            take,
            wake_up,
            turn: Arc::default(),
            thread: Arc::default(),
        };
        let (jobs, turn) = (queue.take.clone(), Arc::clone(&queue.turn));
        let number = Arc::clone(&queue.thread);
        threads::start("quitter report", move || {
            let _own = own::mark();
            number.store(system::thread_id(), Ordering::Relaxed);
            for () in wake_ups {
                let _turn = lock_std(&turn);
                jobs.try_iter().for_each(|job| job());
            }
        })?;
        Ok(queue)
    }

    /// Adds a job. The caller must then call [`wake`](Self::wake) or [`run_here`](Self::run_here).
    pub(super) fn add(&self, job: Job) {
        // This cannot fail: the queue itself holds a receiver.
        let _ = self.add.send(job);
    }

    /// Makes the queue's thread run the queued jobs.
    pub(super) fn wake(&self) {
        let _ = self.wake_up.try_send(());
    }

    /// Whether every job has been run.
    pub(super) fn is_idle(&self) -> bool {
        self.take_turn().is_some_and(|_turn| self.take.is_empty())
    }

    /// Waits until every job that is queued now has been run, but for at most `total`, or until `gives_up`
    /// returns `true`.
    ///
    /// Time that the queue's thread spends ready to run does not count: if other threads keep all processors
    /// busy, it may get a few milliseconds a second, and what it writes is worth more than a punctual end.
    /// This adds at most [`STARVED`].
    pub(super) fn wait(&self, total: Duration, gives_up: impl Fn() -> bool) {
        const LOOK: Duration = Duration::from_millis(5);
        let (done, has_run) = bounded::<Infallible>(0);
        self.add(Box::new(move || drop(done)));
        self.wake();
        let at_the_latest = Instant::now() + total + STARVED;
        let mut left = total;
        while !left.is_zero() && Instant::now() < at_the_latest && !gives_up() {
            let from = Instant::now();
            if has_run.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            if !stands::is_ready_to_run(self.thread.load(Ordering::Relaxed)) {
                left = left.saturating_sub(from.elapsed());
            }
        }
    }

    /// Takes the right to run jobs, unless another thread has it.
    fn take_turn(&self) -> Option<MutexGuard<'_, ()>> {
        lock_within(&self.turn, Duration::ZERO)
    }

    /// Runs the first queued jobs on this thread, unless another thread is running jobs. Starts, and goes on
    /// after each job, only if `goes_on` returns `true`. Leaves the rest to the queue's thread.
    pub(super) fn run_here(&self, goes_on: impl Fn() -> bool) {
        const LITTLE: usize = 8;
        if let Some(_turn) = self.take_turn()
            && goes_on()
        {
            for job in self.take.try_iter().take(LITTLE) {
                job();
                if !goes_on() {
                    break;
                }
            }
        }
        // The thread that has the turn, or has just given it back, may have looked for jobs before the last
        // one was added.
        if !self.take.is_empty() {
            self.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::thread::{self, ThreadId};

    use super::*;

    #[test]
    fn jobs_run_in_order_here_and_what_is_left_on_the_queues_thread() {
        let queue = Queue::start().unwrap();
        let (ran, order) = unbounded::<(usize, ThreadId)>();
        for n in 0..3 {
            let ran = ran.clone();
            queue.add(Box::new(move || {
                ran.send((n, thread::current().id())).unwrap();
            }));
        }
        drop(ran);
        let left = Cell::new(2_i32);
        // Asked before the first job, and after each.
        queue.run_here(|| left.replace(left.get() - 1) > 0);
        let order: Vec<_> = order.iter().collect();
        let numbers: Vec<_> = order.iter().map(|(n, _)| *n).collect();
        assert_eq!(numbers, [0, 1, 2]);
        let here = thread::current().id();
        assert_eq!(order[1].1, here);
        assert_ne!(order[2].1, here);
    }

    #[test]
    fn a_wait_for_a_job_that_blocks_is_bounded() {
        let queue = Queue::start().unwrap();
        let (let_go, hold) = bounded::<()>(0);
        let (done, is_done) = bounded::<()>(1);
        queue.add(Box::new(move || {
            let _ = hold.recv();
            done.send(()).unwrap();
        }));
        queue.wait(Duration::from_millis(20), || false);
        assert!(is_done.try_recv().is_err());
        drop(let_go);
        queue.wait(Duration::from_secs(20), || false);
        assert!(is_done.try_recv().is_ok());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_job_that_only_lacks_a_processor_is_waited_for_beyond_the_limit() {
        let queue = Queue::start().unwrap();
        let (done, is_done) = bounded::<()>(1);
        queue.add(Box::new(move || {
            let until = Instant::now() + Duration::from_millis(300);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            done.send(()).unwrap();
        }));
        queue.wait(Duration::from_millis(100), || false);
        assert!(is_done.try_recv().is_ok());
    }

    #[test]
    fn a_job_that_comes_while_another_thread_runs_one_is_run_without_this_thread() {
        let queue = Queue::start().unwrap();
        let (let_go, hold) = bounded::<()>(0);
        let (started, has_started) = bounded::<()>(0);
        let (done, is_done) = bounded::<()>(0);
        queue.add(Box::new(move || {
            drop(started);
            let _ = hold.recv();
        }));
        queue.wake();
        assert!(has_started.recv().is_err());
        queue.add(Box::new(move || drop(done)));
        queue.run_here(|| true);
        drop(let_go);
        assert!(is_done.recv().is_err());
    }
}
