//! `terminal`, on a pseudoterminal: whatever ends the program, the terminal is restored first.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "shared/terminal.rs"]
mod terminal;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::signal::Signal::SIGTERM;
use nix::unistd::ttyname;

use terminal::{Terminal, assert_in_order, is_cooked, start};

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";

fn example(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_terminal"));
    command.args(arguments);
    command
}

/// Starts the example, and waits until it has drawn its picture.
fn drawn(arguments: &[&str]) -> Terminal {
    let mut terminal = Terminal::start(&mut example(arguments));
    terminal.wait_for("last event: none");
    terminal
}

/// Waits until the program has ended with this exit code, and returns the text after the picture.
#[track_caller]
fn after_the_end(mut terminal: Terminal, code: i32) -> String {
    terminal.wait_for("uit: ");
    terminal.wait_for(LEAVE);
    let screen = terminal.end(code);
    let (before, picture) = screen.split_once(ENTER).unwrap();
    assert_eq!(before, "");
    let (picture, after) = picture.split_once(LEAVE).unwrap();
    assert!(!picture.contains("quit"), "{picture:?}");
    after.to_owned()
}

/// Writes until the terminal takes no more. Returns how much it took.
fn fill(terminal: &mut File) -> usize {
    let written = std::iter::repeat_with(|| terminal.write(&[b'x'; 256]));
    written.map_while(Result::ok).sum()
}

#[test]
fn q_ends_the_picture_and_then_the_lines_come() {
    let mut terminal = drawn(&[]);
    terminal.press(b"x");
    terminal.wait_for("Char('x')");
    terminal.press(b"q");
    let after = after_the_end(terminal, 0);
    let said = [
        "Received quit from request_quit",
        "the key q\r\n",
        "Quit: all",
    ];
    assert_in_order(&after, &said);
}

#[test]
fn ctrl_c_is_a_key_that_ends_the_picture() {
    let mut terminal = drawn(&[]);
    terminal.press(b"\x03");
    assert_in_order(&after_the_end(terminal, 0), &["Ctrl-C\r\n", "Quit: all"]);
}

#[test]
fn a_signal_ends_the_picture() {
    let terminal = drawn(&[]);
    terminal.program.send(SIGTERM);
    assert_in_order(&after_the_end(terminal, 0), &["SIGTERM\r\n", "Quit: all"]);
}

#[test]
fn a_drawing_that_hangs_leaves_the_terminal_restored() {
    let mut terminal = drawn(&["stuck"]);
    terminal.press(b"xq");
    let after = after_the_end(terminal, 1);
    let said = [
        "the key q\r\n",
        "Failed to quit: 1 routine",
        "drawing  running",
    ];
    assert_in_order(&after, &said);
}

#[test]
fn a_terminal_that_takes_no_output_gets_its_modes_back_and_the_program_ends() {
    let (program, screen, inside) = start(&mut example(&[]));
    // Once something is drawn, the program is in raw mode.
    let mut first = [0; 1];
    (&screen).read_exact(&mut first).unwrap();
    let mut options = OpenOptions::new();
    let options = options.write(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let mut filler = options.open(ttyname(&inside).unwrap()).unwrap();
    // Once the terminal takes no more after a pause, the drawing is stuck in a write, too.
    while fill(&mut filler) > 0 {
        thread::sleep(Duration::from_millis(150));
    }
    assert!(!is_cooked(&inside));
    program.send(SIGTERM);
    // The exit code may be either: the drawing may not have been stuck in a write yet.
    assert!(program.end().code.is_some());
    assert!(is_cooked(&inside));
}
