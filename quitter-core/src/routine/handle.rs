//! A forked routine, seen from outside.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::current::waiting_routine;
use super::record::Record;
use crate::report::timeouts::Timeouts;
use crate::tree::{Limits, LiveAt, Node};

/// A forked routine, seen from outside. Dropping it detaches: the routine goes on, supervised by
/// its quitter.
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
    pub(super) node: Arc<Node>,
    pub(super) record: Arc<Record>,
}

impl RoutineHandle {
    /// The routine's number, unique in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.record.id
    }

    /// The routine's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Whether the routine has returned, or panicked.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.record.is_finished()
    }

    /// Blocks until the routine has returned, for at most `timeout`; [`Duration::MAX`] is for ever.
    ///
    /// Does not tell it to quit. May be called again, and from several threads. As
    /// [`Quitter::wait_done`](crate::Quitter::wait_done) it ends by the deadline of a quit. A routine that waits for itself waits in vain.
    ///
    /// # Errors
    ///
    /// [`Timeouts`] lists this one routine.
    pub fn wait(&self, timeout: Duration) -> Result<(), Timeouts> {
        let from = Instant::now();
        let limits = Limits::within(timeout);
        waiting_routine(|_| match self.node.wait_for(&self.record, limits) {
            true => Ok(()),
            false => Err(LiveAt::one(&self.node, &self.record)),
        })
        .map_err(|live| Timeouts::new(vec![live], from.elapsed()))
    }
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
