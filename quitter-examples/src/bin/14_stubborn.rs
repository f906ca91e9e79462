//! A program that refuses to end in every way we know of, and ends all the same.
//!
//! Start it with one of the cases below, and press Ctrl-C:
//!
//! ```sh
//! cargo run -p quitter-examples --bin stubborn -- tls-destructor
//! ```
//!
//! If something hangs, expect the end about a second after Ctrl-C, because the quit timeout is 1 s, and a
//! report that names it; otherwise the end comes at once. A second Ctrl-C, half a second or more after
//! the first, ends the process with exit code 130. The cases with a message and `locked-panic` quit by
//! themselves. Without an argument, the program lists the cases.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use quitter::{MainQuitter, QuitSource, Quitting};

type Set = fn(&MainQuitter) -> Result<(), Box<dyn std::error::Error>>;

/// The cases: the name, what hangs, and the set-up.
const CASES: &[(&str, &str, Set)] = &[
    ("body", "the body of main", body),
    ("drop", "the drop of a local of main's body", local),
    ("tls-destructor", "a thread-local destructor of main", tls),
    (
        "stderr-lock",
        "a routine that holds stderr's lock",
        stderr_lock,
    ),
    (
        "stdout-lock",
        "a routine that holds stdout's lock",
        stdout_lock,
    ),
    (
        "partial-line",
        "nobody: a partial line waits in stdout",
        partial,
    ),
    ("spin", "a routine that spins", spin),
    ("forks", "a routine that forks forever", forks),
    (
        "locked-panic",
        "a routine that holds stderr's lock, while another panics",
        locked_panic,
    ),
    (
        "drop-panics",
        "nobody: drops that panic, one after the other",
        drops,
    ),
    ("ten-thousand", "ten thousand routines", ten_thousand),
    (
        "display-blocks",
        "the Display of a source's message",
        display_blocks,
    ),
    (
        "display-panics",
        "nobody: a message panics in Display",
        display_panics,
    ),
    (
        "message-drop",
        "the drop of a source's message",
        message_drop,
    ),
    (
        "own-hook",
        "a routine's panic in a user's panic hook",
        own_hook,
    ),
    ("own-thread", "a thread that no quitter knows", own_thread),
];

#[quitter::main(timeout = "1s")]
fn main(main: &MainQuitter) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let Some((_, _, set)) = CASES.iter().find(|(name, ..)| *name == wanted) else {
        eprintln!("usage: stubborn CASE\ncases, and what hangs in each:");
        for (name, what, _) in CASES {
            eprintln!("  {name:15} {what}");
        }
        return Ok(ExitCode::from(2));
    };
    set(main)?;
    say("ready: press Ctrl-C, if it does not quit by itself; it ends within about a second");
    Ok(ExitCode::SUCCESS)
}

/// Not `eprintln!`, which panics when stderr is broken.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Blocks forever, as a lost lock or a dead disk does.
fn hang() -> ! {
    loop {
        thread::park();
    }
}

fn body(_: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    say("ready: press Ctrl-C");
    hang();
}

struct Stuck;

impl Drop for Stuck {
    fn drop(&mut self) {
        hang();
    }
}

fn local(main: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    let _local = Stuck;
    say("ready: press Ctrl-C");
    main.wait_quit();
    Ok(())
}

fn tls(_: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    thread_local!(static STUCK: RefCell<Option<Stuck>> = const { RefCell::new(None) });
    STUCK.set(Some(Stuck));
    Ok(())
}

fn stderr_lock(main: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    let (locked, is_locked) = mpsc::channel();
    main.routine("holds stderr").add(move |_| {
        let mut lock = io::stderr().lock();
        let _ = writeln!(lock, "ready: press Ctrl-C");
        let _ = locked.send(());
        hang()
    })?;
    is_locked.recv()?;
    main.wait_quit(); // From here on, the report has to get past the lock.
    Ok(())
}

fn stdout_lock(main: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    main.routine("holds stdout").add(|_| {
        let _lock = io::stdout().lock();
        hang()
    })?;
    Ok(())
}

fn partial(_: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    print!("half a line");
    Ok(())
}

fn spin(main: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    main.routine("spins").add(|q| {
        loop {
            let _ = q.has_to_quit();
            std::hint::spin_loop();
        }
    })?;
    Ok(())
}

fn forks(main: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    main.routine("forks").add(|q| {
        loop {
            // Refused once the program quits. This routine does not care.
            let _ = q.routine("forked").add(|q| q.wait_quit());
            let _ = q.sleep(Duration::from_millis(10));
        }
    })?;
    Ok(())
}

fn locked_panic(main: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    let (locked, is_locked) = mpsc::channel();
    main.routine("holds stderr").add(move |_| {
        let mut lock = io::stderr().lock();
        let _ = writeln!(lock, "ready: the panic quits the program");
        let _ = locked.send(());
        hang()
    })?;
    main.routine("panics").add(move |_| {
        let _ = is_locked.recv();
        panic!("while stderr is locked");
    })?;
    main.wait_quit();
    Ok(())
}

fn drops(main: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    struct Panics(u32);
    impl Drop for Panics {
        fn drop(&mut self) {
            if self.0 > 0 {
                let next = Panics(self.0 - 1);
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(next)));
                panic!("drop {}", self.0);
            }
        }
    }
    main.routine("drops").add(|q| {
        let _panics = Panics(5);
        q.wait_quit();
    })?;
    Ok(())
}

fn ten_thousand(main: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    for _ in 0..10_000 {
        let routine = main.routine("one of many").stack_size(64 * 1024);
        routine.add(|_| hang())?;
    }
    Ok(())
}

/// A message whose `Display` calls a function.
struct Message(fn());

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)();
        f.write_str("shown")
    }
}

/// Adds a source that receives `message` a moment after the set-up.
fn send<T: Send + 'static>(
    main: &MainQuitter,
    message: T,
    show: fn(&T) -> String,
) -> Result<(), Quitting> {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    main.add_source(QuitSource::channel_with("message", receiver, show));
    let sent = main.routine("sends the message").add(move |q| {
        let _ = q.sleep(Duration::from_millis(100));
        let _ = sender.send(message);
        q.wait_quit();
    });
    sent.map(drop).map_err(|_| Quitting)
}

fn display_blocks(main: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    Ok(send(main, Message(|| hang()), Message::to_string)?)
}

fn display_panics(main: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    let message = Message(|| panic!("no text"));
    Ok(send(main, message, Message::to_string)?)
}

fn message_drop(main: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    Ok(send(main, Stuck, |_| {
        "a message that hangs when dropped".to_owned()
    })?)
}

fn own_hook(main: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        hook(info);
        hang();
    }));
    main.routine("panics")
        .add(|_| panic!("the program's own hook hangs now"))?;
    Ok(())
}

fn own_thread(_: &MainQuitter) -> Result<(), Box<dyn std::error::Error>> {
    thread::spawn(|| hang());
    Ok(())
}
