//! The time from SIGINT until the process is gone.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::SIGINT;
use signal_hook::flag::register_conditional_shutdown;

use crate::asleep;
use crate::programs::QUIT_TIMEOUT;
use crate::workload::{Figures, median};

/// Measures one of the [`programs`](crate::programs). Small ones are measured more often, because they take
/// no longer than a few context switches.
pub fn program(implementation: &str, threads: usize) -> Figures {
    let often = if threads == 0 { 21 } else { 3 };
    let run = || {
        let arguments = [implementation, &threads.to_string()];
        let (started, _ready) = Started::new(Command::new(sibling("program")).args(arguments));
        started.wait_until_asleep();
        started.interrupt()
    };
    let gone: Vec<f64> = (0..often).map(|_| run()).collect();
    vec![("gone", median(&gone))]
}

/// Runs one of the programs that have to be ended by force. Measures how long after the quit timeout the
/// process is gone.
pub fn forced_end(implementation: &str, threads: usize) -> Figures {
    let arguments = [implementation, &threads.to_string()];
    // Routines that hammer the tree never sleep, so this only waits for the line "ready".
    let (started, _ready) = Started::new(Command::new(sibling("program")).args(arguments));
    let gone = started.interrupt();
    vec![("late", gone - QUIT_TIMEOUT.as_nanos() as f64)]
}

/// Measures the example `heartbeat`, after the first beat of each of its three hearts. Each run takes a
/// second until that.
pub fn heartbeat() -> Figures {
    const OFTEN: usize = 5;
    let run = || {
        let (mut started, _first) = Started::new(&mut Command::new(sibling("heartbeat")));
        started.line();
        started.line();
        started.wait_until_asleep();
        started.interrupt()
    };
    let gone: Vec<f64> = (0..OFTEN).map(|_| run()).collect();
    vec![("gone", median(&gone))]
}

pub(super) fn sibling(program: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a path");
    own.with_file_name(program)
}

/// A program that has written its first line.
pub(super) struct Started {
    child: Child,
    /// Kept open, since a program that cannot write any more ends by itself.
    stdout: BufReader<ChildStdout>,
}

impl Started {
    /// Starts a program and waits for its first line, which is returned, too.
    pub(super) fn new(command: &mut Command) -> (Self, String) {
        heed_interrupts();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a program, built beside this one");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut started = Self { child, stdout };
        let line = started.line();
        (started, line)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("text");
        assert!(line.ends_with('\n'), "the program has ended");
        line.trim_end().to_owned()
    }

    /// Waits until all threads of the program sleep.
    pub(super) fn wait_until_asleep(&self) {
        asleep::wait_for_process(self.child.id());
    }

    /// Sends SIGINT, and returns the nanoseconds from then until the end.
    pub(super) fn interrupt(mut self) -> f64 {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid"));
        let from = Instant::now();
        kill(pid, Signal::SIGINT).expect("a live process");
        self.child.wait().expect("our child");
        from.elapsed().as_nanos() as f64
    }
}

/// Restores the default effect of SIGINT for the programs that are started here. Shells start background
/// jobs with SIGINT ignored, and children inherit that. A signal with a handler is reset to its default in
/// the child.
fn heed_interrupts() {
    let always = Arc::new(AtomicBool::new(true));
    register_conditional_shutdown(SIGINT, 130, always).expect("a handler");
}
