//! Starts processes in tests, reads their output line by line, sends them signals and waits for them.
//! Every wait is bounded.

#[path = "../../quitter-core/tests/common/waits.rs"]
pub(crate) mod waits;

use std::any::type_name;
use std::env;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Child, Command, ExitCode, ExitStatus, Stdio, Termination};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use waits::{eventually, process_state};

/// How long these tests wait at most for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A process whose output is read. Dropping this before the process has ended kills the process.
pub(crate) struct Process {
    pid: Pid,
    events: Receiver<Event>,
    stdout: Written,
    stderr: Written,
    ended: Option<ExitStatus>,
}

/// The exit code and the whole output of a process that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it, if one did.
    pub(crate) signal: Option<Signal>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

enum Event {
    Line(Stream, String),
    Ended(ExitStatus),
}

#[derive(Clone, Copy, PartialEq)]
enum Stream {
    Stdout,
    Stderr,
}

/// The lines of one stream so far.
#[derive(Default)]
struct Written {
    text: String,
    /// Where the lines that no wait has passed begin.
    unread: usize,
}

impl Written {
    /// Finds the next unread line that contains `text`. Marks it and all lines before it as read.
    fn find(&mut self, text: &str) -> Option<String> {
        let mut at = self.unread;
        for line in self.text[self.unread..].split_inclusive('\n') {
            at += line.len();
            if line.contains(text) {
                let line = line.to_owned();
                self.unread = at;
                return Some(line);
            }
        }
        None
    }
}

impl Process {
    /// Starts a command and reads its output.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_into(command, Stdio::piped(), Stdio::piped())
    }

    /// Starts a command with its output redirected. Streams that are `Stdio::piped()` are read.
    pub(crate) fn start_into(
        command: &mut Command,
        stdout: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> Self {
        Self::spawn(command.stdin(Stdio::null()).stdout(stdout).stderr(stderr))
    }

    /// Starts a command that reads from `stdin`, and reads its output.
    pub(crate) fn start_reading(command: &mut Command, stdin: impl Into<Stdio>) -> Self {
        let command = command.stdin(stdin).stdout(Stdio::piped());
        Self::spawn(command.stderr(Stdio::piped()))
    }

    /// Starts a command that reads from `stdin` and writes to `stdout`, and reads its stderr.
    pub(crate) fn start_between(
        command: &mut Command,
        stdin: impl Into<Stdio>,
        stdout: impl Into<Stdio>,
    ) -> Self {
        Self::spawn(command.stdin(stdin).stdout(stdout).stderr(Stdio::piped()))
    }

    /// Starts a command on a terminal. The holder of the terminal's other side reads and types.
    pub(crate) fn start_on_terminal(command: &mut Command, terminal: &impl AsFd) -> Self {
        let side = || Stdio::from(terminal.as_fd().try_clone_to_owned().expect("a handle"));
        Self::spawn(command.stdin(side()).stdout(side()).stderr(side()))
    }

    fn spawn(command: &mut Command) -> Self {
        // Printing a backtrace takes seconds on a busy machine.
        command.env("RUST_BACKTRACE", "0");
        let mut child = command.spawn().expect("the program starts");
        let pid = Pid::from_raw(child.id().try_into().expect("a process id fits"));
        let (send, events) = unbounded();
        let readers = [
            child
                .stdout
                .take()
                .map(|out| read(Stream::Stdout, out, &send)),
            child
                .stderr
                .take()
                .map(|err| read(Stream::Stderr, err, &send)),
        ];
        thread::spawn(move || wait(&mut child, readers.into_iter().flatten(), &send));
        Self {
            pid,
            events,
            stdout: Written::default(),
            stderr: Written::default(),
            ended: None,
        }
    }

    /// Waits for the next line of stdout or stderr that contains `text`.
    ///
    /// The order of lines is known only within a stream, so a line that is found passes the earlier lines
    /// of its own stream, and none of the other stream.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.stdout.find(text);
            if let Some(line) = found.or_else(|| self.stderr.find(text)) {
                return line;
            }
            assert!(
                self.ended.is_none(),
                "ended before it wrote {text:?}\n{}",
                self.output()
            );
            assert!(
                self.next_event(until),
                "did not write {text:?} in time\n{}",
                self.output()
            );
        }
    }

    pub(crate) fn send(&self, signal: Signal) {
        assert!(
            self.ended.is_none(),
            "the process still runs to receive {signal}"
        );
        kill(self.pid, signal).expect("the process is ours");
    }

    /// Sends a signal once the process has printed `line`, and waits for the end.
    #[track_caller]
    pub(crate) fn signal_at(mut self, line: &str, signal: Signal) -> Ended {
        self.wait_for(line);
        self.send(signal);
        self.end()
    }

    /// Sends a signal once it no longer counts as one of a pair with the signal before.
    pub(crate) fn send_later(&self, signal: Signal) {
        thread::sleep(Duration::from_millis(550));
        self.send(signal);
    }

    /// Waits until the process has ended.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.ended {
                break status;
            }
            let in_time = self.next_event(until);
            assert!(in_time, "did not end in time\n{}", self.output());
        };
        Ended {
            code: status.code(),
            signal: status.signal().and_then(|number| number.try_into().ok()),
            stdout: std::mem::take(&mut self.stdout.text),
            stderr: std::mem::take(&mut self.stderr.text),
        }
    }

    /// Records the next line or the end of the process. Returns whether either came in time.
    fn next_event(&mut self, until: Instant) -> bool {
        let Ok(event) = self.events.recv_deadline(until) else {
            return false;
        };
        match event {
            // A story ends its process before the test binary prints its own result.
            Event::Line(_, line) if line.starts_with("test result: ok") => {
                panic!("no story ran: it has to be a closure in a test")
            }
            Event::Line(Stream::Stdout, line) => self.stdout.text.push_str(&line),
            Event::Line(Stream::Stderr, line) => self.stderr.text.push_str(&line),
            Event::Ended(status) => self.ended = Some(status),
        }
        true
    }

    fn output(&self) -> String {
        let (stdout, stderr) = (&self.stdout.text, &self.stderr.text);
        let mut text = format!("── stdout\n{stdout}── stderr\n{stderr}");
        if let Some(status) = self.ended {
            let _ = write!(text, "── {status}");
        }
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}

fn read(stream: Stream, from: impl Read + Send + 'static, to: &Sender<Event>) -> Reader {
    let to = to.clone();
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            let _ = to.send(Event::Line(stream, text));
            line.clear();
        }
    })
}

type Reader = thread::JoinHandle<()>;

/// Waits for the process and then for the rest of its output, so that the end is the last event.
fn wait(child: &mut Child, readers: impl Iterator<Item = Reader>, to: &Sender<Event>) {
    let status = child.wait().expect("the process is ours to wait for");
    for reader in readers {
        let _ = reader.join();
    }
    let _ = to.send(Event::Ended(status));
}

/// Fills a pipe that nobody reads. Further writes block until the reader is gone.
#[track_caller]
pub(crate) fn fill(pipe: &io::PipeWriter) {
    let mut filler = pipe.try_clone().expect("a handle");
    thread::spawn(move || while filler.write(&[b'x'; 4096]).is_ok() {});
    until_full(pipe);
}

/// Blocks until a pipe or a terminal that nobody reads is full, so that every writer hangs. Apple's systems
/// do not tell this for terminals.
#[track_caller]
pub(crate) fn until_full(writer: &impl AsFd) {
    const MOMENT: u8 = 50;
    eventually(|| {
        let mut room = [PollFd::new(writer.as_fd(), PollFlags::POLLOUT)];
        poll(&mut room, MOMENT).expect("no signal comes");
        let found = room[0].revents().expect("known flags");
        !found.contains(PollFlags::POLLOUT)
    });
}

/// The writing end of a pipe that has no reader.
pub(crate) fn broken_pipe() -> io::PipeWriter {
    io::pipe().expect("there is a pipe to be had").1
}

impl Ended {
    /// Asserts that the exit code is `code`. Shows the output on failure.
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that this signal ended the process. Shows the output on failure.
    #[track_caller]
    pub(crate) fn with_signal(self, signal: Signal) -> Self {
        assert_eq!(self.signal, Some(signal), "{self:?}");
        self
    }

    /// Asserts that stderr contains these texts in this order. A text may be wrapped.
    #[track_caller]
    pub(crate) fn saying(self, texts: &[&str]) -> Self {
        if let Some(missing) = self.missing(texts) {
            panic!("no {missing:?} (in order) in\n{}", self.stderr);
        }
        self
    }

    /// Whether stderr contains these texts in this order. A text may be wrapped.
    pub(crate) fn says(&self, texts: &[&str]) -> bool {
        self.missing(texts).is_none()
    }

    fn missing<'a>(&self, texts: &[&'a str]) -> Option<&'a str> {
        let mut rest = &self.stderr[..];
        for text in texts {
            match places(rest, text).next() {
                Some(behind) => rest = behind,
                None => return Some(text),
            }
        }
        None
    }

    /// How often stderr contains this text. The text may be wrapped.
    pub(crate) fn count(&self, text: &str) -> usize {
        places(&self.stderr, text).count()
    }
}

/// For each place where `said` contains `text`, returns what follows. A line may be broken where `text` has
/// a space.
fn places<'a>(said: &'a str, text: &str) -> impl Iterator<Item = &'a str> {
    const BROKEN: &str = "\n      ";
    let behind = move |from: &'a str| {
        text.chars().try_fold(from, |rest, letter| {
            let whole = rest.strip_prefix(letter);
            let broken = || rest.strip_prefix(BROKEN).filter(|_| letter == ' ');
            whole.or_else(broken)
        })
    };
    let starts = said.char_indices().map(|(at, _)| &said[at..]);
    starts.filter_map(behind)
}

/// Whether a process lives. A zombie does not: where nobody reaps orphans, they stay as zombies.
pub(crate) fn lives(pid: u32) -> bool {
    !matches!(process_state(pid), None | Some('Z' | 'X'))
}

/// A shell that runs this script.
pub(crate) fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    command
}

pub(crate) fn hang() -> ! {
    loop {
        thread::park();
    }
}

/// Prints `text` and the process id.
pub(crate) fn says(text: &str) {
    println!("{text}, process {}", process::id());
}

/// The process id at the end of a line that [`says`] has printed.
pub(crate) fn pid_in(line: &str) -> Pid {
    let (_, pid) = line.trim_end().rsplit_once(' ').expect("a line of `says`");
    Pid::from_raw(pid.parse().expect("a process id"))
}

/// The environment variable that tells a process which story to run.
const STORY: &str = "QUITTER_TEST_STORY";

/// Runs a story in a process of its own: this test binary, started again for the calling test alone.
/// The process ends with the story's result, as if the story were `main`.
///
/// The story must be a closure in the test itself, because its type's name contains the test's name.
pub(crate) fn alone<T, F>(story: F) -> Process
where
    T: Termination,
    F: FnOnce() -> T,
{
    Process::start(&mut command_for(story))
}

/// The command that [`alone`] starts, for tests that start it in a special way.
pub(crate) fn command_for<T, F>(story: F) -> Command
where
    T: Termination,
    F: FnOnce() -> T,
{
    let test = test_of::<F>();
    if env::var(STORY).is_ok_and(|name| name == test) {
        let code = story().report();
        std::process::exit(number(code));
    }
    let mut command = Command::new(env::current_exe().expect("a test has a binary"));
    command.args([test, "--exact", "--include-ignored", "--nocapture"]);
    // With one thread, the default on a single processor, the first line would begin with the test's name, and
    // the story would run on the main thread.
    command.arg("--test-threads=2").env(STORY, test);
    command
}

/// The environment variable that tells a story how much time it has, in milliseconds.
const TIME: &str = "QUITTER_TEST_TIME";

/// Runs a story with more and more [time](given_time) until it ends as `is_right` demands. Not every system tells
/// when one of quitter's threads has done its part, which takes long on a busy machine. Returns the time that
/// sufficed, too.
#[track_caller]
pub(crate) fn with_time(
    times: &[u64],
    command: impl Fn() -> Command,
    is_right: impl Fn(&Ended) -> bool,
) -> (Duration, Ended) {
    let mut last = None;
    for time in times {
        let ended = Process::start(command().env(TIME, time.to_string())).end();
        if is_right(&ended) {
            return (Duration::from_millis(*time), ended);
        }
        last = Some(ended);
    }
    panic!("not right: {last:?}");
}

/// How much time the running story has.
pub(crate) fn given_time() -> Duration {
    let time = env::var(TIME).expect("`with_time` runs the story");
    Duration::from_millis(time.parse().expect("a number"))
}

/// The name of the test that contains a closure, as the test binary knows it.
fn test_of<F>() -> &'static str {
    let name = type_name::<F>();
    let name = name.split_once("::").map_or(name, |(_crate, name)| name);
    name.split("::{{closure}}").next().unwrap_or(name)
}

/// The number of an exit code. std offers no conversion, but exit codes can be compared.
fn number(code: ExitCode) -> i32 {
    let code = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code);
    code.expect("an exit code is a byte on Unix").into()
}

/// A shell that runs `set_up` and then becomes `command`, in the same process.
pub(crate) fn after_shell(set_up: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{set_up}; exec \"$0\" \"$@\""));
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    shell
}
