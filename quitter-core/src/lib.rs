//! The core of [quitter](https://docs.rs/quitter): the tree of quitters and routines, the main
//! quitter with its quit sources, and the exit report.
//!
//! Programs depend on the crate `quitter`, which re-exports all of this and adds the attributes
//! `#[quitter::main]` and `#[quitter::routine]`. This crate is the same without a procedural macro
//! in the build.
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

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod builder;
mod cause;
mod console;
mod error;
mod events;
mod failure;
mod main_quitter;
mod never;
mod panics;
mod quitter;
mod record;
mod registry;
mod report;
mod routine;
mod signal;
mod source;
mod sync;
mod system;
mod timeouts;
mod tree;
mod waiting;
mod watcher;

pub use body::MainOutcome;
pub use builder::{MainQuitterBuilder, StartRoutines};
pub use cause::QuitCause;
pub use error::{AddRoutineError, MainQuitterError, Never, Quitting};
pub use failure::{FailureKind, OnFailure, RoutineFailure};
pub use main_quitter::MainQuitter;
pub use quitter::{Quitter, RoutineQuitter, Ticks};
pub use report::{ExitReport, exit_code};
pub use routine::{RoutineBuilder, RoutineGuard, RoutineHandle, RoutineOutcome};
pub use signal::SecondSignal;
pub use source::QuitSource;
pub use timeouts::{LastSeen, StuckRoutine, TimedOutQuitter, Timeouts};

/// What the attributes' output needs. No part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::quitter::Quitter;
    pub use crate::registry::{ROUTINES, RegisteredRoutine, type_id_of};
    pub use linkme;
}
