//! Routines that are tasks of a tokio runtime.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::error::AddRoutineError;
use crate::quitter::Quitter;
use crate::routine::builder::RoutineBuilder;
use crate::routine::handle::{RoutineHandle, Runner};
use crate::routine::name::describe;
use crate::routine::outcome::RoutineOutcome;
use crate::routine::quitter::RoutineQuitter;

impl Quitter {
    /// Starts a routine that is a task: spawns the future that `f` returns on the current tokio runtime. This
    /// is the counterpart of [`add_routine`](Self::add_routine) for tasks.
    ///
    /// The name is the one under which `#[quitter::routine]` registered `f`, or else the function's
    /// own. Use [`routine`](Self::routine) to choose a name, or a
    /// [runtime](RoutineBuilder::on).
    ///
    /// The task is a routine from this call until its future ends, like a [`Task`](crate::Task). If its
    /// runtime drops the task, for example because it shuts down, the routine is cancelled. The program's end
    /// waits for the task, so the task has to learn of the quit and return: see
    /// [`quitting`](RoutineQuitter::quitting) and [`cancel_on_quit`](RoutineQuitter::cancel_on_quit). Methods
    /// of the routine that block, such as [`sleep`](RoutineQuitter::sleep), block a thread of the runtime.
    ///
    /// # Errors
    ///
    /// * [`AddRoutineError::Quitting`] if this quitter has been told to quit.
    /// * [`AddRoutineError::NoRuntime`] outside of a tokio runtime.
    /// * [`AddRoutineError::RuntimeShutDown`] if the runtime no longer accepts tasks.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    /// use quitter::{Quitter, Quitting, RoutineQuitter};
    ///
    /// async fn heartbeat(q: RoutineQuitter) -> Result<(), Quitting> {
    ///     loop {
    ///         q.cancel_on_quit(tokio::time::sleep(Duration::from_secs(1))).await?;
    ///         println!("beat");
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let root = Quitter::root("main");
    /// let handle = root.add_task(heartbeat).unwrap();
    /// assert_eq!(handle.name(), "heartbeat");
    /// root.quit_and_wait_async(Duration::from_secs(2)).await.unwrap();
    /// # }
    /// ```
    #[track_caller]
    pub fn add_task<F, Fut>(&self, f: F) -> Result<RoutineHandle, AddRoutineError>
    where
        F: FnOnce(RoutineQuitter) -> Fut + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: RoutineOutcome,
    {
        describe::<F>(self.node()).add_task(f)
    }
}

impl RoutineQuitter {
    /// Starts a task beside this routine, like [`Quitter::add_task`].
    ///
    /// # Errors
    ///
    /// Those of [`Quitter::add_task`].
    #[track_caller]
    pub fn add_task<F, Fut>(&self, f: F) -> Result<RoutineHandle, AddRoutineError>
    where
        F: FnOnce(RoutineQuitter) -> Fut + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: RoutineOutcome,
    {
        describe::<F>(self.record_call()).add_task(f)
    }
}

impl RoutineBuilder<'_> {
    /// Sets the runtime on which [`add_task`](Self::add_task) spawns. The default is the runtime of the
    /// caller.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    ///
    /// let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    /// let root = quitter::Quitter::root("main");
    /// let worker = root.routine("worker").on(runtime.handle());
    /// worker.add_task(|q| async move { q.quitting().await }).unwrap();
    /// root.quit_and_wait(Duration::from_secs(2)).unwrap();
    /// ```
    pub fn on(mut self, runtime: &Handle) -> Self {
        self.runtime = Some(runtime.clone());
        self
    }

    /// Starts the routine as a task, like [`Quitter::add_task`]. A stack size has no effect.
    ///
    /// `f` is called at once, and the future that it returns is spawned.
    ///
    /// # Errors
    ///
    /// Those of [`Quitter::add_task`].
    #[track_caller]
    pub fn add_task<F, Fut>(mut self, f: F) -> Result<RoutineHandle, AddRoutineError>
    where
        F: FnOnce(RoutineQuitter) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: RoutineOutcome,
    {
        let Some(runtime) = self.runtime.take().or_else(|| Handle::try_current().ok()) else {
            let name = self.name.into_owned();
            return Err(AddRoutineError::NoRuntime { name });
        };
        let mut is_of = None;
        let task = self.task(|quitter| {
            let (node, record) = (quitter.node(), quitter.record());
            is_of = Some((Arc::downgrade(node), Arc::clone(record)));
            f(quitter)
        })?;
        let (node, record) = is_of.expect("the task was made");
        let spawned = runtime.spawn(task);
        // Nothing else could have aborted the task yet: the runtime refused it.
        if record.is_cancelled() {
            let name = record.name.to_string();
            return Err(AddRoutineError::RuntimeShutDown { name });
        }
        Ok(RoutineHandle::new(node, record, Runner::Task(spawned)))
    }
}

impl RoutineHandle {
    /// Aborts a task: its runtime drops the future at its current await, and the routine is cancelled, which
    /// is not a failure. Returns whether the task will be dropped, unless it ends by itself first.
    ///
    /// A task that is inside a poll, and does not return from it, goes on. A thread cannot be aborted: if the
    /// routine is a thread, nothing happens. So the tidy way is to give the routine a quitter of its own and
    /// tell that to quit.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let root = quitter::Quitter::root("main");
    /// let task = root.routine("waits").add_task(|_| std::future::pending::<()>()).unwrap();
    /// assert!(task.abort());
    /// task.wait_async(Duration::MAX).await.unwrap();
    /// assert!(!task.abort() && root.failures().is_empty());
    /// # }
    /// ```
    pub fn abort(&self) -> bool {
        match self.runner() {
            Runner::Task(task) if !self.is_finished() => {
                task.abort();
                true
            }
            Runner::Task(_) | Runner::Thread(_) => false,
        }
    }
}
