//! quitter ends a program clean and in bounded time, and says who hangs, where and why.
//!
//! Every thread that a program starts stands in one tree of quitters. The tree can always be told to
//! quit, by a signal, a channel, a failure or by hand; whoever does not return in time is named in the
//! exit report.
//!
//! # Hello, heartbeat
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
//! The attribute makes the [`MainQuitter`], which listens to SIGINT, SIGTERM and SIGHUP from then on,
//! runs the body as the set-up, forks the annotated routines, and waits for the quit. It is sugar for
//! [`MainQuitterBuilder::run`].
//!
//! # Quitters and routines
//!
//! A [`Quitter`] is a node of the tree. It forks routines ([`add_routine`](Quitter::add_routine)) and
//! makes [child](Quitter::child) quitters. The golden rule: always fork through a quitter, so that
//! nothing is started behind the tree's back.
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
//! // Part of the tree can be ended: a quit goes down, never up.
//! child.quit_and_wait(Duration::from_secs(2)).unwrap();
//! assert!(!main.has_to_quit());
//!
//! // So can all of it. From then on it refuses work.
//! main.quit_and_wait(Duration::from_secs(2)).unwrap();
//! assert!(main.child("late").is_err());
//! ```
//!
//! [`Quitter::root`] makes a tree without any claim on the process: for libraries and tests. A program
//! has one [`MainQuitter`], which is the root of its tree and listens for quit events.
//!
//! # What a routine does
//!
//! A routine sees its quitter as a [`RoutineQuitter`]: it asks whether it [has to
//! quit](RoutineQuitter::has_to_quit), or blocks in what wakes at once on quit:
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
//!                 Err(_) => return, // No more jobs.
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
//! It may return `Result<(), E>`. `q.sleep(..)?` ends it cleanly: [`Quitting`] is not a failure. Any other
//! error, and a panic, is recorded and by default makes the whole program quit, with exit code 1; see
//! [`OnFailure`].
//!
//! # Waiting, and who hangs
//!
//! [`wait_done`](Quitter::wait_done) waits for a whole subtree, and [`Timeouts`] lists who was still
//! live: path, name, age, where it was spawned, where it last called its quitter, and its
//! [status](RoutineQuitter::set_status).
//!
//! ```
//! use std::time::Duration;
//! use quitter::Quitter;
//!
//! let main = Quitter::root("main");
//! let db = main.child("db").unwrap();
//! let flusher = db.guard("flusher").unwrap(); // Work that somebody else forked.
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
//! [`QuitSource`]s tell the main quitter to quit: [signals](QuitSource::os_signal), a message on any
//! [channel](QuitSource::channel) or its closing, or that [all is done](QuitSource::all_done). They are
//! watched from the making of the main quitter on. [`exit`](MainQuitter::exit) waits for the event and
//! for the routines, and returns an [`ExitReport`], which `main` can return.
//!
//! ```
//! use std::time::Duration;
//! use quitter::{ExitReport, MainQuitter, QuitSource};
//!
//! fn main() -> ExitReport {
//!     let sources = [QuitSource::os_signal(), QuitSource::all_done()];
//!     let main = MainQuitter::new(Duration::from_secs(2), sources);
//!     main.add_routine(|_| println!("a job that ends by itself")).unwrap();
//!     main.exit()
//! }
//! ```
//!
//! The quit timeout is one deadline for the whole tree, counted from the quit event; routines can read
//! it with [`deadline`](RoutineQuitter::deadline), and why they have to quit with
//! [`quit_cause`](RoutineQuitter::quit_cause). A second signal ends the process, unless it comes
//! within half a second: see [`SecondSignal`]. Exit codes are in [`exit_code`].
//!
//! # Limitations
//!
//! * A thread cannot be ended from outside. A routine that never asks its quitter goes on until the
//!   process ends; that is what the report is for.
//! * With `panic = "abort"` a panic ends the process before it can be recorded.
//! * Signals belong to the whole process. There is one main quitter per process, for its life. A signal
//!   that comes before it is made has its default effect. See [`QuitSource::os_signal`] for other
//!   handlers of the same signals.
//! * The panic hook is replaced by one that keeps the place of a panic and calls the one before. A hook
//!   that is set later and does not call ours costs the reports the place, nothing else.
//! * A panic is recorded when the panic hooks have returned, or after 3 s: then the routine counts as
//!   failed even if it would have caught the panic. Under a [guard](Quitter::guard) there is no such
//!   limit.
//! * `Quitting` ends a routine cleanly whichever quitter said it.
//! * What quitter prints is written past std's lock of stderr, so that a routine which holds it holds
//!   nothing up; it may stand amid a line that the program writes in pieces.
//! * A routine is done when its closure has returned and what it captured is dropped. Its thread's
//!   thread-local values are dropped after that: where dozens of routines end at once, up to
//!   100 ms later, or not at all if the program has ended by then.
//!
//! # Features
//!
//! * `macros` (default): the attributes [`main`] and [`routine`].

#![cfg_attr(docsrs, feature(doc_cfg))]

pub use quitter_core::{
    AddRoutineError, End, ExitReport, FailureKind, LastSeen, MainOutcome, MainQuitter,
    MainQuitterBuilder, MainQuitterError, Never, OnFailure, QuitCause, QuitSignal, QuitSource,
    Quitter, Quitting, RequestingRoutine, RoutineBuilder, RoutineFailure, RoutineGuard,
    RoutineHandle, RoutineOutcome, RoutineQuitter, SecondSignal, SignalExitCode, StartRoutines,
    StuckRoutine, Ticks, TimedOutQuitter, Timeouts, exit_code,
};

#[cfg(feature = "macros")]
pub use quitter_macros::{main, routine};

#[doc(hidden)]
pub use quitter_core::__private;

/// The README's programs compile.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../README.md")]
struct Readme;
