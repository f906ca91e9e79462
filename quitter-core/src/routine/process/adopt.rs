//! Makes routines of processes that other code started, and that may already have ended.

use std::io;
use std::panic::Location;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::task::Wake;

use crossbeam_channel::{Sender, bounded};

use super::builder::{ProcessOptions, handle_of, read_output, stop_signal, supervise};
use super::error::AddProcessError;
use super::failure::Judged;
use super::handle::{EndedBy, ProcessEnd, ProcessHandle};
use super::os::{self, Leader, Starting};
use super::output::{Drain, ProcessOutput};
use super::reaper::{ReaperThread, Watched};
use crate::routine::builder::RoutineBuilder;
use crate::routine::kind::Work;
use crate::routine::live::Live;
use crate::system;

impl RoutineBuilder<'_> {
    /// Makes a routine of a process that other code started. The process is told to stop at the quit,
    /// killed before the deadline, reaped, and named in reports, as with [`process`](Self::process).
    ///
    /// Only the process itself is signalled, even if it leads a group. If it has already ended, the routine
    /// is done when this returns. If its output is [read](Self::output), this call then waits for the
    /// output, for at most 200 ms.
    ///
    /// # Errors
    ///
    /// Those of [`process`](Self::process). A process that is refused is killed and reaped, since nobody
    /// else would end it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// # #[cfg(unix)] {
    /// use std::process::Command;
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// let child = Command::new("sleep").arg("100").spawn().unwrap();
    /// let sleep = root.routine("of a library").adopt(child).unwrap();
    /// root.quit_and_wait(Duration::from_secs(10)).unwrap();
    /// assert!(sleep.end().unwrap().is_by_quit());
    /// # }
    /// ```
    #[track_caller]
    pub fn adopt(mut self, mut child: Child) -> Result<ProcessHandle, AddProcessError> {
        let mut options = std::mem::take(&mut self.process);
        options.own_group = false;
        options.command = format!("pid {}", child.id());
        let place = Location::caller();
        let prepared = self.reaper().and_then(|reaper| {
            let starting = Starting::begin().ok_or(AddProcessError::Quitting)?;
            Ok((reaper, starting))
        });
        let (reaper, starting) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                // Nobody else would reap it.
                let _ = child.kill().and_then(|()| child.wait());
                return Err(error);
            }
        };
        let admitted = stop_signal(&options).and_then(|stop_signal| {
            let live = self.check_in(Work::Process, place, system::now())?;
            Ok((live, stop_signal))
        });
        let (live, stop_signal) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => {
                kill(child, &starting, reaper);
                return Err(error);
            }
        };
        // The number is the process's own only as long as it is not reaped.
        match child.try_wait() {
            Ok(Some(status)) => had_ended(&live, child, status, &options),
            _ => supervise(live, child, &starting, reaper, stop_signal, options),
        }
    }
}

/// Ends a process that was refused.
fn kill(mut child: Child, starting: &Starting, reaper: &ReaperThread) {
    let _ = child.kill();
    let waker = reaper.waker();
    if let Ok(None) = child.try_wait()
        && let Ok(leader) = Leader::new(child, false, starting, &waker)
    {
        reaper.watch(waker, Watched::Killed(leader));
    }
}

/// The routine of a process that had ended when it was adopted.
fn had_ended(
    live: &Live,
    mut child: Child,
    status: ExitStatus,
    options: &ProcessOptions,
) -> Result<ProcessHandle, AddProcessError> {
    let record = live.quitter().record();
    record.set_os_id(child.id().into());
    let mut handle = handle_of(live, &mut child);
    read_what_is_left(&mut handle, options.output).map_err(|source| AddProcessError::Wait {
        name: record.name.to_string(),
        source,
    })?;
    let end = ProcessEnd {
        status: Some(status),
        by: EndedBy::Itself,
        unread: None,
    };
    handle.end.set(end);
    let judged = Judged {
        end,
        is_quitting: false,
        stop_signal: os::DEFAULT_STOP_SIGNAL,
        kill: None,
    };
    if let Some(failure) = options.failure_on.judge(&judged) {
        live.fail(failure);
    }
    Ok(handle)
}

/// Waits until the output of a process that has ended is read, for a bounded time.
fn read_what_is_left(handle: &mut ProcessHandle, output: ProcessOutput) -> io::Result<()> {
    struct Tell(Sender<()>);
    impl Wake for Tell {
        fn wake(self: Arc<Self>) {
            let _ = self.0.try_send(());
        }
    }
    let (tell, is_read) = bounded(1);
    let drain = read_output(handle, output, Arc::new(Tell(tell)).into())?;
    if drain.is_some_and(|drain| !drain.is_done()) {
        let _ = is_read.recv_timeout(Drain::AT_MOST);
    }
    Ok(())
}
