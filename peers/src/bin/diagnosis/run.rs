//! Runs `stuck`: lets a case hang, asks gdb, sends Ctrl-C and reads the report.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use peers::hangs::KINDS;

use crate::builds::Programs;
use crate::gdb::{self, Backtrace};
use crate::report::{self, Routine};

const PATIENCE: Duration = Duration::from_secs(60);

/// The outputs of one case.
pub(crate) struct Seen {
    pub(crate) case: &'static str,
    pub(crate) without_stacks: Report,
    pub(crate) with_stacks: Report,
    /// The backtrace of the process with stacks.
    pub(crate) gdb: Backtrace,
}

pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) routines: Vec<Routine>,
}

/// Runs all cases, a few at a time.
pub(crate) fn all(programs: &Programs) -> Vec<Seen> {
    let beside = |cases: &[&'static str]| {
        thread::scope(|scope| {
            let case = |case: &&'static str| {
                let case = *case;
                scope.spawn(move || one(programs, case))
            };
            let cases: Vec<_> = cases.iter().map(case).collect();
            let seen = cases
                .into_iter()
                .map(|case| case.join().expect("it is seen"));
            seen.collect::<Vec<_>>()
        })
    };
    KINDS.chunks(3).flat_map(beside).collect()
}

fn one(programs: &Programs, case: &'static str) -> Seen {
    let (without_stacks, _) = run(&programs.without_stacks, case, false);
    let (with_stacks, gdb) = run(&programs.with_stacks, case, true);
    Seen {
        case,
        without_stacks,
        with_stacks,
        gdb: gdb.expect("asked"),
    }
}

fn run(program: &Path, case: &str, asks_gdb: bool) -> (Report, Option<Backtrace>) {
    let mut stuck = Command::new(program)
        .arg(case)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a built program");
    // Waiting for the process would close its stdin.
    let _stdin = stuck.stdin.take();
    let (line, lines) = mpsc::channel();
    let stderr = BufReader::new(stuck.stderr.take().expect("piped"));
    let reader = thread::spawn(move || {
        let lines = stderr.lines().map_while(Result::ok);
        lines.for_each(|text| drop(line.send(text)));
    });
    let mut hanging = if case == "shared-lock" { 2 } else { 1 };
    while hanging > 0 {
        let line = lines.recv_timeout(PATIENCE).expect("a routine that hangs");
        hanging -= i32::from(line.ends_with("hangs from now on"));
    }
    // The call that hangs comes right after that line.
    thread::sleep(Duration::from_millis(500));
    let backtrace = asks_gdb.then(|| gdb::ask(stuck.id()));
    press_ctrl_c(&stuck);
    let mut said = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => said.push(line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let _ = stuck.kill();
                panic!("{case} does not end");
            }
        }
    }
    stuck.wait().expect("it has ended");
    reader.join().expect("reads to the end");
    let report = said
        .iter()
        .position(|line| line.starts_with("Failed to quit: "));
    let text = said[report.expect("a report")..].join("\n");
    let routines = report::routines(&text);
    (Report { text, routines }, backtrace)
}

fn press_ctrl_c(child: &Child) {
    let pid = Pid::from_raw(child.id().try_into().expect("a pid"));
    kill(pid, Signal::SIGINT).expect("it runs");
}
