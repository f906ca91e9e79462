//! Child processes on Unix: how their ends are noticed, and how they are signalled and reaped.
//!
//! On Linux, a pidfd reports that a process has ended, and one thread waits for all of them (`ends.rs`).
//! Where there is no pidfd (other systems, Linux before 5.3, no descriptor left), a thread per process
//! waits, and leaves the reaping to the reaper.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use super::ends::Ends;
use super::groups::Listed;
pub(super) use super::groups::Starting;
pub(crate) use super::groups::{kill_all, listed};
use super::output::Stream;
pub(super) use super::readers::Readers;
use super::reaper::{Ended, ProcessWaker};
use crate::stands::own;
use crate::threads;

/// The signal that asks a process to stop.
#[derive(Clone, Copy)]
pub(super) struct StopSignal(Signal);

impl StopSignal {
    /// `None`: the number is not that of a named signal.
    pub(super) fn new(number: i32) -> Option<Self> {
        Signal::from_named_raw(number).map(Self)
    }

    pub(super) fn number(self) -> i32 {
        self.0.as_raw()
    }
}

pub(super) const DEFAULT_STOP_SIGNAL: i32 = libc::SIGTERM;

/// Makes the command's process the leader of a group of its own.
pub(super) fn lead_a_group(command: &mut Command) {
    command.process_group(0);
}

pub(super) fn signal_of(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// Whether a signal asks a process to end: SIGINT, SIGTERM or SIGHUP.
pub(super) fn asks_to_end(signal: i32) -> bool {
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].contains(&signal)
}

/// Whether SIGKILL ended the process.
pub(super) fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(libc::SIGKILL)
}

/// A started process, until it is reaped.
pub(super) struct Leader {
    child: Child,
    listed: Listed,
    watch: Watch,
    has_ended: bool,
    /// Other code of the program has reaped the process: its number may belong to another by now.
    is_lost: bool,
}

/// How the end of a process is noticed.
enum Watch {
    /// The end is reported as long as this is open.
    Pidfd(OwnedFd),
    /// A thread sets the flag at the end.
    Thread(Arc<AtomicBool>),
}

/// Signals a process from any thread.
#[derive(Clone, Copy)]
pub(super) struct Remote(Listed);

impl Remote {
    pub(super) fn send(self, number: i32) -> io::Result<()> {
        let signal = Signal::from_named_raw(number).ok_or(io::ErrorKind::InvalidInput)?;
        match self.0.signal_process(signal) {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the process has ended",
            )),
        }
    }
}

impl Leader {
    /// Lists the process, and prepares for its end. On an error, the process has been killed.
    pub(super) fn new(
        mut child: Child,
        leads_a_group: bool,
        starting: &Starting,
        waker: &Arc<ProcessWaker>,
    ) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
        let listed = starting.list(pid, leads_a_group);
        match watch(pid, waker) {
            Ok(watch) => Ok(Self {
                child,
                listed,
                watch,
                has_ended: false,
                is_lost: false,
            }),
            Err(error) => {
                let _ = listed.signal(Signal::KILL);
                while !listed.remove() {
                    thread::yield_now();
                }
                let _ = child.wait();
                Err(error)
            }
        }
    }

    pub(super) fn remote(&self) -> Remote {
        Remote(self.listed)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process has ended, as of the last look. It is not reaped yet, so its number is still its
    /// own.
    pub(super) fn has_ended(&self) -> bool {
        // The thread that waits for it may have noticed the end before the last look.
        let is_flagged = |watch: &Watch| match watch {
            Watch::Pidfd(_) => false,
            Watch::Thread(has_ended) => has_ended.load(Ordering::Acquire),
        };
        self.has_ended || is_flagged(&self.watch)
    }

    /// Asks the process, or its group, to stop. A suspended process is continued, since it would not notice
    /// otherwise.
    pub(super) fn stop(&mut self, signal: StopSignal) {
        if !self.is_lost {
            let _ = self.listed.signal(signal.0);
            let _ = self.listed.signal(Signal::CONT);
        }
    }

    /// Kills the process, or its group. An error if that belongs to another user, for example because this
    /// program has changed its own user.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        match self.is_lost {
            true => Ok(()),
            false => self.listed.signal(Signal::KILL),
        }
    }

    /// Whether the group of a process that has ended may have other members. This is quick, but works only
    /// once; the census is exact, but looks at every process of the system.
    ///
    /// The system reports the highest priority in a group. So this lowers the priority of the ended leader
    /// to the lowest, and other members show by a higher one. Members that also have the lowest priority do
    /// not show, unless the leader had it before: then the answer is that there may be some.
    #[cfg(target_os = "linux")]
    pub(super) fn may_have_members(&self) -> bool {
        use rustix::process::{getpriority_pgrp, getpriority_process, setpriority_process};
        const LOWEST: i32 = 19;
        let Some(pid) = self.own_pid() else {
            return false;
        };
        let is_lowest = |priority| priority == Ok(LOWEST);
        is_lowest(getpriority_process(Some(pid)))
            || setpriority_process(Some(pid), LOWEST).is_err()
            || !is_lowest(getpriority_pgrp(Some(pid)))
    }

    /// Without a census, an answer is of no use.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn may_have_members(&self) -> bool {
        false
    }

    /// The process's number, if it is still its own.
    fn own_pid(&self) -> Option<Pid> {
        Pid::from_raw(self.child.id().cast_signed()).filter(|_| !self.is_lost)
    }

    /// Reaps the process. Pending: another thread is signalling it, so try again soon. `None`: other code of
    /// the program has reaped it.
    pub(super) fn reap(&mut self) -> Poll<Option<ExitStatus>> {
        match self.listed.remove() {
            true => Poll::Ready(self.child.try_wait().ok().flatten()),
            false => Poll::Pending,
        }
    }

    /// Whether the system reports the end, though it may not allow reaping yet.
    pub(super) fn is_told(&self) -> bool {
        let Watch::Pidfd(pidfd) = &self.watch else {
            return false;
        };
        let mut end = [PollFd::new(pidfd, PollFlags::IN)];
        poll(&mut end, Some(&Timespec::default())).is_ok_and(|ended| ended > 0)
    }

    /// Checks whether the process is running, without reaping it.
    pub(super) fn look(&mut self) -> bool {
        let Some(pid) = self.own_pid() else {
            return false;
        };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        self.has_ended = match waitid(WaitId::Pid(pid), options) {
            Ok(ended) => ended.is_some(),
            Err(error) => {
                self.is_lost = error == Errno::CHILD;
                self.is_lost
            }
        };
        !self.has_ended()
    }
}

fn watch(pid: Pid, waker: &Arc<ProcessWaker>) -> io::Result<Watch> {
    match waker.sleeper().ends.watch(pid, waker.key()) {
        Some(pidfd) => Ok(Watch::Pidfd(pidfd)),
        None => wait_on_a_thread(pid, Arc::clone(waker)).map(Watch::Thread),
    }
}

fn wait_on_a_thread(pid: Pid, waker: Arc<ProcessWaker>) -> io::Result<Arc<AtomicBool>> {
    const STACK: usize = 64 * 1024;
    let has_ended = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&has_ended);
    let wait = move || {
        let _own = own::mark_as_waking();
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
        flag.store(true, Ordering::Release);
        waker.wake();
    };
    let thread = thread::Builder::new().name("quitter wait".to_owned());
    threads::spawn(thread.stack_size(STACK), Box::new(wait))?;
    Ok(has_ended)
}

/// Wakes a thread that polls. It also serves as a waker for futures. Every call writes a byte, as far as
/// there is room: a caller cannot rely on another one, which may have been preempted before it wrote.
pub(super) struct Wakeup {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Wakeup {
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        ioctl_fionbio(&reader, true)?;
        ioctl_fionbio(&writer, true)?;
        Ok(Self { reader, writer })
    }

    fn call(&self) {
        let _ = (&self.writer).write(&[0]);
    }

    /// Clears the notice of all calls so far. Look for the reasons of the calls only after this.
    pub(super) fn clear(&self) {
        // A pipe that holds more stays readable for the next time.
        let _ = (&self.reader).read(&mut [0; 4096]);
    }
}

impl AsFd for Wakeup {
    /// Readable when there was a call.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.call();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.call();
    }
}

/// The maximum length of a piece of text written at once: what a pipe takes without blocking once it takes
/// anything, which is a page on Linux, and what POSIX guarantees elsewhere.
pub(super) const WRITTEN_AT_ONCE: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// Waits until one of the program's own streams takes text, or is broken. Returns whether it does or is.
pub(super) fn takes_text(stream: Stream, timeout: Option<Duration>) -> bool {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let stream = match stream {
        Stream::Out => stdout.as_fd(),
        Stream::Err => stderr.as_fd(),
    };
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(
        &mut [PollFd::from_borrowed_fd(stream, PollFlags::OUT)],
        timeout.as_ref(),
    ) {
        Ok(ready) => ready > 0,
        Err(Errno::INTR) => false,
        // Out of memory, or the limit of descriptors was lowered: let the write find out, but do not spin.
        Err(_) => {
            thread::sleep(Duration::from_millis(1));
            true
        }
    }
}

/// Where the reaper sleeps.
pub(super) struct Sleeper {
    wakeup: Wakeup,
    ends: Ends,
}

impl Sleeper {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            wakeup: Wakeup::new()?,
            ends: Ends::new()?,
        })
    }

    pub(super) fn wake(&self) {
        self.wakeup.call();
    }

    /// Sleeps until a call of [`wake`](Self::wake), the end of a process, or `until`.
    pub(super) fn sleep(&self, until: Option<Instant>, _processes: usize) -> Ended {
        let mut files = vec![PollFd::new(&self.wakeup, PollFlags::IN)];
        let ends = self.ends.descriptor();
        files.extend(ends.map(|ends| PollFd::new(ends, PollFlags::IN)));
        let polled = poll(&mut files, until.map(left).as_ref());
        self.wakeup.clear();
        match polled {
            Ok(_) | Err(Errno::INTR) => Ended::Keys(self.ends.take()),
            // Out of memory, or the limit of descriptors was lowered: check each process, but do not spin.
            Err(_) => {
                thread::sleep(Duration::from_millis(10));
                Ended::Any
            }
        }
    }
}

/// The time until `until`, rounded up, so that the poll does not return before it.
fn left(until: Instant) -> Timespec {
    let left = until.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    Timespec::try_from(left).unwrap_or(Timespec {
        tv_sec: i64::from(i32::MAX),
        tv_nsec: 0,
    })
}

/// Reaps a child that has ended, whoever started it.
pub(super) fn reap_orphan(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
    }
}
