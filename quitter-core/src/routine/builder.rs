//! Describes a routine, and starts it.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::guard::RoutineGuard;
use super::handle::{RoutineHandle, Runner};
use super::kind::Work;
use super::live::{self, Body, Live};
use super::outcome::RoutineOutcome;
use super::quitter::RoutineQuitter;
use super::record::Place;
use crate::error::{AddRoutineError, Quitting};
use crate::report::escape::Name;
use crate::report::failure::{FailureKind, OnFailure};
use crate::system;
use crate::threads;
use crate::trace::RoutineSpan;
use crate::tree::Node;

/// Below this, a thread overflows its stack before it reaches the routine.
const SMALLEST_STACK: usize = 16 * 1024;

/// Above this, std or the system overflows when it rounds the size up.
const LARGEST_STACK: usize = isize::MAX.unsigned_abs();

/// Describes a routine before it starts. Made by [`Quitter::routine`](crate::Quitter::routine).
#[must_use = "nothing starts until `add` or `guard` is called"]
pub struct RoutineBuilder<'a> {
    node: &'a Arc<Node>,
    pub(crate) name: Cow<'static, str>,
    stack_size: Option<usize>,
    /// `None`: the quitter's policy.
    on_failure: Option<OnFailure>,
    /// Whether a report may poll a task to find out what it awaits.
    pub(super) extra_poll: bool,
    /// The runtime that a task is spawned on; `None`: the caller's.
    #[cfg(feature = "tokio")]
    pub(crate) runtime: Option<tokio::runtime::Handle>,
    #[cfg(feature = "process")]
    pub(super) process: super::process::ProcessOptions,
}

impl<'a> RoutineBuilder<'a> {
    pub(crate) fn new(node: &'a Arc<Node>, name: Cow<'static, str>) -> Self {
        Self {
            node,
            name,
            stack_size: None,
            on_failure: None,
            extra_poll: true,
            #[cfg(feature = "process")]
            process: super::process::ProcessOptions::default(),
            #[cfg(feature = "tokio")]
            runtime: None,
        }
    }

    /// Sets the size of the thread's stack in bytes. The default is std's: 2 MiB, unless
    /// `RUST_MIN_STACK` says otherwise.
    ///
    /// Sizes below 16 KiB count as 16 KiB, and those above `isize::MAX` as `isize::MAX`, since some
    /// systems crash on them.
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
        self.stack_size = Some(bytes.clamp(SMALLEST_STACK, LARGEST_STACK));
        self
    }

    /// Sets how the program responds to the routine's failure. The default is the quitter's:
    /// [`Quitter::on_failure`](crate::Quitter::on_failure).
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = Some(on_failure);
        self
    }

    /// Sets whether a report with stacks may have a task polled once more, to find out what the task
    /// awaits. The default is `true`. This has no effect without the feature `stacks`, or on other kinds of
    /// routines.
    ///
    /// The contract of [`Future`] allows a poll at any time, and executors and combinators such as
    /// `select!` make spurious polls. Pass `false` for a task whose futures do not tolerate them; then the
    /// report cannot say where the task is suspended. So that it can be polled, a task also keeps a clone
    /// of its waker: pass `false` for a task that an executor should drop once nothing else can wake it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// let legacy = root.routine("legacy").extra_poll(false);
    /// let task = legacy.task(|q| async move { q.quitting().await }).unwrap();
    /// # drop(task);
    /// ```
    pub fn extra_poll(mut self, allowed: bool) -> Self {
        self.extra_poll = allowed;
        self
    }

    /// Starts the routine, like [`Quitter::add_routine`](crate::Quitter::add_routine).
    ///
    /// # Errors
    ///
    /// Those of [`Quitter::add_routine`](crate::Quitter::add_routine).
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
        let body = |q: &RoutineQuitter, failed: &dyn Fn(FailureKind)| live::settle(f, q, failed);
        self.start(Box::new(body), Location::caller())
    }

    fn start(self, body: Body, place: Place) -> Result<RoutineHandle, AddRoutineError> {
        let mut thread = thread::Builder::new().name(thread_name(&self.name));
        if let Some(bytes) = self.stack_size {
            thread = thread.stack_size(bytes);
        }
        let live = self.check_in(Work::Thread, place, system::now())?;
        let (node, record) = (live.quitter().node(), live.quitter().record());
        let (node, record) = (Arc::downgrade(node), Arc::clone(record));
        // If the thread is refused, std drops the closure, and `live` checks out.
        match threads::spawn(thread, Box::new(move || live.run(body))) {
            Ok(thread) => {
                let runner = Runner::Thread(thread.thread().clone());
                Ok(RoutineHandle::new(node, record, runner))
            }
            Err(source) => Err(AddRoutineError::Thread {
                name: record.name.to_string(),
                source,
            }),
        }
    }

    /// Tracks work started elsewhere, like [`Quitter::guard`](crate::Quitter::guard). A stack size
    /// has no effect.
    ///
    /// # Errors
    ///
    /// [`Quitting`] if the quitter has been told to quit.
    #[track_caller]
    pub fn guard(self) -> Result<RoutineGuard, Quitting> {
        self.guard_of(Work::Guard)
    }

    #[track_caller]
    pub(crate) fn guard_of(self, work: Work) -> Result<RoutineGuard, Quitting> {
        // Reading the exact clock may take longer than the guard lives.
        let live = self.check_in(work, Location::caller(), system::now_coarse())?;
        Ok(RoutineGuard::new(live))
    }

    pub(super) fn check_in(
        self,
        work: Work,
        place: Place,
        now: Duration,
    ) -> Result<Live, Quitting> {
        self.list(work, place, now).map(Live::new)
    }

    /// Like [`check_in`](Self::check_in), but the caller has to check the routine out.
    #[inline]
    pub(super) fn list(
        self,
        work: Work,
        place: Place,
        now: Duration,
    ) -> Result<(RoutineQuitter, RoutineSpan), Quitting> {
        live::check_in(self.node, work, self.name, place, self.on_failure, now)
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

/// Escapes a name: std panics if it contains a NUL, and prints it when the thread panics.
fn thread_name(name: &str) -> String {
    Name(name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_sizes_that_crash_some_systems_are_clamped() {
        let root = Node::root("root".into(), None);
        let clamped = |bytes| {
            let builder = RoutineBuilder::new(&root, "routine".into());
            builder.stack_size(bytes).stack_size.unwrap()
        };
        assert_eq!(clamped(0), 16 * 1024);
        assert_eq!(clamped(1 << 20), 1 << 20);
        assert_eq!(clamped(usize::MAX), isize::MAX.unsigned_abs());
    }
}
