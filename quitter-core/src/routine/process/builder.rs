//! Describes a child process, and starts it.

use std::borrow::{BorrowMut, Cow};
use std::ffi::OsStr;
use std::io;
use std::panic::Location;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::error::AddProcessError;
use super::failure::ProcessFailure;
use super::handle::ProcessHandle;
use super::os::{self, Leader, Starting, StopSignal};
use super::output::{Drain, ProcessOutput};
use super::reaper::{ReaperThread, Watched};
use super::supervised::Supervised;
use crate::process::Process;
use crate::quitter::Quitter;
use crate::report::escape::shortened;
use crate::routine::builder::RoutineBuilder;
use crate::routine::kind::Work;
use crate::routine::live::Live;
use crate::routine::quitter::RoutineQuitter;
use crate::system;

#[derive(Clone, Debug)]
pub(in crate::routine) struct ProcessOptions {
    stop_signal: i32,
    pub(super) kill_before_deadline: Duration,
    pub(super) failure_on: ProcessFailure,
    pub(super) own_group: bool,
    pub(super) output: ProcessOutput,
    /// The command line, for reports.
    pub(super) command: String,
}

impl Default for ProcessOptions {
    fn default() -> Self {
        Self {
            stop_signal: os::DEFAULT_STOP_SIGNAL,
            kill_before_deadline: Duration::from_millis(500),
            failure_on: ProcessFailure::default(),
            own_group: true,
            output: ProcessOutput::default(),
            command: String::new(),
        }
    }
}

impl Quitter {
    /// Starts a program as a child process, which is a routine: it is listed, waited for, told to quit, and
    /// named in reports. The routine is named after the program's file.
    ///
    /// The process leads a process group of its own, which includes the processes that it starts. At the
    /// quit the group is sent SIGTERM, and SIGKILL half a second before the deadline. The process is always
    /// reaped. When it ends by itself, the rest of its group is killed. If this program ends in any way
    /// that lets it run code, no process of the group is left. See [Child processes] for what that means
    /// with terminals and service managers, and on Windows.
    ///
    /// An exit code other than 0 and an end by a signal are failures, unless the quit asked for the end; so
    /// is a kill at the quit. Use [`routine`](Self::routine) for another name, [stop
    /// signal](RoutineBuilder::stop_signal), [time to stop](RoutineBuilder::kill_before_deadline),
    /// [group](RoutineBuilder::own_group) or definition of [failure](RoutineBuilder::failure_on).
    ///
    /// [Child processes]: https://docs.rs/quitter/latest/quitter/guide/processes/
    ///
    /// # Errors
    ///
    /// [`AddProcessError`] if the quitter was told to quit, or the system refused.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// # #[cfg(unix)] {
    /// use std::process::Command;
    /// use std::time::Duration;
    /// use quitter::{Quitter, RoutineKind};
    ///
    /// let root = Quitter::root("main");
    /// let mut command = Command::new("sleep");
    /// command.arg("100");
    /// let sleep = root.add_process(command).unwrap();
    /// let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    /// let stuck = timeouts.routines().next().unwrap();
    /// assert_eq!(stuck.name, "sleep");
    /// assert_eq!(stuck.kind, RoutineKind::Process { pid: sleep.pid() });
    ///
    /// root.quit_and_wait(Duration::from_secs(10)).unwrap();
    /// assert!(root.failures().is_empty());
    /// # }
    /// ```
    #[track_caller]
    pub fn add_process(
        &self,
        command: impl BorrowMut<Command>,
    ) -> Result<ProcessHandle, AddProcessError> {
        self.routine(name_of(command.borrow())).process(command)
    }
}

impl RoutineQuitter {
    /// Starts a program as a child process beside this routine, like [`Quitter::add_process`].
    ///
    /// # Errors
    ///
    /// Those of [`Quitter::add_process`].
    #[track_caller]
    pub fn add_process(
        &self,
        command: impl BorrowMut<Command>,
    ) -> Result<ProcessHandle, AddProcessError> {
        self.routine(name_of(command.borrow())).process(command)
    }
}

impl RoutineBuilder<'_> {
    /// Sets the signal that asks the process to stop, by its number, such as `libc::SIGINT`. The default is
    /// SIGTERM. This has no effect on Windows, where a process is stopped by killing it.
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
    /// let mut command = Command::new("sleep");
    /// command.arg("100");
    /// let sleep = root.routine("postgres").stop_signal(libc::SIGINT).process(command).unwrap();
    /// root.quit_and_wait(Duration::from_secs(10)).unwrap();
    /// let end = sleep.end().unwrap();
    /// assert_eq!(end.to_string(), "signal: 2 (SIGINT), after the stop signal");
    /// # }
    /// ```
    pub fn stop_signal(mut self, number: i32) -> Self {
        self.process.stop_signal = number;
        self
    }

    /// Sets how long before the deadline of the quit the process is killed, if it has not ended after the
    /// stop signal. The default is 500 ms. The process always has at least half of the time from the quit
    /// to the deadline. With a margin of zero, the kill comes too late: the report names the process as one
    /// that had not returned.
    ///
    /// Without a deadline, as after a bare [`send_quit`](Quitter::send_quit) on a tree without a quit
    /// timeout, the process is not killed.
    pub fn kill_before_deadline(mut self, margin: Duration) -> Self {
        self.process.kill_before_deadline = margin;
        self
    }

    /// Sets which ends of the process are failures. The default is
    /// [`ProcessFailure::Unsuccessful`].
    pub fn failure_on(mut self, ends: ProcessFailure) -> Self {
        self.process.failure_on = ends;
        self
    }

    /// Sets whether the process leads a group of its own. The default is `true`.
    ///
    /// In a group of its own, the process does not get a terminal's Ctrl-C directly, and the processes that
    /// it starts are stopped with it. But such a group is in the background of the terminal: the system
    /// suspends a process that reads from the terminal, such as an editor or a pager. Use `false` for
    /// these. Then only the process itself is signalled.
    ///
    /// With `true`, a process group set on the command is replaced. Also use `false` for a command that
    /// calls `setsid` before its program starts, since the leader of a group cannot do that.
    pub fn own_group(mut self, own_group: bool) -> Self {
        self.process.own_group = own_group;
        self
    }

    /// Sets what becomes of the process's output. The default is [`ProcessOutput::AsCommanded`]. Of an
    /// adopted process, only streams that are already pipes are read.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// # #[cfg(unix)] {
    /// use std::process::Command;
    /// use std::time::Duration;
    /// use quitter::ProcessOutput;
    ///
    /// let root = quitter::Quitter::root("main");
    /// let mut command = Command::new("echo");
    /// command.arg("listening on port 80");
    /// let web = root.routine("web").output(ProcessOutput::Prefixed).process(command).unwrap();
    /// // Writes "web | listening on port 80".
    /// web.wait(Duration::MAX).unwrap();
    /// # }
    /// ```
    pub fn output(mut self, output: ProcessOutput) -> Self {
        self.process.output = output;
        self
    }

    /// Starts a program as a child process, like [`Quitter::add_process`].
    ///
    /// A command that is passed by reference can be started again. It keeps what this has set on it: a
    /// [group](Self::own_group) of its own, and the pipes of [`Prefixed`](ProcessOutput::Prefixed). So start
    /// it with the same options each time, or make another command.
    ///
    /// # Errors
    ///
    /// Those of [`Quitter::add_process`], and [`AddProcessError::StopSignal`].
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
    /// let check = root.routine("self-check").process(Command::new("test").args(["1", "=", "1"]));
    /// assert!(check.unwrap().wait(Duration::MAX).unwrap().is_success());
    /// # }
    /// ```
    #[track_caller]
    pub fn process(
        mut self,
        mut command: impl BorrowMut<Command>,
    ) -> Result<ProcessHandle, AddProcessError> {
        let command = command.borrow_mut();
        let mut options = std::mem::take(&mut self.process);
        let stop_signal = stop_signal(&options)?;
        let reaper = self.reaper()?;
        let starting = Starting::begin().ok_or(AddProcessError::Quitting)?;
        let live = self.check_in(Work::Process, Location::caller(), system::now())?;
        options.command = command_line(command);
        if options.own_group {
            os::lead_a_group(command);
        }
        if options.output == ProcessOutput::Prefixed {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        // If the spawn fails, `live` checks out.
        let started = command.spawn();
        let child = started.map_err(|source| AddProcessError::Start {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })?;
        supervise(live, child, &starting, reaper, stop_signal, options)
    }

    pub(super) fn reaper(&self) -> Result<&'static ReaperThread, AddProcessError> {
        let reaper = Process::current().reaper.thread();
        reaper.map_err(|source| AddProcessError::Wait {
            name: self.name.to_string(),
            source,
        })
    }
}

pub(super) fn stop_signal(options: &ProcessOptions) -> Result<StopSignal, AddProcessError> {
    let number = options.stop_signal;
    StopSignal::new(number).ok_or(AddProcessError::StopSignal { number })
}

/// Hands a running process to the reaper.
pub(super) fn supervise(
    live: Live,
    mut child: Child,
    starting: &Starting,
    reaper: &ReaperThread,
    stop_signal: StopSignal,
    options: ProcessOptions,
) -> Result<ProcessHandle, AddProcessError> {
    let record = live.quitter().record();
    record.set_os_id(child.id().into());
    record.set_status(options.command.clone().into());
    let mut handle = handle_of(&live, &mut child);
    let refused = |source| AddProcessError::Wait {
        name: record.name.to_string(),
        source,
    };
    let waker = reaper.waker();
    let leader = Leader::new(child, options.own_group, starting, &waker);
    let mut leader = leader.map_err(refused)?;
    let is_read = Arc::clone(&waker).into();
    let drain = match read_output(&mut handle, options.output, is_read) {
        Ok(drain) => drain,
        Err(error) => {
            let error = refused(error);
            let _ = leader.kill();
            reaper.watch(waker, Watched::Killed(leader));
            return Err(error);
        }
    };
    handle.remote = Some(leader.remote());
    let end = Arc::clone(&handle.end);
    let supervised = Supervised::new(live, leader, stop_signal, options, drain, end);
    reaper.watch(waker, Watched::Supervised(Box::new(supervised)));
    Ok(handle)
}

/// Has the readers' thread read the output, if `output` asks for it. The waker is called when they are
/// done.
pub(super) fn read_output(
    handle: &mut ProcessHandle,
    output: ProcessOutput,
    is_read: Waker,
) -> io::Result<Option<Arc<Drain>>> {
    match output {
        ProcessOutput::AsCommanded => Ok(None),
        ProcessOutput::Prefixed => {
            let (stdout, stderr) = (handle.stdout.take(), handle.stderr.take());
            let readers = &Process::current().reaper.readers;
            let drain = readers.read(handle.name(), stdout, stderr, is_read)?;
            Ok(Some(drain))
        }
    }
}

pub(super) fn handle_of(live: &Live, child: &mut Child) -> ProcessHandle {
    let (node, record) = (live.quitter().node(), live.quitter().record());
    ProcessHandle {
        stdin: child.stdin.take(),
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
        pid: child.id(),
        node: Arc::downgrade(node),
        record: Arc::clone(record),
        remote: None,
        end: Arc::default(),
    }
}

fn name_of(command: &Command) -> Cow<'static, str> {
    let program = command.get_program();
    let name = Path::new(program).file_name().unwrap_or(program);
    name.to_string_lossy().into_owned().into()
}

/// A command line for people, not for shells: arguments with spaces are quoted. Of bounded length.
fn command_line(command: &Command) -> String {
    const LONGEST: usize = 1024;
    let quoted = |text: &OsStr| {
        let text = text.to_string_lossy();
        match text.is_empty() || text.contains([' ', '\t', '\n', '"', '\'']) {
            true => format!("'{text}'"),
            false => text.into_owned(),
        }
    };
    let mut line = quoted(command.get_program());
    for argument in command.get_args() {
        if line.len() > LONGEST {
            break;
        }
        line.push(' ');
        line += &quoted(argument);
    }
    shortened(&line, LONGEST)
}
