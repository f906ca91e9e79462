//! The function that `#[quitter::main]` generates. Other tests check signals and exit codes with whole
//! processes.

#![cfg(feature = "macros")]

use std::env;
use std::process::{self, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quitter::{ExitReport, MainQuitter, QuitSource, RoutineQuitter};

static ROUTINE_HAS_RUN: AtomicBool = AtomicBool::new(false);

#[quitter::routine]
fn routine(_: &RoutineQuitter) {
    ROUTINE_HAS_RUN.store(true, Ordering::SeqCst);
}

/// Runs the program in a process of its own, because a process has one main quitter. The process runs this
/// test again; an environment variable tells it to be the program.
fn succeeds(test: &str, program: fn() -> ExitReport) {
    const IS_PROGRAM: &str = "QUITTER_TEST_IS_PROGRAM";
    if env::var_os(IS_PROGRAM).is_some() {
        let report = program();
        eprintln!("{report}");
        process::exit(report.exit_code.into());
    }
    let output = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(IS_PROGRAM, "")
        .output()
        .unwrap();
    let ran = String::from_utf8_lossy(&output.stderr).contains("all routines returned");
    assert!(output.status.success() && ran, "{output:?}");
}

mod set_up {
    use super::*;

    fn source() -> QuitSource {
        QuitSource::all_done()
    }

    #[quitter::main(sources = [source()])]
    pub(super) fn main(main: &MainQuitter) -> Result<(), String> {
        assert_eq!(main.name(), "main");
        match ROUTINE_HAS_RUN.load(Ordering::SeqCst) {
            true => Err("the routine was there before the body had returned".to_owned()),
            false => Ok(()),
        }
    }
}

#[test]
fn routines_start_after_the_body() {
    succeeds("routines_start_after_the_body", || {
        let report = set_up::main();
        assert!(ROUTINE_HAS_RUN.load(Ordering::SeqCst));
        report
    });
}

mod foreground {
    use super::*;

    #[quitter::main(start = "before_body", sources = [QuitSource::all_done()])]
    pub(super) fn main() -> Result<(), &'static str> {
        let give_up_at = Instant::now() + Duration::from_secs(10);
        while !ROUTINE_HAS_RUN.load(Ordering::SeqCst) {
            if Instant::now() > give_up_at {
                return Err("the routine waited for the body");
            }
            thread::yield_now();
        }
        Ok(())
    }
}

#[test]
fn routines_start_before_the_body_where_the_attribute_says_so() {
    let test = "routines_start_before_the_body_where_the_attribute_says_so";
    succeeds(test, foreground::main);
}

mod timed {
    use super::*;

    #[quitter::main(timeout = "1m 30s")]
    pub(super) fn main(main: &MainQuitter) -> Result<(), String> {
        main.send_quit();
        let left = main.deadline().map(|at| at - Instant::now());
        match left {
            Some(left) if left > Duration::from_secs(80) && left <= Duration::from_secs(90) => {
                Ok(())
            }
            other => Err(format!("{other:?} left")),
        }
    }
}

#[test]
fn the_timeout_is_the_one_that_the_attribute_names() {
    let test = "the_timeout_is_the_one_that_the_attribute_names";
    succeeds(test, timed::main);
}
