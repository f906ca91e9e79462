//! Child processes where there are no Unix signals, by means of std: one thread polls all of them many
//! times a second, and stopping a process means killing it.

use std::io::{self, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::output::{Drain, Lines, Stream};
use super::reaper::{Ended, ProcessWaker};
use crate::sync::{Condvar, Mutex, lock, wait_until};
use crate::system;
use crate::threads;

/// The signal that asks a process to stop, which this system does not have.
#[derive(Clone, Copy)]
pub(super) struct StopSignal(i32);

impl StopSignal {
    pub(super) fn new(number: i32) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    pub(super) fn number(self) -> i32 {
        self.0
    }
}

/// The number of SIGTERM, which is only compared.
pub(super) const DEFAULT_STOP_SIGNAL: i32 = 15;

/// There are no groups.
pub(super) fn lead_a_group(_: &mut Command) {}

/// No process ends by a signal.
pub(super) fn signal_of(_: ExitStatus) -> Option<i32> {
    None
}

/// No process ends by a signal.
pub(super) fn asks_to_end(_: i32) -> bool {
    false
}

/// Nothing tells how a process ended.
pub(super) fn is_killed(_: ExitStatus) -> bool {
    false
}

/// The start of a process.
pub(super) struct Starting(());

impl Starting {
    /// `None`: this process is a fork of the one with the reaper.
    pub(super) fn begin() -> Option<Self> {
        (!system::is_forked()).then_some(Self(()))
    }
}

/// Nothing to do: the processes were killed when they were told to stop.
pub(crate) fn kill_all() {}

/// How many processes [`kill_all`] would kill.
pub(crate) fn listed() -> usize {
    0
}

pub(super) struct Leader {
    child: Child,
    has_ended: bool,
}

/// Signals a process from any thread, where that is possible.
#[derive(Clone, Copy)]
pub(super) struct Remote(());

impl Remote {
    pub(super) fn send(self, _: i32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Leader {
    pub(super) fn new(
        child: Child,
        _leads_a_group: bool,
        _: &Starting,
        _: &Arc<ProcessWaker>,
    ) -> io::Result<Self> {
        Ok(Self {
            child,
            has_ended: false,
        })
    }

    pub(super) fn remote(&self) -> Remote {
        Remote(())
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Only a look finds out that the process has ended.
    pub(super) fn is_told(&self) -> bool {
        false
    }

    /// Checks whether the process is running.
    pub(super) fn look(&mut self) -> bool {
        self.has_ended = !matches!(self.child.try_wait(), Ok(None));
        !self.has_ended
    }

    /// Whether the process has ended, as of the last look.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Kills the process, since there is no way to ask it.
    pub(super) fn stop(&mut self, _: StopSignal) {
        let _ = self.kill();
    }

    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// There are no groups.
    pub(super) fn may_have_members(&self) -> bool {
        false
    }

    /// The exit status. `None`: it cannot be known.
    pub(super) fn reap(&mut self) -> Poll<Option<ExitStatus>> {
        Poll::Ready(self.child.try_wait().ok().flatten())
    }
}

/// Where the reaper sleeps.
pub(super) struct Sleeper {
    is_woken: Mutex<bool>,
    woken: Condvar,
}

impl Sleeper {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            is_woken: Mutex::new(false),
            woken: Condvar::new(),
        })
    }

    pub(super) fn wake(&self) {
        *lock(&self.is_woken) = true;
        self.woken.notify_one();
    }

    /// Sleeps until a call of [`wake`](Self::wake), `until`, or the next check of the processes.
    pub(super) fn sleep(&self, until: Option<Instant>, processes: usize) -> Ended {
        const LOOK: Duration = Duration::from_millis(20);
        let look_at = (processes > 0).then(|| Instant::now() + LOOK);
        let until = [until, look_at].into_iter().flatten().min();
        let mut is_woken = lock(&self.is_woken);
        if !*is_woken {
            is_woken = wait_until(&self.woken, is_woken, until);
        }
        *is_woken = false;
        Ended::Any
    }
}

/// This system does not make orphans the children of other processes.
pub(super) fn reap_orphan(_: u32) {}

/// The maximum length of a piece of text written at once.
pub(super) const WRITTEN_AT_ONCE: usize = usize::MAX;

/// Always true, since this system does not say beforehand whether a stream takes text. Without a timeout,
/// waits a moment.
pub(super) fn takes_text(_: Stream, timeout: Option<Duration>) -> bool {
    if timeout.is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Reads the output of processes, on one thread per stream.
pub(super) struct Readers(());

impl Readers {
    pub(super) const fn new() -> Self {
        Self(())
    }

    pub(super) fn read(
        &self,
        name: &str,
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
        reaper: Waker,
    ) -> io::Result<Arc<Drain>> {
        let pipes = usize::from(stdout.is_some()) + usize::from(stderr.is_some());
        let drain = Drain::new(pipes, Waker::noop().clone(), reaper);
        if let Some(stdout) = stdout {
            read_on_a_thread(stdout, Lines::new(name, Stream::Out), &drain)?;
        }
        if let Some(stderr) = stderr {
            read_on_a_thread(stderr, Lines::new(name, Stream::Err), &drain)?;
        }
        Ok(drain)
    }
}

fn read_on_a_thread(
    mut from: impl Read + Send + 'static,
    mut lines: Lines,
    drain: &Arc<Drain>,
) -> io::Result<()> {
    let drain = Arc::clone(drain);
    threads::start("quitter output", move || {
        let mut read = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut read) {
            if !lines.write(&read[..count]) && drain.cut_off(lines.to()) {
                break;
            }
        }
        drop(from);
        lines.end();
        drain.close();
    })?;
    Ok(())
}
