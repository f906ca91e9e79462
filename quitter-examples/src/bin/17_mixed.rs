//! Threads and tasks in one tree, each of which can be made to hang.
//!
//! Tasks measure, and a thread writes the values. A quit reaches all of them in the same way, and one
//! report names every routine that does not return.
//!
//! Start it with `cargo run -p quitter-examples --bin mixed` and press Ctrl-C: it ends with exit code
//! 0. With `--stuck`, or `--stuck thread`, `--stuck task`, `--stuck worker`, something hangs at the
//! quit: a thread that blocks, a task that awaits forever, a task that blocks its worker. Then the
//! report names it after a second, with the thread's calls, the await of the task, and the worker that is
//! blocked, and the exit code is 1.

use std::env;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use quitter::{AddRoutineError, MainQuitter, Quitting, RoutineQuitter};
use tokio::sync::oneshot;

const BEAT: Duration = Duration::from_millis(50);

/// Which routines hang.
#[derive(Clone, Copy, Default)]
struct Stuck {
    thread: bool,
    task: bool,
    worker: bool,
}

impl Stuck {
    /// Returns `None` if the arguments make no sense.
    fn from_args() -> Option<Self> {
        let args: Vec<String> = env::args().skip(1).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let none = Self::default();
        match args[..] {
            [] => Some(none),
            ["--stuck"] => Some(Self {
                thread: true,
                task: true,
                worker: true,
            }),
            ["--stuck", "thread"] => Some(Self {
                thread: true,
                ..none
            }),
            ["--stuck", "task"] => Some(Self { task: true, ..none }),
            ["--stuck", "worker"] => Some(Self {
                worker: true,
                ..none
            }),
            _ => None,
        }
    }
}

#[quitter::main(timeout = "1s")]
async fn main(main: &MainQuitter) -> ExitCode {
    let Some(stuck) = Stuck::from_args() else {
        eprintln!("usage: mixed [--stuck [thread|task|worker]]");
        return ExitCode::from(2);
    };
    match start(main, stuck) {
        Ok(()) => println!("measuring"),
        Err(error) if error.is_quitting() => {}
        Err(error) => panic!("{error}"),
    }
    ExitCode::SUCCESS
}

fn start(main: &MainQuitter, stuck: Stuck) -> Result<(), AddRoutineError> {
    let (measured, to_write) = mpsc::channel();
    let writer = main.routine("writer");
    writer.add(move |q| write(q, stuck, &to_write))?;
    let sensors = main.child("sensors")?;
    for name in ["north", "south"] {
        let measured = measured.clone();
        let sensor = sensors.routine(name);
        sensor.add_task(move |q| measure(q, stuck, measured))?;
    }
    let compacts = main.routine("compactor");
    compacts.add_task(move |q| compact(q, stuck))?;
    Ok(())
}

/// A thread: writes until all tasks that measure have ended.
fn write(q: &RoutineQuitter, stuck: Stuck, measured: &mpsc::Receiver<u32>) {
    let mut written = 0;
    for _value in measured {
        written += 1;
        q.set_status(format!("{written} values"));
    }
    if stuck.thread {
        // Stands in for a lock that is never released, or a file system that does not answer.
        thread::park();
    }
}

/// A task: measures until it is told to quit.
async fn measure(
    q: RoutineQuitter,
    stuck: Stuck,
    measured: mpsc::Sender<u32>,
) -> Result<(), Quitting> {
    let result = loop {
        if let Err(quitting) = q.cancel_on_quit(tokio::time::sleep(BEAT)).await {
            break quitting;
        }
        let _ = measured.send(17);
    };
    drop(measured);
    if stuck.task && q.name() == "south" {
        calibrate().await;
    }
    Err(result)
}

/// Waits for an answer that never comes.
async fn calibrate() {
    let (_asked, answer) = oneshot::channel::<u32>();
    let _ = answer.await;
}

/// A task that should not work without awaiting anything, and does.
async fn compact(q: RoutineQuitter, stuck: Stuck) {
    q.quitting().await;
    if stuck.worker {
        q.set_status("compacting");
        loop {
            thread::park();
        }
    }
}
