//! Even if stdout and stderr are both blocked or broken, the exit code stays the same, and the program ends
//! in time.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../common/mod.rs"]
mod common;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use nix::sys::signal::Signal::SIGTERM;

use common::{Ended, PATIENCE, Process, after_shell, fill};

const QUIT_TIMEOUT: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_secs(2);

/// The socket on which a program reports that it is set up.
struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("quitter-silent-{}-{number}", process::id());
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        Self { path, listener }
    }

    fn wait_until_ready(&self) {
        let (tell, told) = bounded(1);
        let listener = self.listener.try_clone().unwrap();
        thread::spawn(move || {
            let mut text = String::new();
            let _ = listener.accept().unwrap().0.read_to_string(&mut text);
            let _ = tell.send(text);
        });
        let text = told.recv_timeout(PATIENCE).expect("the program is set up");
        assert_eq!(text, "ready\n");
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn silent(case: &str, socket: &Socket) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_silent"));
    command.arg(case).arg(&socket.path);
    command
}

fn is_ended_in_time(socket: &Socket, program: Process) -> Ended {
    socket.wait_until_ready();
    let sent = Instant::now();
    program.send(SIGTERM);
    let ended = program.end();
    let took = sent.elapsed();
    println!("{} ms after the signal", took.as_millis());
    assert!(took < QUIT_TIMEOUT + SLACK, "{took:?}");
    ended
}

fn start(command: &mut Command, stream: impl Into<OwnedFd>) -> Process {
    let stream = stream.into();
    let stdout = Stdio::from(stream.try_clone().unwrap());
    Process::start_into(command, stdout, Stdio::from(stream))
}

/// Asserts that the case ends with `code` when stdout and stderr are both a full pipe.
fn ends_with_full_pipes(case: &str, code: i32) {
    let (_reader, writer) = io::pipe().unwrap();
    fill(&writer);
    let socket = Socket::new();
    let program = start(&mut silent(case, &socket), writer);
    is_ended_in_time(&socket, program).with_code(code);
}

/// Asserts that the case ends with `code` when stdout and stderr are both a full socket.
fn ends_with_full_sockets(case: &str, code: i32) {
    let (_reader, mut writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    while writer.write(b"x").is_ok() {}
    // The program's end shares this flag, so its writes block, too.
    writer.set_nonblocking(false).unwrap();
    let socket = Socket::new();
    let program = start(&mut silent(case, &socket), writer);
    is_ended_in_time(&socket, program).with_code(code);
}

/// Asserts that the case ends with `code` when stdout and stderr are closed from the start.
fn ends_with_closed_streams(case: &str, code: i32) {
    let socket = Socket::new();
    let mut command = after_shell("exec >&- 2>&-", &silent(case, &socket));
    let program = Process::start(&mut command);
    is_ended_in_time(&socket, program).with_code(code);
}

/// Asserts that the case ends with `code` when stdout and stderr are both a full disk.
fn ends_with_full_devices(case: &str, code: i32) {
    let device = File::options().write(true).open("/dev/full").unwrap();
    let socket = Socket::new();
    let program = start(&mut silent(case, &socket), device);
    is_ended_in_time(&socket, program).with_code(code);
}

/// Asserts that the case ends with `code` when stdout and stderr are both a pipe without a reader.
fn ends_with_broken_pipes(case: &str, code: i32) {
    let socket = Socket::new();
    let program = start(&mut silent(case, &socket), common::broken_pipe());
    is_ended_in_time(&socket, program).with_code(code);
}

/// One test for each part that hangs, with the expected exit code.
macro_rules! cases {
    ($ends:ident: $($test:ident = $case:literal -> $code:literal,)*) => {
        $(
            #[test]
            fn $test() {
                $ends($case, $code);
            }
        )*
    };
}

cases! {
    ends_with_full_pipes:
    full_pipes_leave_a_clean_end_clean = "nothing" -> 0,
    full_pipes_leave_a_stuck_routine_trouble = "routine" -> 1,
    full_pipes_leave_a_stuck_body_trouble = "body" -> 1,
    full_pipes_and_a_stuck_destructor_of_main_end = "destructor" -> 1,
    full_pipes_and_a_partial_line_end = "partial-line" -> 1,
    full_pipes_and_locks_that_are_held_end = "locks" -> 1,
    full_pipes_leave_a_panic_trouble = "panic" -> 1,
}

cases! {
    ends_with_full_sockets:
    full_sockets_leave_a_clean_end_clean = "nothing" -> 0,
    full_sockets_leave_a_stuck_routine_trouble = "routine" -> 1,
    full_sockets_leave_a_stuck_body_trouble = "body" -> 1,
    full_sockets_and_a_stuck_destructor_of_main_end = "destructor" -> 1,
    full_sockets_and_a_partial_line_end = "partial-line" -> 1,
    full_sockets_and_locks_that_are_held_end = "locks" -> 1,
}

cases! {
    ends_with_closed_streams:
    closed_streams_leave_a_clean_end_clean = "nothing" -> 0,
    closed_streams_leave_a_stuck_routine_trouble = "routine" -> 1,
    closed_streams_leave_a_stuck_body_trouble = "body" -> 1,
    closed_streams_and_a_stuck_destructor_of_main_end = "destructor" -> 1,
    closed_streams_and_a_partial_line_end = "partial-line" -> 0,
    closed_streams_and_locks_that_are_held_end = "locks" -> 1,
}

cases! {
    ends_with_full_devices:
    full_devices_leave_a_clean_end_clean = "nothing" -> 0,
    full_devices_leave_a_stuck_routine_trouble = "routine" -> 1,
    full_devices_leave_a_stuck_body_trouble = "body" -> 1,
    full_devices_and_a_stuck_destructor_of_main_end = "destructor" -> 1,
    full_devices_and_a_partial_line_end = "partial-line" -> 0,
    full_devices_and_locks_that_are_held_end = "locks" -> 1,
}

cases! {
    ends_with_broken_pipes:
    broken_pipes_leave_a_clean_end_clean = "nothing" -> 0,
    broken_pipes_leave_a_stuck_routine_trouble = "routine" -> 1,
    broken_pipes_leave_a_stuck_body_trouble = "body" -> 1,
    broken_pipes_and_a_stuck_destructor_of_main_end = "destructor" -> 1,
    broken_pipes_and_a_partial_line_end = "partial-line" -> 0,
    broken_pipes_and_locks_that_are_held_end = "locks" -> 1,
}

/// The main quitter cannot be made: there is no quit event, and the program must still end.
#[test]
fn a_program_that_cannot_start_ends_with_a_full_pipe_too() {
    let (_reader, writer) = io::pipe().unwrap();
    fill(&writer);
    let mut twins = Command::new(env!("CARGO_BIN_EXE_twins"));
    start(&mut twins, writer).end().with_code(1);
}
