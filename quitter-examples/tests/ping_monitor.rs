//! `ping_monitor`, with real children and on a pseudoterminal: whatever ends it, it ends at once, no child
//! is left, and the terminal is restored.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "shared/terminal.rs"]
mod terminal;

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGINT, SIGTERM};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use common::{Ended, Process, lives, until_full};
use terminal::{Terminal, assert_in_order, is_cooked, start};

/// Prints its process id, and runs far longer than a test.
const LONG: &str = "echo pid $$; exec sleep 25";

/// Far less than the commands take, and more than a busy machine needs.
const AT_ONCE: Duration = Duration::from_secs(2);

fn monitor(commands: &[&str]) -> Command {
    let mut monitor = Command::new(env!("CARGO_BIN_EXE_ping_monitor"));
    for command in commands {
        monitor.args(["--cmd", command]);
    }
    monitor
}

/// Waits for ": pid " on the screen and returns the number after it.
fn pid_on(terminal: &mut Terminal) -> u32 {
    terminal.wait_for(": pid ");
    terminal.wait_for("\r\n");
    let (_, rest) = terminal.screen.split_once(": pid ").unwrap();
    rest.split_once("\r\n").unwrap().0.parse().unwrap()
}

/// Waits until the program has ended with exit code 0, and returns everything on the screen.
#[track_caller]
fn screen_at_the_end(mut terminal: Terminal) -> String {
    let from = Instant::now();
    terminal.wait_for("uit: ");
    let screen = terminal.end(0);
    assert!(from.elapsed() < AT_ONCE, "{:?}", from.elapsed());
    screen
}

/// Waits until a process is gone.
#[track_caller]
fn is_gone(pid: u32) {
    let until = Instant::now() + AT_ONCE;
    while lives(pid) {
        assert!(Instant::now() < until, "{pid} is left");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_key_ends_it_at_once_though_its_command_has_25_seconds_to_go() {
    for (key, said) in [
        (b"q", "the key q\r\n"),
        (b"\x03", "Ctrl-C\r\n"),
        (b"\x04", "Ctrl-D\r\n"),
    ] {
        let mut terminal = Terminal::start(&mut monitor(&[LONG]));
        let pid = pid_on(&mut terminal);
        assert!(!terminal.is_cooked());
        terminal.press(key);
        let screen = screen_at_the_end(terminal);
        assert_in_order(&screen, &["Received quit", said, "Quit: all"]);
        is_gone(pid);
    }
}

#[test]
fn a_signal_ends_it_at_once() {
    let mut terminal = Terminal::start(&mut monitor(&[LONG]));
    let pid = pid_on(&mut terminal);
    terminal.program.send(SIGTERM);
    let screen = screen_at_the_end(terminal);
    assert_in_order(&screen, &["SIGTERM\r\n", "Quit: all"]);
    is_gone(pid);
}

#[test]
fn it_ends_when_its_last_command_has() {
    let mut terminal = Terminal::start(&mut monitor(&[
        "echo one; sleep 0.3; echo two",
        "echo three",
    ]));
    for text in ["one", "two", "three"] {
        terminal.wait_for(text);
    }
    let screen = screen_at_the_end(terminal);
    assert_in_order(&screen, &["every command has ended\r\n", "Quit: all"]);
}

#[test]
fn the_name_of_a_long_command_leaves_room_for_what_it_writes() {
    let mut terminal = Terminal::start(&mut monitor(&[&format!("{LONG}; # {:80}", "long")]));
    pid_on(&mut terminal);
    terminal.press(b"q");
    screen_at_the_end(terminal);
}

#[test]
fn what_a_command_writes_does_not_move_the_cursor() {
    let mut terminal = Terminal::start(&mut monitor(&["printf 'a\\033[2Jb\\n'; sleep 25"]));
    terminal.wait_for("a[2Jb");
    terminal.press(b"q");
    screen_at_the_end(terminal);
}

#[test]
fn a_command_that_floods_a_terminal_that_nobody_reads_holds_nothing_up() {
    let (program, mut keyboard, inside) = start(&mut monitor(&["yes"]));
    // Once something is drawn, the program is in raw mode.
    keyboard.read_exact(&mut [0; 1]).unwrap();
    assert!(!is_cooked(&inside));
    until_full(&inside);
    let from = Instant::now();
    keyboard.write_all(b"q").unwrap();
    program.end();
    assert!(from.elapsed() < AT_ONCE, "{:?}", from.elapsed());
    assert!(is_cooked(&inside));
}

/// Starts the program without a terminal. Its stdin is the returned pipe.
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
fn a_command_that_fails_is_named_at_the_end_and_the_exit_code_is_1() {
    let gate = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ping_monitor_gate");
    let _ = fs::remove_file(&gate);
    mkfifo(&gate, Mode::S_IRWXU).unwrap();
    // The second command goes on only after the error of the first was seen.
    let goes_on = format!("read gate < '{}'; echo goes on", gate.display());
    let (mut program, _keyboard) = with_pipe(&["no-such-command", &goes_on]);
    program.wait_for("not found");
    fs::write(&gate, "go\n").unwrap();
    program.wait_for(": goes on");
    let ended = ends_at_once(program).with_code(1);
    ended.saying(&[
        "every command has ended",
        "routine 'no-such-command' of main failed: exit status: 127",
    ]);
}

#[test]
fn without_a_command_it_needs_no_network() {
    let (mut program, keyboard) = with_pipe(&[]);
    for _ in 0..2 {
        program.wait_for("done: ");
    }
    drop(keyboard);
    ends_at_once(program).with_code(0);
}
