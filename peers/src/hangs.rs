//! The kinds of hang of the example `stuck`, for workers that are started by other libraries.

use std::io;
use std::net::TcpListener;
use std::sync::{Mutex, mpsc};
use std::time::Duration;
use std::{hint, mem, thread};

/// The cases of `stuck`, in the same order.
pub const KINDS: [&str; 9] = [
    "lock",
    "shared-lock",
    "channel",
    "sleep",
    "spin",
    "accept",
    "deep",
    "stdin",
    "deaf",
];

/// Hangs as the routine of `stuck` does.
pub fn hang(kind: &str) {
    match kind {
        "lock" => lock(),
        "shared-lock" => {
            let other = thread::Builder::new().name("compactor".to_owned());
            other.spawn(lock).expect("a thread");
            lock();
        }
        "channel" => {
            let (_never_sends, messages) = mpsc::channel::<String>();
            let _ = messages.recv();
        }
        "sleep" => thread::sleep(Duration::from_secs(3600)),
        "spin" => loop {
            hint::spin_loop();
        },
        "accept" => {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let _ = listener.accept();
        }
        "stdin" => {
            let _ = io::stdin().read_line(&mut String::new());
        }
        "deaf" => loop {
            thread::sleep(Duration::from_millis(100));
        },
        _ => crate::hang(),
    }
}

/// Waits for a lock that nobody releases.
fn lock() {
    static LEDGER: Mutex<u64> = Mutex::new(0);

    // The first worker keeps the lock forever.
    if let Ok(ledger) = LEDGER.try_lock() {
        mem::forget(ledger);
    }
    drop(LEDGER.lock());
}
