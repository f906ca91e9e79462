//! A child process, seen from outside.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::os::{self, Remote};
use super::output::Stream;
use crate::blocking;
use crate::report::timeouts::Timeouts;
use crate::routine::awaiting::Mark;
use crate::routine::handle::wait_for;
use crate::routine::panics;
use crate::routine::record::Record;
use crate::tree::Node;

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
    /// The writing end of its standard input, if the command asked for a pipe. A process that reads its
    /// input to the end needs it to be dropped.
    pub stdin: Option<ChildStdin>,
    /// The reading end of its standard output, if the command asked for a pipe.
    pub stdout: Option<ChildStdout>,
    /// The reading end of its standard error, if the command asked for a pipe.
    pub stderr: Option<ChildStderr>,
    pub(super) pid: u32,
    /// Weak: a handle must not keep the quitter in the tree.
    pub(super) node: Weak<Node>,
    pub(super) record: Arc<Record>,
    /// `None`: it had ended when it was adopted.
    pub(super) remote: Option<Remote>,
    pub(super) end: Arc<End>,
}

/// Shared by the handles and the reaper.
#[derive(Default)]
pub(super) struct End {
    /// Set before the routine is done.
    end: OnceLock<ProcessEnd>,
    /// The futures that wait, by their keys.
    waiting: Mutex<BTreeMap<u64, Waker>>,
}

impl End {
    pub(super) fn set(&self, end: ProcessEnd) {
        let _ = self.end.set(end);
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the futures. To be called when the routine is done.
    pub(super) fn wake(&self) {
        // A statement of its own: nobody is woken under the lock.
        let waiting = std::mem::take(&mut *self.waiting());
        for waker in waiting.into_values() {
            // The executor's code. If it panics, the others are woken all the same.
            panics::catch(|| waker.wake(), |_| ());
        }
    }
}

/// A future that is ready once a child process has ended. Made by [`ProcessHandle::ended`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct ProcessEnded {
    record: Arc<Record>,
    end: Arc<End>,
    /// Unique among those that wait for the same end.
    key: u64,
    /// There from the first poll to the last.
    mark: Option<Mark>,
}

impl Future for ProcessEnded {
    type Output = ProcessEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ProcessEnd> {
        if !self.record.is_finished() {
            self.mark.get_or_insert_with(Mark::new);
            let waker = cx.waker().clone();
            // A statement of its own: the one before is not dropped under the lock.
            let before = self.end.waiting().insert(self.key, waker);
            drop(before);
        }
        // Again, since it may have ended before the waker was there.
        if !self.record.is_finished() {
            return Poll::Pending;
        }
        self.mark = None;
        Poll::Ready(end_of(&self.end))
    }
}

impl Drop for ProcessEnded {
    fn drop(&mut self) {
        // A statement of its own, too.
        let waker = self.end.waiting().remove(&self.key);
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
/// The [`Display`](fmt::Display) form is "exit status: 3", "signal: 11 (SIGSEGV)", and at a quit
/// "signal: 15 (SIGTERM), after the stop signal". If it ended in time, and others in its group had to be
/// killed, it is "signal: 15 (SIGTERM), the rest of its group killed". If nobody read its output any more,
/// it is "signal: 13 (SIGPIPE), after the program's stdout was closed".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessEnd {
    /// Its exit status. `None` if other code of the program has taken it, by waiting for any child.
    pub status: Option<ExitStatus>,
    /// Why it ended.
    pub by: EndedBy,
    /// The program's own stream that nobody reads any more, so that the process could not write on.
    pub(super) unread: Option<Stream>,
}

/// Why a child process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndedBy {
    /// It ended by itself, or by what others did to it: the quitter had not told it to stop.
    Itself,
    /// The quit had sent it the stop signal, and it ended after that.
    StopSignal,
    /// The quit had sent it the stop signal, and it did not end. So it was killed. If it had ended by
    /// then, but others in the group that it led had not, they were killed: then the exit status, which
    /// is its own, is another than that of a kill, such as SIGTERM. That is known where there is `/proc`.
    Kill,
}

impl ProcessEnd {
    /// Whether its exit code is 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Whether it was killed itself, and not only others in its group.
    pub(super) fn is_own_kill(&self) -> bool {
        self.by == EndedBy::Kill && self.status.is_none_or(os::is_killed)
    }

    /// Whether its pipe was closed before it ended, since nobody reads the program's stdout or stderr any
    /// more: see [`ProcessOutput::Prefixed`](crate::ProcessOutput::Prefixed). Most programs end by that, with
    /// SIGPIPE, or with an exit code of their own. To start it anew would be of no use.
    #[must_use]
    pub fn is_output_closed(&self) -> bool {
        self.unread.is_some()
    }

    /// Whether the quit ended it, and not itself.
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

    /// Asks how the process ended, once its routine is done.
    pub(crate) fn end_once_finished(&self) -> impl FnOnce() -> ProcessEnd + Send + use<> {
        let end = Arc::clone(&self.end);
        move || end_of(&end)
    }
}

impl ProcessHandle {
    /// The process's number in the operating system. It may be another process's once this one is
    /// [finished](Self::is_finished): to signal it, use [`send_signal`](Self::send_signal).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

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

    /// Whether the process has ended and was reaped, and, where it led a group, the group has ended,
    /// too.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.record.is_finished()
    }

    /// How the process ended. `None` while it is not [finished](Self::is_finished).
    #[must_use]
    pub fn end(&self) -> Option<ProcessEnd> {
        self.is_finished().then(|| end_of(&self.end))
    }

    /// Blocks until the process has ended, for at most `timeout`; [`Duration::MAX`] waits for ever.
    /// Returns how it ended.
    ///
    /// Does not tell it to end, and closes no pipe: a process that waits for the end of its input needs
    /// [`stdin`](Self::stdin) to be dropped. May be called again, and from several threads. Like
    /// [`Quitter::wait_done`](crate::Quitter::wait_done), it ends by the deadline of a quit.
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
        blocking::say("wait", "wait_async", Location::caller(), || {
            !timeout.is_zero() && !self.is_finished()
        });
        wait_for(&self.node, &self.record, timeout)?;
        Ok(end_of(&self.end))
    }

    /// A future that is ready once the process has ended: what [`wait`](Self::wait) is to threads, on
    /// any executor. A task that awaits it is listed as one that waits for others, as with
    /// [`done`](crate::Quitter::done). It borrows nothing, and may be dropped at any time. No deadline
    /// ends it: to limit it, use the executor's timeout, or on tokio `wait_async`.
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

    /// Sends the process a signal, such as SIGHUP to a server that is to read its configuration again.
    /// Only the process gets it, not its group.
    ///
    /// Unlike `kill` with the [`pid`](Self::pid) it never meets another process that has got the number.
    /// A process that the signal ends has ended by itself, and what that means is up to
    /// [`failure_on`](crate::RoutineBuilder::failure_on). To stop a single process, give it a
    /// [child quitter](crate::Quitter::child) of its own, and tell that to quit.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if the process has ended, [`io::ErrorKind::InvalidInput`] if the
    /// number is none of the signals with a name, and [`io::ErrorKind::Unsupported`] on Windows.
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
