//! `terminal`, on a terminal of the test's: whatever ends it, the terminal is restored first.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use nix::fcntl::OFlag;
use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal::SIGTERM;
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::ttyname;

use common::{PATIENCE, Process};

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";

/// The example on a terminal, with the side of that which types and reads.
struct Terminal {
    program: Process,
    keyboard: File,
    inside: OwnedFd,
    bytes: Receiver<Vec<u8>>,
    screen: String,
}

impl Terminal {
    fn start(arguments: &[&str]) -> Self {
        let (program, keyboard, inside) = start(arguments);
        let (sender, bytes) = unbounded();
        let mut screen = keyboard.try_clone().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut buffer) {
                let _ = sender.send(buffer[..read].to_vec());
            }
        });
        let mut terminal = Self {
            program,
            keyboard,
            inside,
            bytes,
            screen: String::new(),
        };
        terminal.wait_for("last event: none");
        terminal
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        while !self.screen.contains(text) {
            let bytes = self.bytes.recv_timeout(PATIENCE);
            let bytes = bytes.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.screen));
            self.screen += &String::from_utf8_lossy(&bytes);
        }
    }

    fn press(&mut self, key: &[u8]) {
        self.keyboard.write_all(key).unwrap();
    }

    /// The text after the picture, once the program has ended with this exit code.
    fn end(mut self, code: i32) -> String {
        // Read to the last line before the end, lest the terminal's buffer be full.
        self.wait_for("uit: ");
        self.wait_for(LEAVE);
        self.program.end().with_code(code);
        assert!(is_cooked(&self.inside));
        // The other side is closed when the last handle is, and then all is read.
        drop(self.inside);
        self.bytes
            .iter()
            .for_each(|bytes| self.screen += &String::from_utf8_lossy(&bytes));
        let (before, picture) = self.screen.split_once(ENTER).unwrap();
        assert_eq!(before, "");
        let (picture, after) = picture.split_once(LEAVE).unwrap();
        assert!(!picture.contains("quit"), "{picture:?}");
        after.to_owned()
    }
}

fn start(arguments: &[&str]) -> (Process, File, OwnedFd) {
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(&size, None).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_terminal"));
    let program = Process::start_on_terminal(command.args(arguments), &pty.slave);
    (program, pty.master.into(), pty.slave)
}

fn is_cooked(terminal: &OwnedFd) -> bool {
    let modes = tcgetattr(terminal).unwrap().local_flags;
    modes.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
}

/// Writes until nothing more fits in. Returns how much it was.
fn fill(terminal: &mut File) -> usize {
    let written = std::iter::repeat_with(|| terminal.write(&[b'x'; 256]));
    written.map_while(Result::ok).sum()
}

#[track_caller]
fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let found = rest.split_once(part);
        rest = found
            .unwrap_or_else(|| panic!("no {part:?} (in order) in {text:?}"))
            .1;
    }
}

#[test]
fn q_ends_the_picture_and_then_the_lines_come() {
    let mut terminal = Terminal::start(&[]);
    terminal.press(b"x");
    terminal.wait_for("Char('x')");
    terminal.press(b"q");
    let after = terminal.end(0);
    let said = [
        "Received quit from request_quit",
        "the key q\r\n",
        "Quit: all",
    ];
    assert_in_order(&after, &said);
}

#[test]
fn ctrl_c_is_a_key_that_ends_the_picture() {
    let mut terminal = Terminal::start(&[]);
    terminal.press(b"\x03");
    assert_in_order(&terminal.end(0), &["Ctrl-C\r\n", "Quit: all"]);
}

#[test]
fn a_signal_ends_the_picture() {
    let terminal = Terminal::start(&[]);
    terminal.program.send(SIGTERM);
    assert_in_order(&terminal.end(0), &["SIGTERM\r\n", "Quit: all"]);
}

#[test]
fn a_drawing_that_hangs_leaves_the_terminal_restored() {
    let mut terminal = Terminal::start(&["stuck"]);
    terminal.press(b"xq");
    let after = terminal.end(1);
    let said = [
        "the key q\r\n",
        "Failed to quit: 1 routine",
        "drawing  running",
    ];
    assert_in_order(&after, &said);
}

#[test]
fn a_terminal_that_takes_no_output_gets_its_modes_back_and_the_program_ends() {
    let (program, screen, inside) = start(&[]);
    // Once something is drawn, the program is in raw mode.
    let mut first = [0; 1];
    (&screen).read_exact(&mut first).unwrap();
    let mut options = OpenOptions::new();
    let options = options.write(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let mut filler = options.open(ttyname(&inside).unwrap()).unwrap();
    // Once nothing more fits in after a pause, the drawing is stuck in a write, too.
    while fill(&mut filler) > 0 {
        thread::sleep(Duration::from_millis(150));
    }
    assert!(!is_cooked(&inside));
    program.send(SIGTERM);
    // The drawing may still have been about to write.
    assert!(program.end().code.is_some());
    assert!(is_cooked(&inside));
}
