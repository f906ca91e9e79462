//! A panic in a routine is recorded, and the program quits.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use nix::sys::signal::Signal::SIGTERM;
use quitter::{ExitReport, FailureKind, MainQuitter, MainQuitterError, QuitSource, Quitter};

use common::{Ended, PATIENCE, Process, alone, hang};

const QUIT_TIMEOUT: Duration = Duration::from_millis(500);
const SLACK: Duration = Duration::from_secs(2);

type Body = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A program with this body, which ends after a quit event.
fn program(body: impl FnOnce(&MainQuitter) -> Body) -> ExitReport {
    let builder = MainQuitter::builder().timeout(PATIENCE);
    builder.source(QuitSource::os_signal()).run(body)
}

/// The same with a short quit timeout, for a program in which something hangs.
fn impatient(body: impl FnOnce(&MainQuitter) -> Body) -> ExitReport {
    let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
    builder.source(QuitSource::os_signal()).run(body)
}

/// Starts a routine that locks stderr forever. Returns once the routine has the lock.
fn hold_stderr(main: &MainQuitter) -> Body {
    let (hold, held) = bounded(1);
    main.routine("holds stderr").add(move |_| -> ! {
        let _lock = io::stderr().lock();
        let _ = hold.send(());
        hang()
    })?;
    held.recv()?;
    Ok(())
}

/// Asserts that the program quits by itself and ends.
#[track_caller]
fn quits_by_itself(mut program: Process) -> Ended {
    let from = Instant::now();
    program.wait_for("Received quit from");
    let quit = from.elapsed();
    let ended = program.end();
    let took = from.elapsed();
    println!("quit after {quit:?}, ended after {took:?}");
    assert!(quit < SLACK, "{quit:?}");
    assert!(took < QUIT_TIMEOUT + SLACK, "{took:?}");
    ended.with_code(1)
}

#[test]
fn a_panic_of_a_routine_in_stds_hook_while_stderr_is_locked_quits_the_program() {
    let story = || {
        impatient(|main| {
            hold_stderr(main)?;
            main.routine("panics").add(|_| panic!("unheard"))?;
            main.wait_quit();
            Ok(())
        })
    };
    quits_by_itself(alone(story)).saying(&[
        "Received quit from routine 'panics' of main, which failed",
        "routine 'panics' of main panicked at ",
    ]);
}

#[test]
fn a_panic_that_the_routine_catches_quits_nothing() {
    let story = || {
        program(|main| {
            main.routine("catches").add(|q| {
                let caught = panic::catch_unwind(|| panic!("of no account"));
                assert!(caught.is_err());
                // Long enough for a quit to come, if the panic caused one.
                let waited = q.sleep(Duration::from_millis(500));
                println!("caught, and told to quit: {}", waited.is_err());
                q.wait_quit();
            })?;
            Ok(())
        })
    };
    let ended = alone(story)
        .signal_at("caught, and told to quit: false", SIGTERM)
        .with_code(0);
    assert_eq!(ended.count("failed"), 0, "{}", ended.stderr);
}

#[test]
fn ten_thousand_panics_that_the_routine_catches_quit_nothing() {
    let story = || {
        panic::set_hook(Box::new(|_| {}));
        program(|main| {
            main.routine("catches").add(|q| {
                for i in 0..10_000 {
                    let caught = panic::catch_unwind(AssertUnwindSafe(|| panic!("{i}")));
                    assert!(caught.is_err());
                }
                let waited = q.sleep(Duration::from_millis(500));
                println!("caught, and told to quit: {}", waited.is_err());
                q.wait_quit();
            })?;
            Ok(())
        })
    };
    alone(story)
        .signal_at("caught, and told to quit: false", SIGTERM)
        .with_code(0);
}

/// The most memory that this process has had so far, in KiB.
#[cfg(target_os = "linux")]
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let digits = |c: &char| c.is_ascii_digit();
    let kib: String = line.unwrap().chars().filter(digits).collect();
    kib.parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn panics_that_the_routine_catches_hold_no_memory() {
    const PANICS: usize = 50_000;
    let story = || {
        panic::set_hook(Box::new(|_| {}));
        program(|main| {
            main.routine("catches").add(|_| {
                let text = "x".repeat(1000);
                let before = peak_memory();
                for _ in 0..PANICS {
                    let caught = panic::catch_unwind(AssertUnwindSafe(|| panic!("{text}")));
                    assert!(caught.is_err());
                }
                println!("grown by {} KiB", peak_memory() - before);
            })?;
            Ok(())
        })
    };
    let mut program = alone(story);
    let line = program.wait_for("grown by ");
    let kib = line.split(' ').nth(2).unwrap().parse::<usize>().unwrap();
    assert!(kib < PANICS / 10, "{kib} KiB");
    program.send(SIGTERM);
    program.end().with_code(0);
}

#[test]
fn a_slow_hook_of_a_panic_that_the_routine_catches_quits_nothing() {
    let story = || {
        panic::set_hook(Box::new(|_| thread::sleep(Duration::from_millis(3300))));
        program(|main| {
            main.routine("catches").add(|q| {
                let caught = panic::catch_unwind(|| panic!("of no account"));
                assert!(caught.is_err());
                println!("caught, and told to quit: {}", q.has_to_quit());
                q.wait_quit();
            })?;
            Ok(())
        })
    };
    let ended = alone(story)
        .signal_at("caught, and told to quit: false", SIGTERM)
        .with_code(0);
    assert_eq!(ended.count("failed"), 0, "{}", ended.stderr);
}

#[test]
fn a_hook_that_never_returns_does_not_keep_the_program_from_quitting() {
    let story = || {
        panic::set_hook(Box::new(|_| hang()));
        impatient(|main| {
            main.routine("panics").add(|_| panic!("on the record"))?;
            Ok(())
        })
    };
    let mut program = alone(story);
    program.wait_for("Received quit from routine 'panics' of main, which failed");
    program.end().with_code(1).saying(&[
        "routine 'panics' of main panicked at ",
        "on the record",
        "Failed to quit: 1 routine ",
    ]);
}

#[test]
fn a_panic_after_the_exit_whose_hook_never_returns_is_recorded_too() {
    let story = || {
        panic::set_hook(Box::new(|_| hang()));
        let main = MainQuitter::builder().timeout(QUIT_TIMEOUT).build();
        let (exited, has_exited) = bounded::<()>(0);
        let late = main.routine("late").add(move |_| {
            let _closed = has_exited.recv();
            println!("late panics");
            panic!("on the record");
        });
        late.unwrap();
        main.send_quit();
        let root = main.clone();
        let report = main.exit();
        assert!(report.failures.is_empty(), "{report}");
        drop(exited);
        while root.failures().is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        println!("recorded: {}", root.failures()[0]);
        report
    };
    let mut program = alone(story);
    program.wait_for("late panics");
    let failure = program.wait_for("recorded: ");
    assert!(failure.contains("on the record"), "{failure}");
    program.end().with_code(1);
}

#[test]
fn a_panic_of_the_body_whose_hook_never_returns_is_mains_failure() {
    let story = || {
        panic::set_hook(Box::new(|_| hang()));
        impatient(|_| -> Body { panic!("no configuration") })
    };
    let mut program = alone(story);
    program.wait_for("Received quit from");
    program.end().with_code(1).saying(&[
        "Received quit from main, which failed: ",
        "no configuration",
    ]);
}

#[test]
fn a_guard_does_not_wait_for_a_hook_that_runs_on_another_thread() {
    let story = || {
        let (entered, enter) = bounded(1);
        let (leave, left) = bounded::<()>(1);
        panic::set_hook(Box::new(move |_| {
            let _ = entered.send(());
            let _ = left.recv();
        }));
        let panics = thread::spawn(|| panic!("slow"));
        enter.recv().unwrap();
        let root = Quitter::root("own");
        // The running hook is released only after the guard was made.
        drop(root.guard("guard").unwrap());
        leave.send(()).unwrap();
        assert!(panics.join().is_err());
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_hook_that_the_body_replaces_ours_with_is_wrapped_when_the_body_has_returned() {
    let story = || {
        program(|main| {
            let root = Quitter::clone(main);
            main.routine("panics").add(move |_| {
                // Waits until the body, the only other routine, has returned.
                root.wait_done(PATIENCE).unwrap();
                panic!("late")
            })?;
            panic::set_hook(Box::new(|info| println!("hook: {info}")));
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(1).saying(&[
        "routine 'panics' of main panicked at tests/process_exit_panics.rs:",
        ": late",
    ]);
    assert!(ended.stdout.contains("hook: panicked at"), "{ended:?}");
}

#[test]
fn a_hook_that_replaces_ours_is_wrapped_by_the_next_routine() {
    let story = || {
        program(|main| {
            main.routine("replaces").add(|q| {
                panic::set_hook(Box::new(|info| println!("hook: {info}")));
                q.add_routine(|_| panic!("wrapped")).map(drop)
            })?;
            Ok(())
        })
    };
    let ended = alone(story)
        .end()
        .with_code(1)
        .saying(&["panicked at tests/process_exit_panics.rs:", ": wrapped"]);
    assert!(ended.stdout.contains("hook: panicked at"), "{ended:?}");
}

#[test]
fn a_hook_that_replaces_ours_costs_the_place_and_nothing_else() {
    let story = || {
        program(|main| {
            main.routine("panics").add(|_| {
                panic::set_hook(Box::new(|info| println!("hook: {info}")));
                panic!("replaced")
            })?;
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(1).saying(&[
        "Received quit from routine 'panics' of main, which failed",
        "routine 'panics' of main panicked: replaced",
    ]);
    assert!(ended.stdout.contains("hook: panicked at"), "{ended:?}");
}

#[test]
fn a_hook_that_chains_to_ours_keeps_the_place() {
    let story = || {
        program(|main| {
            let ours = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                println!("hook before ours");
                ours(info);
                println!("hook after ours");
            }));
            main.routine("panics").add(|_| panic!("chained"))?;
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(1).saying(&[
        "routine 'panics' of main panicked at tests/process_exit_panics.rs:",
        ": chained",
    ]);
    assert!(ended.stdout.contains("hook before ours"), "{ended:?}");
    assert!(ended.stdout.contains("hook after ours"), "{ended:?}");
}

#[test]
fn a_hook_that_was_there_before_ours_is_called() {
    let story = || {
        panic::set_hook(Box::new(|_| println!("the hook before")));
        program(|main| {
            main.routine("panics").add(|_| panic!("chained"))?;
            Ok(())
        })
    };
    let ended = alone(story)
        .end()
        .with_code(1)
        .saying(&["panicked at tests/process_exit_panics.rs:", ": chained"]);
    assert!(ended.stdout.contains("the hook before"), "{ended:?}");
}

/// A value that hangs when it is dropped.
struct Stuck;

impl Drop for Stuck {
    fn drop(&mut self) {
        hang();
    }
}

#[test]
fn a_payload_that_hangs_when_dropped_does_not_hold_up_the_quit() {
    let story = || {
        impatient(|main| {
            main.routine("panics").add(|_| panic::panic_any(Stuck))?;
            Ok(())
        })
    };
    quits_by_itself(alone(story)).saying(&["routine 'panics' of main panicked at"]);
}

#[test]
fn an_error_that_hangs_when_dropped_does_not_hold_up_the_quit() {
    #[derive(Debug)]
    struct Hangs;
    impl Drop for Hangs {
        fn drop(&mut self) {
            hang();
        }
    }
    impl std::fmt::Display for Hangs {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("hangs")
        }
    }
    impl std::error::Error for Hangs {}

    let story = || {
        impatient(|main| {
            main.routine("fails").add(|_| Err::<(), _>(Hangs))?;
            Ok(())
        })
    };
    quits_by_itself(alone(story)).saying(&["routine 'fails' of main failed: hangs"]);
}

/// Unwinding drops the routine's values while the routine still counts as live.
#[test]
fn a_drop_that_hangs_while_a_panic_unwinds_is_ended_by_a_quit_and_blamed() {
    let story = || {
        impatient(|main| {
            main.routine("panics").add(|_| -> () {
                let _stuck = Stuck;
                panic!("on the way out");
            })?;
            Ok(())
        })
    };
    alone(story)
        .signal_at("on the way out", SIGTERM)
        .with_code(1)
        .saying(&["Failed to quit: 1 routine ", "panics"]);
}

#[test]
fn a_panic_without_a_main_quitter_is_left_to_its_tree() {
    let story = || {
        let root = Quitter::root("own");
        root.routine("panics")
            .add(|_| panic!("in a library"))
            .unwrap();
        root.wait_quit();
        root.wait_done(PATIENCE).unwrap();
        let failures = root.failures();
        let FailureKind::Panic { message, place } = &failures[0].kind else {
            panic!("{failures:?}");
        };
        assert_eq!(message, "in a library");
        assert!(place.is_some());
        let main = MainQuitter::try_new(PATIENCE, [QuitSource::all_done()]);
        main.map(MainQuitter::exit).map(drop)
    };
    let story = move || -> Result<(), MainQuitterError> { story() };
    let ended = alone(story).end().with_code(0);
    assert_eq!(ended.count("failed"), 0, "{}", ended.stderr);
}
