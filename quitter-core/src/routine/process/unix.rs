//! Child processes on Unix: how their ends are noticed, and how they are signalled and reaped.
//!
//! On Linux a pidfd says that a process has ended, and one thread polls all of them. Where there is
//! none to be had (other systems, Linux before 5.3, no descriptor left), a thread for that process
//! waits, and leaves the reaping to the reaper.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use super::groups::Listed;
pub(super) use super::groups::Starting;
pub(crate) use super::groups::kill_all;
pub(super) use super::readers::Readers;

/// A signal that processes are asked to stop with.
#[derive(Clone, Copy)]
pub(super) struct StopSignal(Signal);

impl StopSignal {
    /// `None`: it is none of the signals with a name.
    pub(super) fn new(number: i32) -> Option<Self> {
        Signal::from_named_raw(number).map(Self)
    }

    pub(super) fn number(self) -> i32 {
        self.0.as_raw()
    }
}

/// SIGTERM.
pub(super) const DEFAULT_STOP_SIGNAL: i32 = libc::SIGTERM;

/// Has the command start as the leader of a group of its own.
pub(super) fn lead_a_group(command: &mut Command) {
    command.process_group(0);
}

/// The signal that ended a process.
pub(super) fn signal_of(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// Whether a signal asks a process to end: SIGINT, SIGTERM or SIGHUP.
pub(super) fn asks_to_end(signal: i32) -> bool {
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].contains(&signal)
}

/// Whether a process was killed: by SIGKILL.
pub(super) fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(libc::SIGKILL)
}

/// A process that was started, until it is reaped.
pub(super) struct Leader {
    child: Child,
    listed: Listed,
    watch: Watch,
    has_ended: bool,
}

/// How the end of a process is noticed.
enum Watch {
    /// It is readable from the end on.
    Pidfd(OwnedFd),
    /// A thread sets it at the end.
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
    /// Lists the process, and prepares for its end. On an error it was killed.
    pub(super) fn new(
        mut child: Child,
        leads_a_group: bool,
        starting: &Starting,
        wakeup: &Arc<Wakeup>,
    ) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
        let listed = starting.list(pid, leads_a_group);
        match watch(pid, wakeup) {
            Ok(watch) => Ok(Self {
                child,
                listed,
                watch,
                has_ended: false,
            }),
            Err(error) => {
                listed.signal(Signal::KILL);
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

    /// Whether it has ended, as of the last [`sleep`] or look. It is not reaped, so its number is its
    /// own.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Asks it, or its group, to stop. One that is suspended goes on, or it would never know.
    pub(super) fn stop(&mut self, signal: StopSignal) {
        self.listed.signal(signal.0);
        self.listed.signal(Signal::CONT);
    }

    /// Kills it, or its group.
    pub(super) fn kill(&mut self) {
        self.listed.signal(Signal::KILL);
    }

    /// Reaps it. `None`: another thread is signalling it, so try again soon. `None` inside: other code
    /// of the program has reaped it.
    pub(super) fn reap(&mut self) -> Option<Option<ExitStatus>> {
        let removed = self.listed.remove();
        removed.then(|| self.child.try_wait().ok().flatten())
    }

    /// Looks whether it runs, without reaping it.
    pub(super) fn look(&mut self) -> bool {
        let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) else {
            return false;
        };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        self.has_ended = match waitid(WaitId::Pid(pid), options) {
            Ok(ended) => ended.is_some(),
            // Other code of the program has reaped it.
            Err(error) => error == Errno::CHILD,
        };
        !self.has_ended
    }
}

fn watch(pid: Pid, wakeup: &Arc<Wakeup>) -> io::Result<Watch> {
    match pidfd(pid) {
        Some(pidfd) => Ok(Watch::Pidfd(pidfd)),
        None => wait_on_a_thread(pid, wakeup).map(Watch::Thread),
    }
}

#[cfg(target_os = "linux")]
fn pidfd(pid: Pid) -> Option<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn pidfd(_: Pid) -> Option<OwnedFd> {
    None
}

fn wait_on_a_thread(pid: Pid, wakeup: &Arc<Wakeup>) -> io::Result<Arc<AtomicBool>> {
    const STACK: usize = 64 * 1024;
    let has_ended = Arc::new(AtomicBool::new(false));
    let (flag, wakeup) = (Arc::clone(&has_ended), Arc::clone(wakeup));
    let wait = move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
        flag.store(true, Ordering::Release);
        wakeup.wake();
    };
    let thread = thread::Builder::new().name("quitter wait".to_owned());
    thread.stack_size(STACK).spawn(wait)?;
    Ok(has_ended)
}

/// Wakes the reaper. It is a waker for futures, too.
pub(super) struct Wakeup {
    reader: PipeReader,
    writer: PipeWriter,
    /// There is a byte in the pipe, or will be at once.
    is_set: AtomicBool,
}

impl Wakeup {
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self {
            reader,
            writer,
            is_set: AtomicBool::new(false),
        })
    }

    /// Takes note of the wakeup. Whoever woke has to look for what is new after this.
    pub(super) fn clear(&self) {
        if !self.is_set.load(Ordering::SeqCst) {
            return;
        }
        let _ = (&self.reader).read(&mut [0]);
        // Whoever sets it after this writes another byte.
        self.is_set.swap(false, Ordering::SeqCst);
    }
}

impl AsFd for Wakeup {
    /// Readable when it is set.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

pub(super) fn wake(wakeup: &Arc<Wakeup>) {
    wakeup.wake_by_ref();
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    /// Never blocks: there is one byte in the pipe at most.
    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_set.swap(true, Ordering::SeqCst) {
            let _ = (&self.writer).write(&[0]);
        }
    }
}

/// Sleeps until the wakeup, the end of one of these, or `until`.
pub(super) fn sleep<'a>(
    wakeup: &Wakeup,
    leaders: impl Iterator<Item = &'a mut Leader>,
    until: Option<Instant>,
) {
    let mut leaders: Vec<_> = leaders.filter(|leader| !leader.has_ended).collect();
    let pidfd = |leader: &&mut &mut Leader| matches!(leader.watch, Watch::Pidfd(_));
    let mut files = vec![PollFd::new(wakeup, PollFlags::IN)];
    files.extend(leaders.iter().filter_map(|leader| match &leader.watch {
        Watch::Pidfd(pidfd) => Some(PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)),
        Watch::Thread(_) => None,
    }));
    let polled = poll(&mut files, until.map(left).as_ref());
    let is_ready: Vec<_> = files
        .iter()
        .map(|file| !file.revents().is_empty())
        .collect();
    drop(files);
    match polled {
        Ok(_) => {
            if is_ready[0] {
                wakeup.clear();
            }
            let polled = leaders.iter_mut().filter(pidfd).zip(&is_ready[1..]);
            for (leader, _) in polled.filter(|(_, is_ready)| **is_ready) {
                leader.look();
            }
        }
        Err(Errno::INTR) => {}
        // No memory, or a lower limit of descriptors: look at each, and not all the time.
        Err(_) => {
            thread::sleep(Duration::from_millis(10));
            for leader in &mut leaders {
                leader.look();
            }
        }
    }
    for leader in leaders {
        if let Watch::Thread(has_ended) = &leader.watch {
            leader.has_ended |= has_ended.load(Ordering::Acquire);
        }
    }
}

/// The time until `until`, rounded up, so that it has come when the poll is over.
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
