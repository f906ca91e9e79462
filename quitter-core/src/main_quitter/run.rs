//! Runs a whole program: the body of `main`, the registered routines, and the exit.

use std::time::Duration;

use crate::main_quitter::body::{Body, MainOutcome};
use crate::main_quitter::exit::MainQuitter;
use crate::report::cause::QuitCause;
use crate::report::console;
use crate::report::exit::ExitReport;
use crate::report::notice::Notice;
use crate::routine::failing::{fail, main_failed};
use crate::routine::hook;

/// When [`MainQuitterBuilder::run`](crate::MainQuitterBuilder::run) starts the routines that `#[quitter::routine]` registered.
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
    /// When the body has returned: the body is the set-up, and what it set up is there when the
    /// routines start.
    #[default]
    AfterBody,
    /// Before the body runs: the body is the foreground work.
    BeforeBody,
}

/// Runs the body under `main`, starts the registered routines, and exits.
#[track_caller]
pub(crate) fn run<B: MainOutcome>(
    main: MainQuitter,
    start: StartRoutines,
    body: impl FnOnce(&MainQuitter) -> B,
) -> ExitReport {
    if start == StartRoutines::BeforeBody {
        main.start_routines();
    }
    run_body(&main, body);
    main.start_routines();
    say_if_nothing_runs(&main);
    main.end()
}

/// Runs the body as the routine `main`, and does what its outcome asks for.
#[track_caller]
fn run_body<B: MainOutcome>(main: &MainQuitter, body: impl FnOnce(&MainQuitter) -> B) {
    // After an early quit event there is nothing left to set up.
    let Ok(guard) = main.guard("main") else {
        return;
    };
    let ended = |body: Body| match body {
        Body::Done | Body::Code(0) => {}
        Body::Code(code) => {
            main.ending().state().body_code = Some(code);
            main.node().quit(QuitCause::MainReturned { code }, None);
        }
        Body::Failed(kind) => fail(&guard, kind, main_failed),
    };
    guard.call(main_failed, || body(main).settle(&ended));
    hook::wrap_again();
}

fn say_if_nothing_runs(main: &MainQuitter) {
    let waits_for_source = main.ending().state().all_done.is_none() && !main.has_to_quit();
    if waits_for_source && main.wait_done(Duration::ZERO).is_ok() {
        console::say(Notice::Hint(
            "main has returned and no routine is running; waiting for a quit event. \
             To end when everything is done, add the quit source all_done()"
                .into(),
        ));
    }
}
