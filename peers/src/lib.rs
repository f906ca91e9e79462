//! The cases: what each program does besides using its library.

pub mod hangs;

use std::io::{self, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub mod tasks;

/// How long each program gives its work to return.
pub const TIMEOUT: Duration = Duration::from_secs(1);

/// The name of each case, and what happens in it.
pub const CASES: &[(&str, &str)] = &[
    ("clean", "the worker returns when told"),
    ("blocked", "the worker blocks its thread forever"),
    (
        "second-signal",
        "the same, and a second Ctrl-C 0.6 s after the first",
    ),
    ("panic", "the worker panics, nobody presses anything"),
    ("local-drop", "a local of main hangs when dropped"),
    (
        "tls-destructor",
        "a thread-local of the main thread hangs when dropped",
    ),
    ("stderr-lock", "a thread holds the lock of stderr"),
    (
        "stdout-full",
        "stdout is a full pipe, half a line is buffered",
    ),
];

/// The case on the command line.
pub fn case() -> String {
    std::env::args().nth(1).unwrap_or_default()
}

/// Hangs when dropped, if the case says so.
pub struct Local(bool);

impl Drop for Local {
    fn drop(&mut self) {
        if self.0 {
            hang();
        }
    }
}

thread_local!(static SLOT: std::cell::RefCell<Option<Local>> = const { std::cell::RefCell::new(None) });

/// Sets the case up on the main thread. `main` keeps what this returns until it ends.
pub fn set_up(case: &str) -> Local {
    match case {
        "tls-destructor" => SLOT.set(Some(Local(true))),
        "stderr-lock" => lock_stderr(),
        "stdout-full" => print!("half a line"),
        _ => {}
    }
    if case != "stderr-lock" {
        let _ = writeln!(io::stderr(), "ready");
    }
    Local(case == "local-drop")
}

fn lock_stderr() {
    let (locked, is_locked) = mpsc::channel();
    thread::spawn(move || {
        let mut lock = io::stderr().lock();
        let _ = writeln!(lock, "ready");
        let _ = locked.send(());
        hang();
    });
    let _ = is_locked.recv();
}

/// The work. `wait` returns when the worker is told to end.
pub fn work(case: &str, wait: impl FnOnce()) {
    match case {
        "blocked" | "second-signal" => hang(),
        "panic" => panic!("the worker panics"),
        case if hangs::KINDS.contains(&case) => hangs::hang(case),
        _ => wait(),
    }
}

pub fn hang() -> ! {
    loop {
        thread::park();
    }
}
