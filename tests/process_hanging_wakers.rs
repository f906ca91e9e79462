//! Wakers are code of an executor, and may hang. The threads that bound the end of the program do not
//! depend on them.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake};
use std::time::Duration;

use crossbeam_channel::bounded;
use nix::sys::signal::Signal::SIGINT;
use quitter::{AddRoutineError, ExitReport, MainQuitter, QuitSource, Quitter};

use common::{alone, hang};

struct Hangs;

impl Wake for Hangs {
    fn wake(self: Arc<Self>) {
        hang()
    }
}

/// Adds a routine that never returns, and in which a future with a hanging waker waits for the quit. Calls
/// `tell` once the future waits.
fn add_deaf(to: &Quitter, tell: impl FnOnce() + Send + 'static) -> Result<(), AddRoutineError> {
    to.routine("deaf").add(|q| {
        let mut quitting = pin!(q.quitting());
        let waker = Arc::new(Hangs).into();
        let mut context = Context::from_waker(&waker);
        assert!(quitting.as_mut().poll(&mut context).is_pending());
        tell();
        hang()
    })?;
    Ok(())
}

/// A program whose body never returns, so that it has to be ended by force.
fn run(timeout: Duration, source: QuitSource, tell: impl FnOnce() + Send + 'static) -> ExitReport {
    let builder = MainQuitter::builder().timeout(timeout).source(source);
    builder.run(|main| {
        add_deaf(main, tell).unwrap();
        hang()
    })
}

#[test]
fn a_waker_that_hangs_does_not_keep_a_second_signal_from_being_heard() {
    const LONG: Duration = Duration::from_secs(3600);
    let mut program = alone(|| run(LONG, QuitSource::os_signal(), || println!("waiting")));
    program.wait_for("waiting");
    program.send(SIGINT);
    program.wait_for("Received quit from");
    program.send_later(SIGINT);
    program.end().with_code(130).saying(&["deaf"]);
}

#[test]
fn a_waker_that_hangs_does_not_keep_the_program_from_being_ended_by_force() {
    let program = alone(|| {
        let (fire, fires) = bounded(1);
        let source = QuitSource::channel("channel", fires);
        run(Duration::from_millis(300), source, move || {
            fire.send(()).unwrap();
        })
    });
    let ended = program.end().with_code(1);
    ended.saying(&["Received quit from 'channel'", "deaf"]);
}

#[cfg(feature = "process")]
mod child_processes {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::common::{PATIENCE, sh};

    /// By then the program would end a child that was not asked to stop.
    const TIMEOUT: Duration = Duration::from_secs(4);

    /// Prints "is stopped" when it is asked to stop, and ends then. Reports show the script itself.
    const SAYS_WHEN_STOPPED: &str = "trap 'echo is $STATE; exit 0' TERM; STATE=stopped; echo runs; \
        while :; do sleep 0.02; done";

    #[test]
    fn a_waker_that_hangs_does_not_keep_a_child_process_from_being_stopped() {
        let mut program = alone(|| {
            let builder = MainQuitter::builder().timeout(TIMEOUT);
            builder.run(|main| {
                let (waits, is_waiting) = bounded(1);
                add_deaf(main, move || waits.send(()).unwrap()).unwrap();
                is_waiting.recv().unwrap();
                main.routine("child")
                    .process(sh(SAYS_WHEN_STOPPED))
                    .map(drop)
            })
        });
        program.wait_for("runs");
        program.send(SIGINT);
        program.wait_for("is stopped");
    }

    #[test]
    fn a_waker_that_hangs_at_the_end_of_one_process_does_not_keep_another_from_being_stopped() {
        let mut program = alone(|| {
            let builder = MainQuitter::builder().timeout(TIMEOUT);
            builder.run(|main| {
                main.routine("child")
                    .process(sh(SAYS_WHEN_STOPPED))
                    .unwrap();
                let mut brief = main
                    .routine("brief")
                    .process(Command::new("cat").stdin(Stdio::piped()))
                    .unwrap();
                let mut ended = Box::pin(brief.ended());
                let waker = Arc::new(Hangs).into();
                let mut context = Context::from_waker(&waker);
                assert!(ended.as_mut().poll(&mut context).is_pending());
                brief.stdin = None;
                brief.wait(PATIENCE).unwrap();
                println!("ended");
                hang()
            })
        });
        program.wait_for("ended");
        program.send(SIGINT);
        program.wait_for("is stopped");
    }
}
