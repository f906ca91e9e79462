//! `ping_monitor`, with real children and on a terminal of the test's: whatever ends it, it ends at once,
//! no child is left, and the terminal is as it was.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal::{SIGINT, SIGTERM};
use nix::sys::stat::Mode;
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::mkfifo;

use common::{Ended, PATIENCE, Process};

/// Says its number, and goes on for long.
const LONG: &str = "echo pid $$; exec sleep 25";

/// Far less than the commands take, and more than a busy machine does.
const AT_ONCE: Duration = Duration::from_secs(2);

fn monitor(commands: &[&str]) -> Command {
    let mut monitor = Command::new(env!("CARGO_BIN_EXE_ping_monitor"));
    for command in commands {
        monitor.args(["--cmd", command]);
    }
    monitor
}

/// The monitor on a terminal, with the side of that which types and reads.
struct Terminal {
    program: Process,
    keyboard: File,
    inside: OwnedFd,
    bytes: Receiver<Vec<u8>>,
    screen: String,
}

impl Terminal {
    fn start(commands: &[&str]) -> Self {
        let (program, keyboard, inside) = start(commands);
        let (sender, bytes) = unbounded();
        let mut screen = keyboard.try_clone().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut buffer) {
                let _ = sender.send(buffer[..read].to_vec());
            }
        });
        Self {
            program,
            keyboard,
            inside,
            bytes,
            screen: String::new(),
        }
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        while !self.screen.contains(text) {
            let bytes = self.bytes.recv_timeout(PATIENCE);
            let bytes = bytes.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.screen));
            self.screen += &String::from_utf8_lossy(&bytes);
        }
    }

    /// The number that follows this text on the screen.
    fn pid(&mut self) -> u32 {
        self.wait_for(": pid ");
        self.wait_for("\r\n");
        let (_, rest) = self.screen.split_once(": pid ").unwrap();
        rest.split_once("\r\n").unwrap().0.parse().unwrap()
    }

    /// Everything on the screen, once the program has ended with this exit code.
    #[track_caller]
    fn ends_at_once(mut self, code: i32) -> String {
        let from = Instant::now();
        self.wait_for("uit: ");
        self.program.end().with_code(code);
        assert!(from.elapsed() < AT_ONCE, "{:?}", from.elapsed());
        assert!(is_cooked(&self.inside));
        // The other side is closed when the last handle is, and then all is read.
        drop(self.inside);
        self.bytes
            .iter()
            .for_each(|bytes| self.screen += &String::from_utf8_lossy(&bytes));
        self.screen
    }
}

fn start(commands: &[&str]) -> (Process, File, OwnedFd) {
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(&size, None).unwrap();
    let program = Process::start_on_terminal(&mut monitor(commands), &pty.slave);
    (program, pty.master.into(), pty.slave)
}

fn is_cooked(terminal: &OwnedFd) -> bool {
    let modes = tcgetattr(terminal).unwrap().local_flags;
    modes.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
}

/// Waits until a process is gone. Where nobody reaps orphans, they stay as zombies.
#[track_caller]
fn is_gone(pid: u32) {
    let until = Instant::now() + AT_ONCE;
    let lives = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    while lives() {
        assert!(Instant::now() < until, "{pid} is left");
        thread::sleep(Duration::from_millis(1));
    }
}

#[track_caller]
fn assert_all_said(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let found = rest.split_once(part);
        rest = found
            .unwrap_or_else(|| panic!("no {part:?} (in order) in {text:?}"))
            .1;
    }
}

#[test]
fn a_key_ends_it_at_once_though_its_command_has_25_seconds_to_go() {
    for (key, said) in [
        (b"q", "the key q\r\n"),
        (b"\x03", "Ctrl-C\r\n"),
        (b"\x04", "Ctrl-D\r\n"),
    ] {
        let mut terminal = Terminal::start(&[LONG]);
        let pid = terminal.pid();
        assert!(!is_cooked(&terminal.inside));
        terminal.keyboard.write_all(key).unwrap();
        let screen = terminal.ends_at_once(0);
        assert_all_said(&screen, &["Received quit", said, "Quit: all"]);
        is_gone(pid);
    }
}

#[test]
fn a_signal_ends_it_at_once() {
    let mut terminal = Terminal::start(&[LONG]);
    let pid = terminal.pid();
    terminal.program.send(SIGTERM);
    let screen = terminal.ends_at_once(0);
    assert_all_said(&screen, &["SIGTERM\r\n", "Quit: all"]);
    is_gone(pid);
}

#[test]
fn it_ends_when_its_last_command_has() {
    let mut terminal = Terminal::start(&["echo one; sleep 0.3; echo two", "echo three"]);
    for text in ["one", "two", "three"] {
        terminal.wait_for(text);
    }
    let screen = terminal.ends_at_once(0);
    assert_all_said(&screen, &["every command has ended\r\n", "Quit: all"]);
}

#[test]
fn what_a_command_writes_does_not_move_the_cursor() {
    let mut terminal = Terminal::start(&["printf 'a\\033[2Jb\\n'; sleep 25"]);
    terminal.wait_for("a[2Jb");
    terminal.keyboard.write_all(b"q").unwrap();
    terminal.ends_at_once(0);
}

#[test]
fn a_command_that_floods_a_terminal_that_nobody_reads_holds_nothing_up() {
    let (program, mut keyboard, inside) = start(&["yes"]);
    // Once something is drawn, the program is in raw mode.
    keyboard.read_exact(&mut [0; 1]).unwrap();
    assert!(!is_cooked(&inside));
    // By then the terminal is full.
    thread::sleep(Duration::from_millis(500));
    let from = Instant::now();
    keyboard.write_all(b"q").unwrap();
    program.end();
    assert!(from.elapsed() < AT_ONCE, "{:?}", from.elapsed());
    assert!(is_cooked(&inside));
}

/// Without a terminal, with a pipe to type into.
fn with_pipe(commands: &[&str]) -> (Process, io::PipeWriter) {
    let (stdin, keyboard) = io::pipe().unwrap();
    (
        Process::start_reading(&mut monitor(commands), stdin),
        keyboard,
    )
}

#[track_caller]
fn ends_at_once(program: Process) -> Ended {
    let from = Instant::now();
    let ended = program.end();
    assert!(from.elapsed() < AT_ONCE, "{:?}", from.elapsed());
    ended
}

#[test]
fn the_end_of_its_input_ends_it_at_once() {
    let (mut program, keyboard) = with_pipe(&[LONG]);
    let line = program.wait_for(": pid ");
    let pid = line.trim_end().rsplit_once(' ').unwrap().1.parse().unwrap();
    drop(keyboard);
    let ended = ends_at_once(program).with_code(0);
    ended.saying(&["the end of the input", "Quit: all"]);
    is_gone(pid);
}

#[test]
fn ctrl_c_of_a_terminal_in_its_usual_mode_ends_it_at_once() {
    let (mut program, _keyboard) = with_pipe(&[LONG, "sleep 25"]);
    program.wait_for(": pid ");
    program.send(SIGINT);
    let ended = ends_at_once(program).with_code(0);
    ended.saying(&["SIGINT", "Quit: all"]);
}

#[test]
fn a_command_that_fails_is_named_and_the_exit_code_is_1() {
    let gate = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ping_monitor_gate");
    let _ = fs::remove_file(&gate);
    mkfifo(&gate, Mode::S_IRWXU).unwrap();
    // It fails only when its line has been seen: a quit does not wait for what was not read yet.
    let fails = format!(
        "echo unknown host; read gate < '{}'; exit 2",
        gate.display()
    );
    let (mut program, _keyboard) = with_pipe(&[&fails, "sleep 25"]);
    program.wait_for(": unknown host");
    fs::write(&gate, "go\n").unwrap();
    let ended = ends_at_once(program).with_code(1);
    ended.saying(&["exit 2' of main failed: exit status: 2"]);
}

#[test]
fn the_pretended_ping_needs_no_network() {
    let (mut program, keyboard) = with_pipe(&[]);
    program.wait_for("reply 2: time=14 ms");
    drop(keyboard);
    ends_at_once(program).with_code(0);
}
