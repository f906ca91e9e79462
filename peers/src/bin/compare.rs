//! Runs each case with each library, and prints a table: how long after the signal the process was
//! gone, its exit code, and the last line that it printed, or the last line of a report that names the
//! worker. Arguments name the cases to run; without arguments, all run.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use peers::CASES;
use peers::tasks::TASK_CASES;

/// The programs whose worker is a task.
const TASKS: &[&str] = &[
    "tasks_quitter",
    "tasks_tokio_graceful_shutdown",
    "tasks_tokio_util",
];

const PROGRAMS: &[&str] = &[
    "quitter",
    "tokio_graceful_shutdown",
    "tokio_util",
    "ctrlc_by_hand",
    "signal_hook_by_hand",
];

/// A program that takes longer than this after the signal counts as never ending.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() {
    let named: Vec<_> = std::env::args().skip(1).collect();
    let of_threads = CASES.iter().map(|case| (case, PROGRAMS));
    let of_tasks = TASK_CASES.iter().map(|case| (case, TASKS));
    for ((case, about), programs) in of_threads.chain(of_tasks) {
        if !named.is_empty() && !named.iter().any(|name| name == case) {
            continue;
        }
        println!("\n**{case}**: {about}\n");
        println!("| program | ended after | exit code | what it says last |");
        println!("| --- | --- | --- | --- |");
        for program in programs {
            let name = program.trim_start_matches("tasks_").replace('_', "-");
            println!("| {name} | {} |", run(program, case));
        }
    }
}

fn run(program: &str, case: &str) -> String {
    let (full, _unread) = full_pipe();
    let stdout = match case {
        "stdout-full" => Stdio::from(full),
        _ => Stdio::null(),
    };
    let mut child = Command::new(sibling(program))
        .arg(case)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .env("RUST_BACKTRACE", "0")
        .spawn()
        .expect("built with `cargo build --bins`");
    let (line, lines) = mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let reader = thread::spawn(move || {
        let lines = stderr.lines().map_while(Result::ok);
        lines
            .filter(|text| !text.trim().is_empty())
            .for_each(|text| drop(line.send(text)));
    });
    let _ready = lines.recv_timeout(PATIENCE);
    // The program sets up its handlers and the worker right after that line.
    thread::sleep(Duration::from_millis(300));
    let from = Instant::now();
    if case != "panic" {
        signal(&child);
    }
    if case == "second-signal" {
        // quitter ignores further signals for the first half second.
        thread::sleep(Duration::from_millis(600));
        signal(&child);
    }
    let status = wait(&mut child, from);
    let after = from.elapsed();
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    reader.join().expect("reads to the end");
    let lines = joined(lines.try_iter());
    let of_worker = |line: &&String| line.starts_with("worker ");
    let last = lines.iter().rev().find(of_worker).or(lines.last());
    let last = last.map_or("", String::as_str);
    match status {
        Some(status) => format!("{:.2} s | {} | {last}", after.as_secs_f64(), code(status)),
        None => format!("never | | {last}"),
    }
}

/// Joins wrapped lines.
fn joined(lines: impl Iterator<Item = String>) -> Vec<String> {
    const GOES_ON: &str = "      ";
    let mut all: Vec<String> = Vec::new();
    for line in lines {
        match (line.strip_prefix(GOES_ON), all.last_mut()) {
            (Some(rest), Some(before)) => *before += &format!(" {}", rest.trim_start()),
            _ => all.push(line.trim_start().to_owned()),
        }
    }
    all
}

fn signal(child: &Child) {
    let pid = Pid::from_raw(child.id().try_into().expect("a pid"));
    let _ = kill(pid, Signal::SIGINT);
}

fn wait(child: &mut Child, from: Instant) -> Option<ExitStatus> {
    while from.elapsed() < PATIENCE {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(1));
    }
    None
}

fn code(status: ExitStatus) -> String {
    status
        .code()
        .map_or_else(|| status.to_string(), |code| code.to_string())
}

fn sibling(program: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a path");
    own.with_file_name(program)
}

/// A full stdout, and its other end, which nobody reads.
fn full_pipe() -> (OwnedFd, UnixStream) {
    let (mut writer, reader) = UnixStream::pair().expect("a pair of sockets");
    writer.set_nonblocking(true).expect("a mode");
    while writer.write(&[0; 4096]).is_ok() {}
    while writer.write(&[0]).is_ok() {}
    writer.set_nonblocking(false).expect("a mode");
    (writer.into(), reader)
}
