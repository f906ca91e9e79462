//! The programs that are ended from outside: threads that block, and a SIGINT.
//!
//! Each sets up its handler, starts its threads, prints "ready", and ends as its library's
//! documentation says.

use std::io::{self, Write};
use std::process::{ExitCode, Termination};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use quitter::{MainQuitter, RoutineQuitter};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use tokio::signal::unix::{SignalKind, signal};

use crate::captures;
use crate::crew::{Counted, Crew, Joined, StdCondvar, TokioUtil};
use crate::flags::Channel;
use crate::servers;
use crate::workload::Workload;

/// Runs with this many threads or processes until SIGINT, or until everything is done.
pub type Program = fn(threads: usize) -> ExitCode;

/// The programs, by the library they use.
pub const PROGRAMS: Workload<Program> = Workload {
    name: "process",
    implementations: &[
        ("quitter", ours),
        ("hammered", |threads| ended_by_force(threads, hammer)),
        ("held", |threads| {
            ended_by_force(threads, |_| sleep_for_ever())
        }),
        ("killed", killed),
        ("ctrlc", ctrlc_alone),
        ("ctrlc + WaitGroup", with_ctrlc::<Counted<StdCondvar>>),
        ("ctrlc + join", with_ctrlc::<Joined<StdCondvar>>),
        ("signal-hook", with_signal_hook::<Joined<Channel>>),
        ("tokio-util", with_tokio),
        ("captures", captures::quitter),
        ("captures on threads", captures::threads),
        ("server by hand", servers::by_hand),
        ("server killed", servers::killed),
    ],
};

/// The same code that `#[quitter::main]` expands to.
fn ours(threads: usize) -> ExitCode {
    let report = MainQuitter::builder().run(|main| {
        let arrived = Arc::new(AtomicUsize::new(0));
        for _ in 0..threads {
            let arrived = Arc::clone(&arrived);
            main.add_routine(move |q| {
                arrived.fetch_add(1, Ordering::Relaxed);
                q.wait_quit();
            })
            .expect("a thread");
        }
        say_ready(threads, &arrived);
    });
    report.report()
}

/// How long a program has to return before it is ended by force.
pub const QUIT_TIMEOUT: Duration = Duration::from_millis(500);

/// A program in which neither the body of `main` nor any routine returns.
fn ended_by_force(threads: usize, routine: fn(&RoutineQuitter)) -> ExitCode {
    let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
    let report = builder.run(|main| {
        let arrived = Arc::new(AtomicUsize::new(0));
        for _ in 0..threads {
            let arrived = Arc::clone(&arrived);
            main.add_routine(move |q| {
                arrived.fetch_add(1, Ordering::Relaxed);
                routine(q);
            })
            .expect("a thread");
        }
        say_ready(threads, &arrived);
        sleep_for_ever();
    });
    report.report()
}

/// Makes guards at a quitter of its own without end, whether or not they are refused.
fn hammer(q: &RoutineQuitter) {
    let own = q.child("own").expect("not quitting");
    loop {
        drop(own.guard("guard"));
    }
}

fn sleep_for_ever() {
    loop {
        thread::park();
    }
}

/// The floor: no handler.
fn killed(threads: usize) -> ExitCode {
    let _crew = blocked::<Counted<StdCondvar>>(threads);
    sleep_for_ever();
    ExitCode::SUCCESS
}

/// A handler, a channel, and the return from `main`: threads die wherever they are.
fn ctrlc_alone(threads: usize) -> ExitCode {
    let events = ctrlc_events();
    let _crew = blocked::<Counted<StdCondvar>>(threads);
    let _event = events.recv();
    ExitCode::SUCCESS
}

fn with_ctrlc<C: Crew>(threads: usize) -> ExitCode {
    let events = ctrlc_events();
    let crew = blocked::<C>(threads);
    let _event = events.recv();
    end(crew)
}

fn ctrlc_events() -> mpsc::Receiver<()> {
    let (event, events) = mpsc::channel();
    let forward = move || _ = event.send(());
    ctrlc::set_handler(forward).expect("the only handler");
    events
}

fn with_signal_hook<C: Crew>(threads: usize) -> ExitCode {
    let mut signals = Signals::new([SIGINT]).expect("a handler");
    let crew = blocked::<C>(threads);
    let _signal = signals.forever().next();
    end(crew)
}

/// A single-threaded runtime, which is the cheapest. The blocked threads are not tokio's.
fn with_tokio(threads: usize) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut interrupts = signal(SignalKind::interrupt()).expect("a handler");
        let crew = blocked::<TokioUtil>(threads);
        interrupts.recv().await;
        crew.token.cancel();
        crew.tracker.close();
        crew.tracker.wait().await;
    });
    ExitCode::SUCCESS
}

fn blocked<C: Crew>(threads: usize) -> C {
    let arrived = Arc::new(AtomicUsize::new(0));
    let mut crew = C::new();
    for _ in 0..threads {
        let arrived = Arc::clone(&arrived);
        crew.fork(move |wait| {
            arrived.fetch_add(1, Ordering::Relaxed);
            wait();
        });
    }
    say_ready(threads, &arrived);
    crew
}

fn end(crew: impl Crew) -> ExitCode {
    crew.tell();
    crew.wait();
    ExitCode::SUCCESS
}

/// Tells the parent process that all threads are about to block. The system tells it when they do.
fn say_ready(threads: usize, arrived: &AtomicUsize) {
    while arrived.load(Ordering::Relaxed) < threads {
        thread::yield_now();
    }
    writeln!(io::stdout(), "ready").expect("the parent reads");
}
