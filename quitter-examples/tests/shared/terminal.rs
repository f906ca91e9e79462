//! Programs under test on a pseudoterminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::thread;

use crossbeam_channel::{Receiver, unbounded};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

use crate::common::{PATIENCE, Process};

/// A program on a terminal, and the side of the terminal that types and reads the screen.
pub(crate) struct Terminal {
    pub(crate) program: Process,
    keyboard: File,
    inside: OwnedFd,
    bytes: Receiver<Vec<u8>>,
    pub(crate) screen: String,
}

impl Terminal {
    pub(crate) fn start(command: &mut Command) -> Self {
        let (program, keyboard, inside) = start(command);
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
    pub(crate) fn wait_for(&mut self, text: &str) {
        while !self.screen.contains(text) {
            let bytes = self.bytes.recv_timeout(PATIENCE);
            let bytes = bytes.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.screen));
            self.screen += &String::from_utf8_lossy(&bytes);
        }
    }

    pub(crate) fn press(&mut self, key: &[u8]) {
        self.keyboard.write_all(key).unwrap();
    }

    pub(crate) fn is_cooked(&self) -> bool {
        is_cooked(&self.inside)
    }

    /// Waits until the program has ended with this exit code, asserts that it has restored the terminal, and
    /// returns everything on the screen. Call this once the last line was seen, or the terminal's buffer may
    /// be full.
    #[track_caller]
    pub(crate) fn end(mut self, code: i32) -> String {
        self.program.end().with_code(code);
        assert!(is_cooked(&self.inside));
        // Once the last handle is closed, the reader comes to its end.
        drop(self.inside);
        let rest = self.bytes.iter();
        rest.for_each(|bytes| self.screen += &String::from_utf8_lossy(&bytes));
        self.screen
    }
}

/// Starts a program on a terminal, and leaves reading the screen to the caller.
pub(crate) fn start(command: &mut Command) -> (Process, File, OwnedFd) {
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(&size, None).unwrap();
    let program = Process::start_on_terminal(command, &pty.slave);
    (program, pty.master.into(), pty.slave)
}

pub(crate) fn is_cooked(terminal: &OwnedFd) -> bool {
    let modes = tcgetattr(terminal).unwrap().local_flags;
    modes.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
}

#[track_caller]
pub(crate) fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let found = rest.split_once(part);
        let found = found.unwrap_or_else(|| panic!("no {part:?} (in order) in {text:?}"));
        rest = found.1;
    }
}
