//! Ends the process by force, past the deadline or on a further signal.
//!
//! This relies on no other thread of the program, and waits only a bounded time for the console's thread to
//! write.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::main_quitter::ending::Ending;
use crate::main_quitter::signal::{self, QuitSignal, SignalExitCode};
use crate::main_quitter::stacks;
use crate::main_quitter::state::Phase;
use crate::report::console;
use crate::report::exit::{ExitReport, ProgramEnd, exit_code};
use crate::report::notice::{HeldUpAt, Notice};
use crate::stands::{self, Stands};

/// How long one of the last lines may take to be written if stderr is blocked.
const LAST_LINE: Duration = Duration::from_millis(80);

/// How long all of the last lines may take. Longer, since a report that a busy machine delays is worth more
/// than a punctual end without one.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why the process is ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trigger {
    Deadline,
    Signal(QuitSignal),
}

/// Ends the process, after the event and the outcome are printed if they have not been yet. The exit code is
/// not 0, unless only stderr holds up the end: a process that ends cleanly ends by itself.
pub(crate) fn end(ending: &Arc<Ending>, trigger: Trigger) -> ! {
    if !ending.take_end() {
        // Another thread is ending the process.
        loop {
            thread::park();
        }
    }
    let being_written = ending.outcome_claim().end_being_written();
    if let (Trigger::Deadline, Some(end)) = (trigger, being_written) {
        // A stderr that takes nothing must not change the end, and there is nothing to add.
        console::flush(LAST_LINE, LAST_WORDS);
        exit(end);
    }
    console::write_beside_tracing();
    ending.try_announce();
    if let Trigger::Signal(signal) = trigger {
        console::say(Notice::SignalWhileQuitting {
            signal: signal.name.into(),
            ends: true,
        });
    }
    // Called here in case the console's thread is held up.
    console::call_hook();
    let last_words = Arc::clone(ending);
    console::queue_and_wake(move || {
        say_last_words(&last_words, trigger);
        // On a busy machine, the thread that waits for these words may not run again for long.
        if console::is_written() {
            exit(end_of(&last_words, trigger));
        }
    });
    console::flush(LAST_LINE, LAST_WORDS + stacks::AT_MOST);
    exit(end_of(ending, trigger))
}

fn exit(end: ProgramEnd) -> ! {
    #[cfg(feature = "process")]
    crate::routine::process::kill_all();
    if let Some(signal) = end.signal {
        signal.end_process();
    }
    signal::exit_now(end.code)
}

/// Says how many processes [`exit`] is about to kill, if any.
#[cfg(feature = "process")]
fn say_killing() {
    let count = crate::routine::process::listed();
    if count > 0 {
        console::say_now(Notice::KillingProcesses { count });
    }
}

fn end_of(ending: &Ending, trigger: Trigger) -> ProgramEnd {
    if let Trigger::Signal(signal) = trigger {
        return match ending.signal_exit_code() {
            SignalExitCode::Raise => ProgramEnd::by(signal),
            _ => ProgramEnd::by_code(exit_code::SECOND_SIGNAL),
        };
    }
    let state = ending.try_state();
    let of_body = state.and_then(|state| state.body_code);
    ProgramEnd::by_code(of_body.unwrap_or(exit_code::FAILURE))
}

/// Prints the outcome, unless it was printed, and what holds up the end. Runs on the console's thread.
fn say_last_words(ending: &Ending, trigger: Trigger) {
    // A progress line may be queued behind these words, and would be printed after them.
    console::end_progress();
    console::release_now();
    let is_unsaid = ending.outcome_claim().take();
    let made = ending.try_state().and_then(|state| match &state.phase {
        Phase::Exited(report) => Some((**report).clone()),
        _ => None,
    });
    let came_to_exit = made.is_some();
    let now = || ending.report_now().map(ExitReport::without_exit);
    let Some(mut report) = made.or_else(now) else {
        return;
    };
    // The process may have come to its exit with another code.
    report.exit_code = end_of(ending, trigger).code;
    if is_unsaid {
        console::say_now(Notice::Outcome(Box::new(report.clone())));
    }
    #[cfg(feature = "process")]
    say_killing();
    let held_up = match (came_to_exit, ending.outcome_claim().has_returned()) {
        // The report lists the body of `main`, or the routine that stands for `main`.
        (false, _) if !report.timeouts.is_empty() => return ending.say_stacks(report),
        (false, _) => HeldUpAt::BeforeExit,
        (true, false) => HeldUpAt::AfterExit,
        (true, true) => HeldUpAt::AfterMain,
    };
    console::say_now(Notice::EndedByForce {
        held_up,
        main_thread: stands::of_main_thread(Stands::MOMENT),
    });
}
