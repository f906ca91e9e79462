//! Whole processes in tests: started, read line by line, sent signals to, and waited for, every
//! wait bounded.

use std::any::type_name;
use std::env;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio, Termination};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The longest that any wait of these tests takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A process whose output is read. Ended with SIGKILL when it is dropped before its end was seen.
pub(crate) struct Process {
    pid: Pid,
    events: Receiver<Event>,
    stdout: String,
    stderr: String,
    /// Lines of one stream that came while a line of the other was waited for.
    passed: Vec<(Stream, String)>,
    ended: Option<ExitStatus>,
}

/// What a process left.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: a signal ended it.
    pub(crate) code: Option<i32>,
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

impl Process {
    /// Starts a command and reads its output.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_into(command, Stdio::piped(), Stdio::piped())
    }

    /// Starts a command whose output goes elsewhere, or is read where it goes into a new pipe.
    pub(crate) fn start_into(
        command: &mut Command,
        stdout: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> Self {
        let command = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        // To print one takes seconds where the machine is busy.
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
            stdout: String::new(),
            stderr: String::new(),
            passed: Vec::new(),
            ended: None,
        }
    }

    /// Waits for the next line, of stdout or stderr, that has `text` in it. The streams have no
    /// order among each other: one that was not waited for may have the line already.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let passed = self.passed.iter().position(|(_, line)| line.contains(text));
        if let Some(at) = passed {
            let (stream, line) = self.passed.remove(at);
            let later = self.passed.split_off(at);
            self.passed.retain(|(other, _)| *other != stream);
            self.passed.extend(later);
            return line;
        }
        while let Some(event) = self.next_event(until) {
            match event {
                Event::Line(stream, line) if line.contains(text) => {
                    self.passed.retain(|(other, _)| *other != stream);
                    return line;
                }
                Event::Line(stream, line) => self.passed.push((stream, line)),
                Event::Ended(_) => panic!("ended before it wrote {text:?}\n{}", self.output()),
            }
        }
        panic!("did not write {text:?} in time\n{}", self.output());
    }

    pub(crate) fn send(&self, signal: Signal) {
        assert!(
            self.ended.is_none(),
            "the process is there to hear {signal}"
        );
        kill(self.pid, signal).expect("the process is ours");
    }

    /// Sends a signal when it does not count as a pair with the one before any more.
    pub(crate) fn send_later(&self, signal: Signal) {
        thread::sleep(Duration::from_millis(550));
        self.send(signal);
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            match (self.ended, self.next_event(until)) {
                (Some(ended), _) => break ended,
                (None, Some(_)) => {}
                (None, None) => panic!("did not end in time\n{}", self.output()),
            }
        };
        Ended {
            code: status.code(),
            stdout: std::mem::take(&mut self.stdout),
            stderr: std::mem::take(&mut self.stderr),
        }
    }

    /// Keeps what it hands out, too.
    fn next_event(&mut self, until: Instant) -> Option<Event> {
        let event = self.events.recv_deadline(until).ok()?;
        match &event {
            // A story ends its process before the test binary says that all is well.
            Event::Line(_, line) if line.starts_with("test result: ok") => {
                panic!("no story was told: it has to be a closure in a test")
            }
            Event::Line(Stream::Stdout, line) => self.stdout.push_str(line),
            Event::Line(Stream::Stderr, line) => self.stderr.push_str(line),
            Event::Ended(status) => self.ended = Some(*status),
        }
        Some(event)
    }

    fn output(&self) -> String {
        let mut text = format!("── stdout\n{}── stderr\n{}", self.stdout, self.stderr);
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

/// Waits for the process, then for the rest of its output, so that its end comes last.
fn wait(child: &mut Child, readers: impl Iterator<Item = Reader>, to: &Sender<Event>) {
    let status = child.wait().expect("the process is ours to wait for");
    for reader in readers {
        let _ = reader.join();
    }
    let _ = to.send(Event::Ended(status));
}

/// A pipe that nobody reads from any more.
pub(crate) fn broken_pipe() -> io::PipeWriter {
    io::pipe().expect("there is a pipe to be had").1
}

impl Ended {
    /// Asserts the exit code; shows the output otherwise.
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that stderr has these texts, in this order.
    #[track_caller]
    pub(crate) fn saying(self, texts: &[&str]) -> Self {
        let mut rest = &self.stderr[..];
        for text in texts {
            let at = rest.find(text);
            let at = at.unwrap_or_else(|| panic!("no {text:?} (in order) in\n{}", self.stderr));
            rest = &rest[at + text.len()..];
        }
        self
    }

    /// How often stderr has this text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.stderr.matches(text).count()
    }
}

/// Says which story a process is for.
const STORY: &str = "QUITTER_TEST_STORY";

/// Runs a story in a process of its own: this test binary again, for the test that calls this.
/// What the story returns is what that process ends with, as if it were `main`.
///
/// The story is a closure in the test itself: its type's name has the test's name.
pub(crate) fn alone<T, F>(story: F) -> Process
where
    T: Termination,
    F: FnOnce() -> T,
{
    Process::start(&mut command_for(story))
}

/// The command behind [`alone`], for a process that is started in a special way.
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
    let alone = [test, "--exact", "--include-ignored", "--nocapture"];
    command.args(alone).env(STORY, test);
    command
}

/// The path of the test in which a closure stands, as the test binary knows it.
fn test_of<F>() -> &'static str {
    let name = type_name::<F>();
    let name = name.split_once("::").map_or(name, |(_crate, name)| name);
    name.split("::{{closure}}").next().unwrap_or(name)
}

/// std has no way back from an `ExitCode` to its number, but compares.
fn number(code: ExitCode) -> i32 {
    let code = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code);
    code.expect("an exit code is a byte on Unix").into()
}

/// A command that runs `command` after a shell has done `set_up`, in the same process.
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
