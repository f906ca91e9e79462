//! Handles to child processes, and how the processes end.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::os::{self, Remote};
use super::output::Stream;
use crate::blocking::warn_if_blocking;
use crate::report::timeouts::Timeouts;
use crate::routine::awaiting::Mark;
use crate::routine::handle::wait_for;
use crate::routine::record::Record;
use crate::sync::lock_std;
use crate::tree::{self, Node};

/// A child process that is a routine. Made by [`Quitter::add_process`](crate::Quitter::add_process).
/// Dropping it detaches the process, which goes on, supervised by its quitter; pipes that are still in
/// the handle are closed.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// # #[cfg(unix)] {
/// use std::io::{Read, Write};
/// use std::process::{Command, Stdio};
/// use std::time::Duration;
///
/// let root = quitter::Quitter::root("main");
/// let mut cat = Command::new("cat");
/// cat.stdin(Stdio::piped()).stdout(Stdio::piped());
/// let mut cat = root.add_process(cat).unwrap();
/// assert_eq!(cat.name(), "cat");
///
/// // Dropped at the end of the statement: `cat` finds the end of its input.
/// cat.stdin.take().unwrap().write_all(b"meow").unwrap();
/// let mut text = String::new();
/// cat.stdout.take().unwrap().read_to_string(&mut text).unwrap();
/// assert_eq!(text, "meow");
/// assert!(cat.wait(Duration::MAX).unwrap().is_success());
/// # }
/// ```
#[non_exhaustive]
pub struct ProcessHandle {
    /// The write end of the process's standard input, if the command asked for a pipe. A process that reads
    /// its input to the end only ends once this is dropped.
    pub stdin: Option<ChildStdin>,
    /// The read end of the process's standard output, if the command asked for a pipe.
    pub stdout: Option<ChildStdout>,
    /// The read end of the process's standard error, if the command asked for a pipe.
    pub stderr: Option<ChildStderr>,
    pub(super) pid: u32,
    /// Weak: a handle must not keep the quitter in the tree.
    pub(super) node: Weak<Node>,
    pub(super) record: Arc<Record>,
    /// `None`: the process had ended when it was adopted.
    pub(super) remote: Option<Remote>,
    pub(super) end: Arc<End>,
}

/// Shared by the handles and the reaper.
#[derive(Default)]
pub(super) struct End {
    /// Set before the routine is done.
    end: OnceLock<ProcessEnd>,
    /// The wakers of waiting futures, by their keys.
    waiting: Mutex<BTreeMap<u64, Waker>>,
}

impl End {
    pub(super) fn set(&self, end: ProcessEnd) {
        let _ = self.end.set(end);
    }

    /// Wakes the waiting futures. To be called when the routine is done.
    pub(super) fn wake(&self) {
        // A separate statement, so that no waker is called under the lock.
        let waiting = std::mem::take(&mut *lock_std(&self.waiting));
        tree::wake_futures(waiting.into_values());
    }
}

/// A future that is ready once a child process has ended. Made by [`ProcessHandle::ended`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct ProcessEnded {
    record: Arc<Record>,
    end: Arc<End>,
    /// Unique among the futures that wait for the same end.
    key: u64,
    /// Present from the first poll to the last.
    mark: Option<Mark>,
}

impl Future for ProcessEnded {
    type Output = ProcessEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ProcessEnd> {
        if !self.record.is_finished() {
            self.mark.get_or_insert_with(Mark::new);
            let waker = cx.waker().clone();
            // A separate statement, so that the previous waker is not dropped under the lock.
            let before = lock_std(&self.end.waiting).insert(self.key, waker);
            drop(before);
        }
        // Checked again, since the process may have ended before the waker was stored.
        if !self.record.is_finished() {
            return Poll::Pending;
        }
        self.mark = None;
        Poll::Ready(end_of(&self.end))
    }
}

impl Drop for ProcessEnded {
    fn drop(&mut self) {
        // A separate statement, so that the waker is not dropped under the lock.
        let waker = lock_std(&self.end.waiting).remove(&self.key);
        drop(waker);
    }
}

impl fmt::Debug for ProcessEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessEnded").finish_non_exhaustive()
    }
}

/// The end of a routine that is done.
fn end_of(end: &End) -> ProcessEnd {
    let unknown = ProcessEnd {
        status: None,
        by: EndedBy::Itself,
        unread: None,
    };
    end.end.get().copied().unwrap_or(unknown)
}

/// How a child process ended.
///
/// The [`Display`](fmt::Display) form is "exit status: 3", "signal: 11 (SIGSEGV)", and at a quit "signal:
/// 15 (SIGTERM), after the stop signal". If the process ended in time, but others in its group had to be
/// killed, it is "signal: 15 (SIGTERM), the rest of its group killed". If nobody read the process's output
/// any more, it is "signal: 13 (SIGPIPE), after the program's stdout was closed".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessEnd {
    /// The exit status. `None` if other code of the program took it, by waiting for any child.
    pub status: Option<ExitStatus>,
    /// Why the process ended.
    pub by: EndedBy,
    /// The program's own stream that nobody reads any more, so that the process's pipe was closed.
    pub(super) unread: Option<Stream>,
}

/// Why a child process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndedBy {
    /// It ended by itself, or because of others: the quitter had not told it to stop.
    Itself,
    /// The quit had sent it the stop signal, and it ended after that.
    StopSignal,
    /// The quit had sent it the stop signal, it did not end, and so it was killed. Or it had ended by then,
    /// but others in the group that it led had not, and they were killed: then the exit status is the
    /// process's own, such as SIGTERM, not that of a kill. This is only known where there is `/proc`.
    Kill,
}

impl ProcessEnd {
    /// Returns whether the exit code is 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Whether the process itself was killed, not only others in its group.
    pub(super) fn is_own_kill(&self) -> bool {
        self.by == EndedBy::Kill && self.status.is_none_or(os::is_killed)
    }

    /// Returns whether the process's pipe was closed before it ended, since nobody reads the program's
    /// stdout or stderr any more: see [`ProcessOutput::Prefixed`](crate::ProcessOutput::Prefixed). Most
    /// programs end because of that, by SIGPIPE or with an exit code of their own. Restarting the process
    /// would be of no use.
    #[must_use]
    pub fn is_output_closed(&self) -> bool {
        self.unread.is_some()
    }

    /// Returns whether the quit ended the process.
    #[must_use]
    pub fn is_by_quit(&self) -> bool {
        self.by != EndedBy::Itself
    }
}

impl fmt::Display for ProcessEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => status.fmt(f)?,
            None => f.write_str("exit status unknown")?,
        }
        if let (EndedBy::Itself, Some(stream)) = (self.by, self.unread) {
            return write!(f, ", after the program's {stream} was closed");
        }
        f.write_str(match self.by {
            EndedBy::Itself => "",
            EndedBy::StopSignal => ", after the stop signal",
            EndedBy::Kill if self.is_own_kill() => ", killed",
            EndedBy::Kill => ", the rest of its group killed",
        })
    }
}

#[cfg(feature = "tokio")]
impl ProcessHandle {
    pub(crate) fn node(&self) -> &Weak<Node> {
        &self.node
    }

    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Returns a function that says how the process ended, to be called once its routine is done.
    pub(crate) fn end_once_finished(&self) -> impl FnOnce() -> ProcessEnd + Send + use<> {
        let end = Arc::clone(&self.end);
        move || end_of(&end)
    }
}

impl ProcessHandle {
    /// Returns the process's number in the operating system. Once the process is
    /// [finished](Self::is_finished), the system may give the number to another process: to signal the
    /// process, use [`send_signal`](Self::send_signal).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
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

    /// Returns whether the process has ended and was reaped, and, if it led a group, the group has ended,
    /// too.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.record.is_finished()
    }

    /// Returns how the process ended, or `None` if it is not yet [finished](Self::is_finished).
    #[must_use]
    pub fn end(&self) -> Option<ProcessEnd> {
        self.is_finished().then(|| end_of(&self.end))
    }

    /// Blocks until the process has ended, for at most `timeout`; [`Duration::MAX`] waits without a limit.
    /// Returns how it ended.
    ///
    /// This does not tell the process to end, and closes no pipe: a process that waits for the end of its
    /// input needs [`stdin`](Self::stdin) to be dropped. It may be called again, and from several threads.
    /// Like [`Quitter::wait_done`](crate::Quitter::wait_done), it ends by the deadline of a quit.
    ///
    /// # Errors
    ///
    /// [`Timeouts`], which lists this one routine.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// # #[cfg(unix)] {
    /// use std::process::Command;
    /// use std::time::Duration;
    /// use quitter::EndedBy;
    ///
    /// let root = quitter::Quitter::root("main");
    /// let mut command = Command::new("sleep");
    /// command.arg("100");
    /// let sleep = root.add_process(command).unwrap();
    /// assert!(sleep.wait(Duration::ZERO).is_err());
    /// root.quit_and_wait(Duration::from_secs(10)).unwrap();
    /// assert_eq!(sleep.wait(Duration::ZERO).unwrap().by, EndedBy::StopSignal);
    /// # }
    /// ```
    #[track_caller]
    pub fn wait(&self, timeout: Duration) -> Result<ProcessEnd, Timeouts> {
        warn_if_blocking("wait", "wait_async", Location::caller(), || {
            !timeout.is_zero() && !self.is_finished()
        });
        wait_for(&self.node, &self.record, timeout)?;
        Ok(end_of(&self.end))
    }

    /// Returns a future that is ready once the process has ended: [`wait`](Self::wait) for async code, on
    /// any executor. A task that awaits it is listed as waiting for others, as with
    /// [`done`](crate::Quitter::done). The future borrows nothing, and may be dropped at any time. No
    /// deadline ends it: to limit it, use the executor's timeout, or on tokio `wait_async`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// # #[cfg(unix)] {
    /// # use std::process::Command;
    /// # async fn check() {
    /// let root = quitter::Quitter::root("main");
    /// let check = root.add_process(Command::new("true")).unwrap();
    /// assert!(check.ended().await.is_success());
    /// # }
    /// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// # let mut check = std::pin::pin!(check());
    /// # while check.as_mut().poll(&mut cx).is_pending() {}
    /// # }
    /// ```
    pub fn ended(&self) -> ProcessEnded {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ProcessEnded {
            record: Arc::clone(&self.record),
            end: Arc::clone(&self.end),
            key: NEXT.fetch_add(1, Ordering::Relaxed),
            mark: None,
        }
    }

    /// Sends the process a signal, such as SIGHUP to make a server read its configuration again. Only the
    /// process gets the signal, not its group.
    ///
    /// Unlike `kill` with the [`pid`](Self::pid), this never reaches another process that has the same
    /// number by now. If the signal ends the process, the process counts as having ended by itself, and
    /// [`failure_on`](crate::RoutineBuilder::failure_on) says whether that is a failure. To stop a single
    /// process, give it a [child quitter](crate::Quitter::child) of its own, and tell that quitter to quit.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if the process has ended, [`io::ErrorKind::InvalidInput`] if the number
    /// is not that of a named signal, and [`io::ErrorKind::Unsupported`] on Windows.
    pub fn send_signal(&self, number: i32) -> io::Result<()> {
        match self.remote {
            Some(remote) => remote.send(number),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl fmt::Debug for ProcessHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessHandle")
            .field("pid", &self.pid)
            .field("id", &self.id())
            .field("name", &self.name())
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}
