//! A started routine, seen from outside.

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::current::waiting_routine;
use super::record::Record;
use crate::blocking::warn_if_blocking;
use crate::report::timeouts::Timeouts;
use crate::tree::{Limits, LiveAt, Node};

/// A handle to a started routine. Dropping it detaches the routine, which goes on, supervised by its
/// quitter.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
///
/// let root = quitter::Quitter::root("main");
/// let handle = root.add_routine(|_| {}).unwrap();
/// handle.wait(Duration::MAX).unwrap();
/// assert!(handle.is_finished());
/// ```
pub struct RoutineHandle {
    /// Weak: a handle must not keep the quitter in the tree.
    node: Weak<Node>,
    record: Arc<Record>,
    runner: Runner,
}

/// The thread or task that runs a routine.
pub(crate) enum Runner {
    Thread(Thread),
    #[cfg(feature = "tokio")]
    Task(tokio::task::JoinHandle<()>),
}

impl RoutineHandle {
    pub(crate) fn new(node: Weak<Node>, record: Arc<Record>, runner: Runner) -> Self {
        Self {
            node,
            record,
            runner,
        }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn node(&self) -> &Weak<Node> {
        &self.node
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn runner(&self) -> &Runner {
        &self.runner
    }

    /// Returns the routine's number, unique in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.record.id
    }

    /// Returns the routine's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Returns whether the routine is done: it has returned or panicked, or its task was dropped.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.record.is_finished()
    }

    /// Wakes the routine's thread from [`std::thread::park`], as
    /// [`Thread::unpark`](std::thread::Thread::unpark) does. This has no effect once the routine is done,
    /// or on a task: a task has no thread of its own, and is woken by what it awaits.
    ///
    /// It does not end the routine's waits on its quitter: [`sleep`](crate::Quitter::sleep),
    /// [`ticks`](crate::Quitter::ticks) and [`wait_quit`](crate::Quitter::wait_quit) go on. To wake a
    /// routine from these, give it a channel and `select!` over that and
    /// [`quit_chan`](crate::Quitter::quit_chan).
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// let root = quitter::Quitter::root("main");
    /// let ready = Arc::new(AtomicBool::new(false));
    /// let is_ready = Arc::clone(&ready);
    /// let parked = root
    ///     .add_routine(move |_| {
    ///         while !is_ready.load(Ordering::Acquire) {
    ///             std::thread::park();
    ///         }
    ///     })
    ///     .unwrap();
    /// ready.store(true, Ordering::Release);
    /// parked.unpark();
    /// parked.wait(std::time::Duration::MAX).unwrap();
    /// ```
    pub fn unpark(&self) {
        match &self.runner {
            Runner::Thread(thread) => thread.unpark(),
            #[cfg(feature = "tokio")]
            Runner::Task(_) => {}
        }
    }

    /// Blocks until the routine is done, for at most `timeout`; [`Duration::MAX`] waits without a limit.
    ///
    /// This does not tell the routine to quit. It may be called again, and from several threads. Like
    /// [`Quitter::wait_done`](crate::Quitter::wait_done), it ends by the deadline of a quit. A routine that
    /// waits on its own handle can only time out: without a timeout or a deadline, it waits for ever.
    ///
    /// # Errors
    ///
    /// [`Timeouts`], which lists this one routine.
    #[track_caller]
    pub fn wait(&self, timeout: Duration) -> Result<(), Timeouts> {
        warn_if_blocking("wait", "wait_async", Location::caller(), || {
            !timeout.is_zero() && !self.is_finished()
        });
        wait_for(&self.node, &self.record, timeout)
    }
}

/// Waits for one routine of any kind.
pub(super) fn wait_for(
    node: &Weak<Node>,
    record: &Arc<Record>,
    timeout: Duration,
) -> Result<(), Timeouts> {
    let from = Instant::now();
    let limits = Limits::within(timeout);
    // A live routine holds its node, so the routine has ended.
    let Some(node) = node.upgrade() else {
        return Ok(());
    };
    waiting_routine(|_| match node.wait_for(record, limits) {
        true => Ok(()),
        false => Err(LiveAt::one(&node, record)),
    })
    .map_err(|live| Timeouts::of_wait(vec![live], from.elapsed(), timeout))
}

impl fmt::Debug for RoutineHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutineHandle")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("is_finished", &self.is_finished())
            .finish()
    }
}
