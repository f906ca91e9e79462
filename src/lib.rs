//! Ends a program clean and in bounded time, and says who hangs.
pub use quitter_core::{
    AddRoutineError, ExitReport, FailureKind, LastSeen, MainOutcome, MainQuitter,
    MainQuitterBuilder, MainQuitterError, Never, OnFailure, QuitCause, QuitSource, Quitter,
    Quitting, RoutineBuilder, RoutineFailure, RoutineGuard, RoutineHandle, RoutineOutcome,
    RoutineQuitter, StartRoutines, StuckRoutine, Ticks, TimedOutQuitter, Timeouts, exit_code,
};

#[cfg(feature = "macros")]
pub use quitter_macros::{main, routine};

#[doc(hidden)]
pub use quitter_core::__private;
