//! Runs a whole program: the body of `main`, the registered routines, and the exit.

#[cfg(feature = "tokio")]
use std::error::Error;

use crate::main_quitter::body::{AsError, Body, MainOutcome};
use crate::main_quitter::exit::{MainQuitter, have_written};
use crate::report::cause::QuitCause;
use crate::report::console;
use crate::report::exit::ExitReport;
use crate::routine::hook;
use crate::routine::kind::Work;

/// When [`MainQuitterBuilder::run`](crate::MainQuitterBuilder::run) starts the routines that
/// `#[quitter::routine]` registered.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{MainQuitter, StartRoutines};
///
/// let builder = MainQuitter::builder().start(StartRoutines::BeforeBody);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartRoutines {
    /// When the body has returned: the body is the set-up, and the routines find everything that it set up.
    #[default]
    AfterBody,
    /// Before the body runs: the body is the foreground work.
    BeforeBody,
}

/// The event that ends a program which [`MainQuitterBuilder::run`](crate::MainQuitterBuilder::run) runs.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{End, MainQuitter};
///
/// let builder = MainQuitter::builder().end(End::WithBody);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// On a quit event. The body is the set-up: unless it fails, its return ends nothing.
    #[default]
    OnQuitEvent,
    /// On a quit event, or when the body has returned, whatever it returns: the body is the foreground
    /// work. The registered routines start before it.
    WithBody,
}

/// A program whose main quitter exists, and whose body has not run yet.
pub(crate) struct Program {
    pub(super) main: MainQuitter,
    pub(super) start: StartRoutines,
    pub(super) end: End,
    pub(super) known_error: Option<AsError>,
    /// The kind of work that the body is.
    pub(super) body: Work,
}

impl Program {
    /// Runs the body, starts the registered routines, and exits with `exit`, which gets the hint for a
    /// program in which nothing runs.
    #[track_caller]
    pub(crate) fn run<B: MainOutcome>(
        self,
        body: impl FnOnce(&MainQuitter) -> B,
        exit: impl FnOnce(MainQuitter, &'static str) -> ExitReport,
    ) -> ExitReport {
        let Self {
            main,
            start,
            end,
            known_error,
            body: work,
        } = self;
        if start == StartRoutines::BeforeBody {
            main.start_routines();
        }
        run_body(&main, work, known_error, body);
        if end == End::WithBody {
            main.node().quit(QuitCause::MainReturned { code: 0 }, None);
        }
        main.start_routines();
        let report = exit(main, NOTHING_RUNS);
        have_written();
        report
    }

    /// Ends the program for this reason, since its body cannot run. Starts no routine.
    #[cfg(feature = "tokio")]
    pub(crate) fn fail(self, reason: String) -> ExitReport {
        let program = Self {
            start: StartRoutines::AfterBody,
            ..self
        };
        let body = |_: &MainQuitter| Err::<(), Box<dyn Error>>(reason.into());
        program.run(body, |main, hint| main.end(hint))
    }
}

/// Runs the body as the routine `main`, and acts on its outcome.
#[track_caller]
fn run_body<B: MainOutcome>(
    main: &MainQuitter,
    work: Work,
    known_error: Option<AsError>,
    body: impl FnOnce(&MainQuitter) -> B,
) {
    // After an early quit event there is nothing left to set up.
    let Ok(guard) = main.routine("main").guard_of(work) else {
        return;
    };
    let body_ends = || main.ending().body_ends(guard.record().id);
    let ended = |body: Body| match body {
        Body::Done | Body::Code(0) => {}
        Body::Code(code) => {
            body_ends();
            main.ending().state().body_code = Some(code);
            main.node().quit(QuitCause::MainReturned { code }, None);
        }
        Body::Failed(kind) => {
            body_ends();
            guard.record_failure(kind);
        }
    };
    guard.call(|| body(main).settle(known_error, &ended));
    hook::install();
    console::body_has_returned();
}

/// Printed once, when the body has returned and no routine is left, in a program that waits for a quit event
/// from outside.
const NOTHING_RUNS: &str = "main has returned and no routine is running; waiting for a quit event.\n\
    To end with main, set end = \"with_body\"; when everything is done, add the quit source\n\
    all_done(); in one case, such as --help, call request_quit(reason)";
