//! Describes a routine, and adds it to the tree.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::guard::RoutineGuard;
use super::handle::RoutineHandle;
use super::live::{self, Live};
use super::outcome::RoutineOutcome;
use super::panics;
use super::quitter::RoutineQuitter;
use super::record::{Place, Record};
use crate::error::{AddRoutineError, Quitting};
use crate::report::escape::Name;
use crate::report::failure::OnFailure;
use crate::system;
use crate::tree::Node;

/// Describes a routine before it is forked. Made by [`Quitter::routine`](crate::Quitter::routine).
#[must_use = "nothing is forked until `add` is called"]
pub struct RoutineBuilder<'a> {
    node: &'a Arc<Node>,
    name: Cow<'static, str>,
    stack_size: Option<usize>,
    on_failure: OnFailure,
}

impl<'a> RoutineBuilder<'a> {
    pub(crate) fn new(node: &'a Arc<Node>, name: Cow<'static, str>) -> Self {
        Self {
            node,
            name,
            stack_size: None,
            on_failure: OnFailure::default(),
        }
    }

    /// Sets the size of the thread's stack in bytes. Std's default otherwise, which is 2 MiB unless
    /// `RUST_MIN_STACK` says otherwise.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// root.routine("small").stack_size(128 * 1024).add(|_| {}).unwrap();
    /// # root.wait_done(std::time::Duration::MAX).unwrap();
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Sets what a failure does, beside being recorded. The root of the tree quits otherwise.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Forks the routine. As [`Quitter::add_routine`](crate::Quitter::add_routine).
    ///
    /// # Errors
    ///
    /// As [`Quitter::add_routine`](crate::Quitter::add_routine).
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// let handle = root.routine("worker").add(|q| assert_eq!(q.name(), "worker")).unwrap();
    /// handle.wait(std::time::Duration::MAX).unwrap();
    /// ```
    #[track_caller]
    #[expect(clippy::should_implement_trait, reason = "nobody adds builders up")]
    pub fn add<F, R>(self, f: F) -> Result<RoutineHandle, AddRoutineError>
    where
        F: FnOnce(&RoutineQuitter) -> R + Send + 'static,
        R: RoutineOutcome,
    {
        let mut thread = thread::Builder::new().name(thread_name(&self.name));
        if let Some(bytes) = self.stack_size {
            thread = thread.stack_size(bytes);
        }
        let live = self.check_in(Location::caller(), system::now())?;
        let handle = RoutineHandle {
            roster: Arc::clone(live.quitter.node().roster()),
            record: Arc::clone(live.quitter.record()),
        };
        // Where the thread is refused, std drops the closure, and `live` checks out.
        match thread.spawn(move || live::run(live, f)) {
            Ok(_detached) => Ok(handle),
            Err(source) => Err(AddRoutineError::Thread {
                name: handle.record.name.to_string(),
                source,
            }),
        }
    }

    /// Lists the caller's own work as a routine. As [`Quitter::guard`](crate::Quitter::guard).
    ///
    /// # Errors
    ///
    /// [`Quitting`] once the quitter was told to quit.
    #[track_caller]
    pub fn guard(self) -> Result<RoutineGuard, Quitting> {
        // A guard may live for less time than the exact clock takes to read.
        let live = self.check_in(Location::caller(), system::lately())?;
        Ok(RoutineGuard { live })
    }

    fn check_in(self, place: Place, now: Duration) -> Result<Live, Quitting> {
        panics::install_hook(live::announce_panic);
        panics::forget_last();
        let record = Arc::new(Record::new(self.name, place, self.on_failure, now));
        if thread::panicking() {
            record.set_unwinding();
        }
        let node = self.node.place();
        node.check_in(&record)?;
        let quitter = RoutineQuitter::new(node, record);
        Ok(Live { quitter })
    }
}

impl fmt::Debug for RoutineBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutineBuilder")
            .field("name", &self.name)
            .field("stack_size", &self.stack_size)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}

/// What std prints when the thread panics. It refuses a NUL, and would print all else as it is.
fn thread_name(name: &str) -> String {
    Name(name).to_string()
}
