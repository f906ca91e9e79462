//! The process-wide state: the claim of the main quitter, the signals that made it quit, the thread that
//! writes, the panics that are in the panic hooks, the failures that are about to be reported, the thread
//! that calls a tracing subscriber, and the reaper of child processes.
//!
//! This state is reached through [`Process::current`], so that a test can be given a process of its own.
//! Other statics stay with the code that uses them. The panic hook is std's, and std has one for the process,
//! so [`hook`](crate::routine::hook) keeps its state. The clocks' origins ([`system`](crate::system)) never
//! change once read, so nothing is gained by having two. Receivers that are kept on purpose
//! ([`channel`](crate::main_quitter::channel)) are never read again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::MainQuitterError;
use crate::main_quitter::signal::QuitSignals;
use crate::report::console::Console;
use crate::routine::failing::PendingFailures;
use crate::routine::panics_in_hooks::PanicsInHooks;
#[cfg(feature = "process")]
use crate::routine::process::Reaper;
use crate::trace::Tracer;

pub(crate) struct Process {
    /// The process has, or had, a main quitter.
    claimed: AtomicBool,
    pub(crate) quit_signals: QuitSignals,
    pub(crate) console: Console,
    pub(crate) panics_in_hooks: Mutex<PanicsInHooks>,
    pub(crate) pending_failures: Mutex<PendingFailures>,
    pub(crate) tracer: Tracer,
    #[cfg(feature = "process")]
    pub(crate) reaper: Reaper,
}

impl Process {
    /// The process that this thread belongs to.
    pub(crate) fn current() -> &'static Self {
        static PROCESS: Process = Process {
            claimed: AtomicBool::new(false),
            quit_signals: QuitSignals::new(),
            console: Console::new(),
            panics_in_hooks: Mutex::new(PanicsInHooks::new()),
            pending_failures: Mutex::new(PendingFailures::new()),
            tracer: Tracer::new(),
            #[cfg(feature = "process")]
            reaper: Reaper::new(),
        };
        &PROCESS
    }

    /// Claims the right to create the main quitter, of which there is one.
    pub(crate) fn claim(&'static self) -> Result<Claim, MainQuitterError> {
        match self.claimed.swap(true, Ordering::AcqRel) {
            false => Ok(Claim { process: self }),
            true => Err(MainQuitterError::AlreadyExists),
        }
    }
}

/// The right to create the main quitter. Dropping it gives the right back; [`keep`](Self::keep) does not.
pub(crate) struct Claim {
    process: &'static Process,
}

impl Claim {
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.process.claimed.store(false, Ordering::Release);
    }
}
