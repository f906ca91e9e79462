//! Graceful, bounded shutdown for programs made of threads, tasks and child processes, and a report that
//! names what hangs.
//!
//! Everything that a program starts belongs to one tree of quitters. The tree can always be told to
//! quit: by a signal, by a message on a channel, by a failure, or by hand. Blocked threads wake at
//! once, the program ends within its timeout, and the exit report names every routine that did not
//! return.
//!
//! # A first program
//!
//! ```no_run
//! # #[cfg(feature = "macros")] mod program {
//! use std::time::Duration;
//! use quitter::RoutineQuitter;
//!
//! #[quitter::routine]
//! fn heartbeat(q: &RoutineQuitter) {
//!     for _ in q.ticks(Duration::from_secs(1)) {
//!         println!("beat");
//!     }
//! }
//!
//! #[quitter::main(timeout = "2s")]
//! fn main() {
//!     println!("press Ctrl-C");
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! The attribute creates the [`MainQuitter`], which listens for SIGINT, SIGTERM and SIGHUP from that moment.
//! It runs the body as the set-up, starts the annotated routines, and waits for the quit. It is shorthand for
//! [`MainQuitterBuilder::run`]. If the body is the foreground work, write `end = "with_body"` in the
//! attribute: the program then ends when the body returns. See [`End`].
//!
//! # Quitters and routines
//!
//! A [`Quitter`] is a node of the tree. It starts routines ([`add_routine`](Quitter::add_routine)) and
//! creates [child](Quitter::child) quitters. The golden rule: always start threads through a quitter. A
//! thread that is not in the tree cannot be told to quit, waited for or named.
//!
//! ```
//! use std::time::Duration;
//! use quitter::Quitter;
//!
//! let main = Quitter::root("main");
//! let child = main.child("childQuitter").unwrap();
//! child.add_routine(|q| q.wait_quit()).unwrap();
//! main.add_routine(|q| q.wait_quit()).unwrap();
//!
//! // A part of the tree can end by itself: a quit goes down, never up.
//! child.quit_and_wait(Duration::from_secs(2)).unwrap();
//! assert!(!main.has_to_quit());
//!
//! // So can the whole tree. From then on it refuses work.
//! main.quit_and_wait(Duration::from_secs(2)).unwrap();
//! assert!(main.child("late").is_err());
//! ```
//!
//! [`Quitter::root`] creates a tree that claims nothing process-wide, for libraries and tests. A program has
//! one [`MainQuitter`]: the root of its tree, which listens for quit events.
//!
//! # Inside a routine
//!
//! A routine sees its quitter as a [`RoutineQuitter`]. It asks whether it [has to
//! quit](RoutineQuitter::has_to_quit), or blocks in a call that wakes at the quit:
//! [`sleep`](RoutineQuitter::sleep), [`ticks`](RoutineQuitter::ticks),
//! [`wait_quit`](RoutineQuitter::wait_quit), or crossbeam's `select!` with
//! [`quit_chan`](RoutineQuitter::quit_chan).
//!
//! ```
//! use crossbeam_channel::{Receiver, select, unbounded};
//! use quitter::{Quitter, RoutineQuitter};
//!
//! fn work(q: &RoutineQuitter, jobs: &Receiver<u32>) {
//!     loop {
//!         select! {
//!             recv(jobs) -> job => match job {
//!                 Ok(job) => q.set_status(format!("job {job}")),
//!                 Err(_) => return, // There will be no more jobs.
//!             },
//!             recv(q.quit_chan()) -> _ => return,
//!         }
//!     }
//! }
//!
//! let main = Quitter::root("main");
//! let (sender, jobs) = unbounded();
//! main.routine("worker").add(move |q| work(q, &jobs)).unwrap();
//! sender.send(17).unwrap();
//! main.quit_and_wait(std::time::Duration::from_secs(2)).unwrap();
//! ```
//!
//! A routine may return `Result<(), E>` with any error that is `Send + Sync + 'static`, such as
//! `std::io::Error` or `Box<dyn Error + Send + Sync>`. `q.sleep(..)?` ends it cleanly, because
//! [`Quitting`] is not a failure. It may ask the whole program to quit, and say why:
//! [`request_quit`](RoutineQuitter::request_quit).
//!
//! # Failures
//!
//! An error that a routine returns is recorded, unless it is [`Quitting`], and so is a panic. What
//! follows depends on the [`OnFailure`] of the routine, or of the nearest quitter that
//! [has one](Quitter::on_failure):
//!
//! | | quits | exit code | reported |
//! | --- | --- | --- | --- |
//! | [`QuitMain`](OnFailure::QuitMain), the default | the whole tree | 1 | at the quit, and in the exit report |
//! | [`QuitOwn`](OnFailure::QuitOwn) | the routine's quitter | 1 | at once, and in the exit report |
//! | [`FailAtExit`](OnFailure::FailAtExit) | nothing | 1 | in the exit report |
//! | [`Report`](OnFailure::Report) | nothing | unchanged | at once |
//!
//! ```
//! use std::time::Duration;
//! use quitter::{OnFailure, Quitter};
//!
//! let main = Quitter::root("main");
//! let connections = main.child("connections").unwrap();
//! connections.on_failure(OnFailure::Report);
//! let client = connections.add_routine(|_| Err::<(), _>("connection reset")).unwrap();
//! client.wait(Duration::MAX).unwrap();
//! assert!(!main.has_to_quit());
//! ```
//!
//! A failure of a routine that was told to quit is often a consequence, such as a send to a receiver
//! that is gone. [`FailuresWhileQuitting`] says whether it counts, for the whole program or for
//! [a part of the tree](Quitter::failures_while_quitting).
//!
//! # Waiting, and what hangs
//!
//! [`wait_done`](Quitter::wait_done) waits for a whole subtree. If the time is up, its error
//! [`Timeouts`] lists the routines that are still live: [path](QuitterPath), name, age, where each was
//! started, where it last called its quitter, and its [status](RoutineQuitter::set_status).
//!
//! ```
//! use std::time::Duration;
//! use quitter::Quitter;
//!
//! let main = Quitter::root("main");
//! let db = main.child("db").unwrap();
//! let flusher = db.guard("flusher").unwrap(); // Tracks work that was started elsewhere.
//! flusher.set_status("flushing 3/10");
//!
//! let timeouts = main.quit_and_wait(Duration::from_millis(10)).unwrap_err();
//! eprintln!("{timeouts}");
//! let stuck = timeouts.routines().next().unwrap();
//! assert_eq!((&stuck.name[..], stuck.status.as_deref()), ("flusher", Some("flushing 3/10")));
//! ```
//!
//! # Quit events and the exit
//!
//! A [`QuitSource`] tells the main quitter to quit: [signals](QuitSource::os_signal), a message on a
//! [channel](QuitSource::channel) or the closing of it, or that
//! [all routines are done](QuitSource::all_done). The sources are watched from the moment the main quitter is
//! created. [`exit`](MainQuitter::exit) waits for the event and for the routines, and returns an
//! [`ExitReport`], which `main` can return. With the attribute or the builder, signals are a source
//! [unless turned off](MainQuitterBuilder::signals), and the sources that you name are added to them.
//!
//! ```standalone_crate
//! use std::time::Duration;
//! use quitter::{AddRoutineError, ExitReport, MainQuitter, QuitSource};
//!
//! fn main() -> ExitReport {
//!     let sources = [QuitSource::os_signal(), QuitSource::all_done()];
//!     let main = MainQuitter::new(Duration::from_secs(2), sources);
//!     match main.add_routine(|_| println!("a job that ends by itself")) {
//!         // A signal may come before the routine is started. That is a quit like any other.
//!         Ok(_) | Err(AddRoutineError::Quitting) => main.exit(),
//!         Err(error) => panic!("{error}"),
//!     }
//! }
//! ```
//!
//! The quit timeout is one deadline for the whole tree, counted from the quit event. Routines can read
//! it with [`deadline`](RoutineQuitter::deadline), and the reason for the quit with
//! [`quit_cause`](RoutineQuitter::quit_cause). A second signal ends the process, unless it comes
//! within half a second of the first: see [`SecondSignal`].
//!
//! The exit codes are constants in [`exit_code`]. A clean exit has code 0, even after a signal, as services
//! need; command-line tools should choose [`SignalExitCode::Raise`].
//!
//! # What it prints
//!
//! A program with a main quitter says on stderr what told it to quit, after a second which routines it is
//! [waiting for](MainQuitterBuilder::progress_lines), and finally the outcome. Hints explain what would
//! otherwise be puzzling, such as a program that waits for a quit event although nothing is running.
//! [`Notice`] lists the kinds of lines, with their data. A tree created by [`Quitter::root`] prints only
//! failures under [`OnFailure::Report`] and, with the feature `tokio`, the hint about calls that block tasks.
//!
//! # The live tree
//!
//! [`snapshot`](Quitter::snapshot) lists, at any time, what is alive in a tree: the quitters, their routines,
//! and the state of each routine. It prints as a tree of text, and [Mermaid](Snapshot::to_mermaid) and
//! [Graphviz](Snapshot::to_dot) can draw it.
//!
//! ```
//! # let main = quitter::Quitter::root("main");
//! # let _flusher = main.child("db").unwrap().guard("flusher").unwrap();
//! eprintln!("{}", main.snapshot());
//! ```
//!
//! ```text
//! main
//! ├─ heartbeat  running 7.0 s, spawned at src/main.rs:8, last seen 0.4 s ago at src/main.rs:9
//! └─ db
//!    └─ flusher  running 7.0 s, spawned at src/main.rs:22, last seen at src/main.rs:15,
//!                status "flushing 3/10"
//! ```
//!
//! # Guide
//!
//! * [Testing your shutdown](guide::testing): unit tests with trees of their own, and real signals.
//! * [Recipes](guide::recipes): blocked I/O, foreground loops, `--help`, failures that a server
//!   survives, ordered shutdown, exit codes, supervisors.
//! * [Blocking I/O](guide::io): sockets, pipes, terminals and listeners that end at the quit.
//! * [On tokio](guide::tokio): tasks, what blocks them, dropping a runtime, and coming from tokio-util or
//!   tokio-graceful-shutdown.
//! * [Snapshots and reports as JSON](guide::json): the shape, field by field.
//! * [Child processes](guide::processes): groups, terminals, service managers, output.
//! * [Where it hangs](guide::diagnosis): the stacks of threads that did not return, and the awaits of
//!   tasks.
//! * [Guarantees and limits](guide::guarantees): what you can rely on, and what no library can do.
//!
//! # Features
//!
//! * `macros` (default): the attributes [`main`] and [`routine`].
//! * `io`: [blocking I/O](guide::io) that ends at the quit, on Unix.
//! * `tokio`: tasks on tokio, an async `main`, and async waits; see [On tokio](guide::tokio).
//! * `color`: a [`Snapshot`] in a terminal's colours, through its methods `ansi` and `for_stderr`.
//! * `serde`: [`Snapshot`], [`Dump`], [`ExitReport`], [`Timeouts`] and everything in them implement
//!   `serde::Serialize`, in a [documented shape](guide::json).
//! * `process`: [child processes](guide::processes) as routines.
//! * `progress`: [draws](MainQuitterBuilder::progress_lines) a slow quit on a terminal: the routines that the
//!   program is waiting for, and how much time is left. Unix.
//! * `stacks`: the exit report shows on which lines threads and tasks hang. Linux on x86-64 and
//!   aarch64; see [Where it hangs](guide::diagnosis).
//! * `tracing`: events and a span for each routine, for a `tracing` subscriber; see [`Output`].

#![cfg_attr(docsrs, feature(doc_cfg))]

pub use quitter_core::{
    AddRoutineError, CancelOnQuit, Dump, End, ExitReport, FailureKind, FailuresWhileQuitting,
    HeldUpAt, HoldOutput, LastSeen, LiveQuitter, MainOutcome, MainQuitter, MainQuitterBuilder,
    MainQuitterError, Notice, OnFailure, OnQuit, Output, OutsideThread, QuitCause, QuitFuture,
    QuitSignal, QuitSource, QuitState, Quitter, QuitterPath, Quitting, RequestingRoutine,
    RoutineBuilder, RoutineFailure, RoutineGuard, RoutineHandle, RoutineKind, RoutineOutcome,
    RoutineQuitter, RoutineState, SecondSignal, SignalExitCode, SlowRoutine, Snapshot, Stands,
    StartRoutines, StuckRoutine, Task, ThreadState, Ticks, TimedOutQuitter, Timeouts, Tracked,
    exit_code,
};

#[cfg(all(unix, feature = "io"))]
#[cfg_attr(docsrs, doc(cfg(feature = "io")))]
pub use quitter_core::{Incoming, Interruptible, Listener, Ready};

#[cfg(feature = "process")]
#[cfg_attr(docsrs, doc(cfg(feature = "process")))]
pub use quitter_core::{
    AddProcessError, EndedBy, ProcessEnd, ProcessEnded, ProcessFailure, ProcessHandle,
    ProcessOutput,
};

#[cfg(feature = "stacks")]
#[cfg_attr(docsrs, doc(cfg(feature = "stacks")))]
pub use quitter_core::{Frame, Stack, TaskState};

#[cfg(feature = "macros")]
pub use quitter_macros::{main, routine};

#[doc(hidden)]
pub use quitter_core::__private;

/// Documentation only: there is no code in the guide.
#[cfg(any(doc, doctest))]
pub mod guide;

/// Compiles the README's programs.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../README.md")]
struct Readme;
