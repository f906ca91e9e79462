//! The core of [quitter](https://docs.rs/quitter): the tree of quitters and routines, the main
//! quitter with its quit sources, and the exit report.
//!
//! Programs depend on the crate `quitter`, which re-exports all of this and adds the attributes
//! `#[quitter::main]` and `#[quitter::routine]`. On its own, this crate keeps procedural macros out of the
//! build.
//!
//! # Examples
//!
//! ```no_run
//! use std::time::Duration;
//! use quitter_core::{ExitReport, MainQuitter, QuitSource};
//!
//! fn main() -> ExitReport {
//!     let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
//!     main.add_routine(|q| {
//!         for _ in q.ticks(Duration::from_secs(1)) {
//!             println!("beat");
//!         }
//!     })
//!     .unwrap();
//!     main.exit()
//! }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg, never_type))]

#[cfg(not(target_has_atomic = "64"))]
compile_error!("quitter needs 64-bit atomics, which this target does not have");
#[cfg(not(any(unix, windows)))]
compile_error!("quitter needs threads and signals: it runs on Unix and on Windows");

mod blocking;
mod cancel;
mod error;
mod futures;
#[cfg(all(unix, feature = "io"))]
mod io;
mod main_quitter;
mod missing;
mod never;
#[cfg(feature = "tokio")]
mod on_tokio;
mod pinned;
mod process;
mod quitter;
mod report;
mod routine;
mod slots;
#[cfg(feature = "stacks")]
mod stacks;
mod stands;
mod stat;
mod sync;
mod system;
mod threads;
mod trace;
mod tree;

pub use cancel::CancelOnQuit;
pub use error::{AddRoutineError, MainQuitterError, Quitting};
pub use futures::QuitFuture;
#[cfg(all(unix, feature = "io"))]
#[cfg_attr(docsrs, doc(cfg(feature = "io")))]
pub use io::{Incoming, Interruptible, Listener, Ready};
pub use main_quitter::body::MainOutcome;
pub use main_quitter::builder::MainQuitterBuilder;
pub use main_quitter::exit::MainQuitter;
pub use main_quitter::run::{End, StartRoutines};
pub use main_quitter::signal::{QuitSignal, SecondSignal, SignalExitCode};
pub use main_quitter::source::QuitSource;
pub use quitter::Quitter;
pub use report::cause::{QuitCause, RequestingRoutine};
pub use report::dump::Dump;
pub use report::exit::{ExitReport, exit_code};
pub use report::failure::{FailureKind, FailuresWhileQuitting, OnFailure, RoutineFailure};
pub use report::notice::{HeldUpAt, Notice};
pub use report::output::{HoldOutput, Output};
pub use report::outside::{OutsideThread, ThreadState};
pub use report::path::QuitterPath;
pub use report::slow::SlowRoutine;
pub use report::snapshot::{LiveQuitter, QuitState, Snapshot};
pub use report::timeouts::{LastSeen, StuckRoutine, TimedOutQuitter, Timeouts};
pub use routine::builder::RoutineBuilder;
pub use routine::guard::RoutineGuard;
pub use routine::handle::RoutineHandle;
pub use routine::kind::{RoutineKind, RoutineState};
pub use routine::on_quit::OnQuit;
pub use routine::outcome::RoutineOutcome;
#[cfg(feature = "process")]
pub use routine::process::{
    AddProcessError, EndedBy, ProcessEnd, ProcessEnded, ProcessFailure, ProcessHandle,
    ProcessOutput,
};
pub use routine::quitter::RoutineQuitter;
pub use routine::task::Task;
pub use routine::ticks::Ticks;
pub use routine::tracked::Tracked;
#[cfg(feature = "stacks")]
pub use stacks::{Frame, Stack, TaskState};
pub use stands::Stands;

/// Items that the expansion of the attributes uses. Not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::main_quitter::body::{AsError, ErrorOf, KnownError, UnknownError};
    pub use crate::routine::builder::RoutineBuilder;
    pub use crate::routine::registry::{RegisteredRoutine, type_id_of};
    pub use inventory::submit;
}
