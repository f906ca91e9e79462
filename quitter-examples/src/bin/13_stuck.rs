//! A gallery of routines that hang, each for a different reason, and the report that says why.
//!
//! Shows what the exit report says about a routine that hangs: its path, its age, what its thread is
//! blocked in (on Linux), where it was started, where it last called its quitter, and its status.
//!
//! Start it with `cargo run -p quitter-examples --bin stuck -- lock`, with another of the cases below, or
//! without an argument for all of them, and press Ctrl-C. After two seconds, the quit timeout, the program
//! ends with exit code 1 and names the routines. Press Ctrl-C again, more than half a second after the
//! first time, and it ends at once, with the report so far and exit code 130.

use std::net::TcpListener;
use std::sync::Mutex;
use std::time::Duration;
use std::{env, hint, io, mem, process, thread};

use crossbeam_channel::unbounded;
use quitter::{AddRoutineError, MainQuitter, RoutineQuitter};

type Started = Result<(), AddRoutineError>;

/// Starts the routines of one case.
type Case = fn(&MainQuitter) -> Started;

const CASES: [(&str, Case); 9] = [
    ("lock", lock),
    ("shared-lock", shared_lock),
    ("channel", channel),
    ("sleep", sleep),
    ("spin", spin),
    ("accept", accept),
    ("deep", deep),
    ("stdin", stdin),
    ("deaf", deaf),
];

/// A lock that is never released.
fn lock(main: &MainQuitter) -> Started {
    static LEDGER: Mutex<u64> = Mutex::new(0);

    mem::forget(LEDGER.lock());
    let routine = main.routine("waits_for_a_lock").add(|q| {
        hangs(q);
        // Nothing can wake a thread that waits for a lock of std.
        drop(LEDGER.lock());
    });
    routine.map(drop)
}

/// A lock that two routines wait for.
fn shared_lock(main: &MainQuitter) -> Started {
    static STORE: Mutex<()> = Mutex::new(());

    mem::forget(STORE.lock());
    let store = main.child("store")?;
    for name in ["flusher", "compactor"] {
        store.routine(name).add(|q| {
            hangs(q);
            drop(STORE.lock());
        })?;
    }
    Ok(())
}

/// A channel to which nobody sends.
fn channel(main: &MainQuitter) -> Started {
    let routine = main.routine("waits_for_a_message").add(|q| {
        hangs(q);
        let (_never_sends, messages) = unbounded::<String>();
        // With `select!` on `q.quit_chan()` this would return.
        let _ = messages.recv();
    });
    routine.map(drop)
}

fn sleep(main: &MainQuitter) -> Started {
    let routine = main.routine("sleeps_without_its_quitter").add(|q| {
        hangs(q);
        // `q.sleep` would wake up.
        thread::sleep(Duration::from_secs(3600));
    });
    routine.map(drop)
}

fn spin(main: &MainQuitter) -> Started {
    let routine = main.routine("spins").add(|q| -> ! {
        hangs(q);
        loop {
            hint::spin_loop();
        }
    });
    routine.map(drop)
}

/// A server without clients.
fn accept(main: &MainQuitter) -> Started {
    let routine = main.routine("accepts").add(|q| {
        hangs(q);
        let listener = TcpListener::bind("127.0.0.1:0")?;
        // The quit does not close the listener.
        listener.accept().map(drop)
    });
    routine.map(drop)
}

/// Two levels below the main quitter.
fn deep(main: &MainQuitter) -> Started {
    let database = main.child("storage")?.child("database")?;
    let routine = database.routine("flushes").add(|q| -> ! {
        hangs(q);
        q.set_status("flushing 3/10");
        loop {
            thread::park();
        }
    });
    routine.map(drop)
}

/// A prompt that nobody answers.
fn stdin(main: &MainQuitter) -> Started {
    let routine = main.routine("reads_stdin").add(|q| {
        hangs(q);
        io::stdin().read_line(&mut String::new()).map(drop)
    });
    routine.map(drop)
}

/// A routine that never asks whether it has to quit.
fn deaf(main: &MainQuitter) -> Started {
    let routine = main.routine("never_asks").add(|q| -> ! {
        eprintln!("'{}' hangs from now on", q.name());
        loop {
            thread::sleep(Duration::from_millis(100));
        }
    });
    routine.map(drop)
}

/// The last call that a routine makes to its quitter.
#[track_caller]
fn hangs(q: &RoutineQuitter) {
    let _ = q.has_to_quit();
    eprintln!("'{}' hangs from now on", q.name());
}

#[quitter::main(timeout = "2s")]
fn main(main: &MainQuitter) -> Result<process::ExitCode, AddRoutineError> {
    let chosen = env::args().nth(1);
    let names = CASES.map(|(name, _)| name);
    if chosen.iter().any(|name| !names.contains(&&name[..])) {
        eprintln!("usage: stuck [CASE]\ncases: {}", names.join(", "));
        return Ok(process::ExitCode::from(2));
    }
    for (name, start) in CASES {
        if chosen.as_ref().is_none_or(|chosen| chosen == name) {
            start(main)?;
        }
    }
    eprintln!("Press Ctrl-C.");
    Ok(process::ExitCode::SUCCESS)
}
