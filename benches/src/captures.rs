//! Programs that capture the output of child processes, and write each line with the name of its process.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use quitter::{ProcessOutput, Quitter};

use crate::flags::Flag;

/// How many lines each process writes.
pub const LINES: usize = 20;

/// Routines of a quitter.
pub fn quitter(processes: usize) -> ExitCode {
    let root = <Quitter as Flag>::new();
    let start = |n| {
        let routine = root.routine(name(n)).output(ProcessOutput::Prefixed);
        let mut cat = routine.process(cat()).expect("a process");
        let stdin = cat.stdin.take().expect("piped");
        (stdin, cat)
    };
    let (mut inputs, _cats): (Vec<_>, Vec<_>) = (0..processes).map(start).unzip();
    feed(&mut inputs);
    drop(inputs);
    root.wait_done(Duration::MAX).expect("no limit");
    ExitCode::SUCCESS
}

/// A thread for each process.
pub fn threads(processes: usize) -> ExitCode {
    let start = |n| {
        let mut cat = cat().stdout(Stdio::piped()).spawn().expect("a process");
        let stdin = cat.stdin.take().expect("piped");
        let output = BufReader::new(cat.stdout.take().expect("piped"));
        let thread = thread::spawn(move || {
            let name = name(n);
            for line in output.lines() {
                writeln!(io::stdout(), "{name} | {}", line?)?;
            }
            cat.wait()
        });
        (stdin, thread)
    };
    let (mut inputs, threads): (Vec<_>, Vec<_>) = (0..processes).map(start).unzip();
    feed(&mut inputs);
    drop(inputs);
    for thread in threads {
        thread.join().expect("no panic").expect("lines");
    }
    ExitCode::SUCCESS
}

fn name(n: usize) -> String {
    format!("process {n}")
}

/// A process that writes each line that it reads.
fn cat() -> Command {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped());
    command
}

fn feed(inputs: &mut [ChildStdin]) {
    writeln!(io::stdout(), "ready").expect("the parent reads");
    for n in 0..LINES {
        for input in &mut *inputs {
            writeln!(input, "line {n}").expect("cat reads");
        }
    }
}
