//! A closed, full or broken stderr changes neither the exit code nor the duration of the exit.

#![cfg(unix)]
#![expect(
    clippy::redundant_closure,
    reason = "a closure's type has the name of its test"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use quitter::{AddRoutineError, ExitReport, MainQuitter, QuitSource};

use common::{PATIENCE, Process, after_shell, broken_pipe, command_for, fill, hang};

/// A program that prints its lines and ends cleanly.
fn clean() -> ExitReport {
    MainQuitter::new(PATIENCE, [QuitSource::all_done()]).exit()
}

/// A program in which one routine panics and another hangs.
fn troubled() -> ExitReport {
    MainQuitter::builder()
        .timeout(Duration::from_millis(300))
        .sources([QuitSource::all_done()])
        .run(|main| {
            main.routine("hangs").add(|_| hang())?;
            main.routine("panics")
                .add(|_| panic!("at the worst time"))?;
            Ok::<_, AddRoutineError>(())
        })
}

fn started_with(stderr: impl Into<Stdio>, command: &mut Command) -> Process {
    Process::start_into(command, Stdio::piped(), stderr)
}

#[cfg(target_os = "linux")]
fn full_device() -> std::fs::File {
    std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
}

#[test]
fn a_closed_stderr_leaves_a_clean_end_clean() {
    let mut command = after_shell("exec 2>&-", &command_for(|| clean()));
    Process::start(&mut command).end().with_code(0);
}

#[test]
fn a_closed_stderr_leaves_trouble_trouble() {
    let mut command = after_shell("exec 2>&-", &command_for(|| troubled()));
    Process::start(&mut command).end().with_code(1);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_device_leaves_a_clean_end_clean() {
    let mut command = command_for(|| clean());
    started_with(full_device(), &mut command).end().with_code(0);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_device_leaves_trouble_trouble() {
    let mut command = command_for(|| troubled());
    started_with(full_device(), &mut command).end().with_code(1);
}

#[test]
fn a_broken_pipe_leaves_a_clean_end_clean() {
    let mut command = command_for(|| clean());
    started_with(broken_pipe(), &mut command).end().with_code(0);
}

#[test]
fn a_broken_pipe_leaves_trouble_trouble() {
    let mut command = command_for(|| troubled());
    started_with(broken_pipe(), &mut command).end().with_code(1);
}

#[test]
fn a_routine_that_holds_stdout_and_stderr_does_not_hold_up_the_end() {
    let story = || {
        let main = MainQuitter::builder().timeout(Duration::from_millis(300));
        main.sources([QuitSource::os_signal()]).run(|main| {
            let (hold, held) = bounded(1);
            main.routine("holds").add(move |_| -> ! {
                let _locks = (io::stdout().lock(), io::stderr().lock());
                let _ = hold.send(());
                hang()
            })?;
            let _ = held.recv();
            main.send_quit();
            Ok::<_, AddRoutineError>(())
        })
    };
    let mut command = command_for(story);
    Process::start(&mut command)
        .end()
        .with_code(1)
        .saying(&["Failed to quit: 1 routine ", "holds"]);
}

/// A full pipe, with its reading end, from which nothing is read.
fn full_pipe() -> (io::PipeReader, io::PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    fill(&writer);
    (reader, writer)
}

#[test]
fn a_pipe_that_nobody_reads_does_not_hold_up_exit() {
    // The story must not print a report on failure, since that would wait for a reader.
    let mut command = command_for(|| assert_eq!(clean().exit_code, 0));
    let (_reader, pipe) = full_pipe();
    started_with(pipe, &mut command).end().with_code(0);
}

#[test]
fn a_pipe_that_nobody_reads_leaves_a_clean_end_clean_however_short_the_quit_timeout_is() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::from_millis(10));
        builder.source(QuitSource::all_done()).run(|_| {})
    };
    let (_reader, pipe) = full_pipe();
    let mut command = command_for(story);
    started_with(pipe, &mut command).end().with_code(0);
}

#[test]
fn a_pipe_that_nobody_reads_does_not_hold_up_the_forced_end() {
    let mut command = command_for(|| troubled());
    let (_reader, pipe) = full_pipe();
    started_with(pipe, &mut command).end().with_code(1);
}

/// A full stderr whose writes fail with `WouldBlock`, as when an async runtime has taken over the terminal,
/// and the end to read from.
fn full_and_non_blocking() -> (UnixStream, OwnedFd) {
    let (reader, writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    let filled = (&writer).write_all(&[b'x'; 1 << 24]);
    assert_eq!(filled.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    (reader, writer.into())
}

#[test]
fn a_stderr_that_would_block_is_written_to_when_it_can_be() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [QuitSource::all_done()]);
        let report = main.exit();
        // By now, quitter has tried to write the event.
        println!("exited");
        report
    };
    let (reader, stderr) = full_and_non_blocking();
    let mut command = command_for(story);
    let mut program = started_with(stderr, &mut command);
    drop(command);
    program.wait_for("exited");
    let reads = thread::spawn(move || io::read_to_string(reader).unwrap());
    program.end().with_code(0);
    let said = reads.join().unwrap();
    let said = said.trim_start_matches('x');
    assert!(
        said.contains("Received quit from 'all routines done'\nQuit: all routines returned ("),
        "{said}"
    );
}
