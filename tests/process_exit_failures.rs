//! How failures are reported: error chains, locations, order, counts, and the exit code.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::bounded;
use nix::sys::signal::Signal::SIGTERM;
use quitter::{ExitReport, MainOutcome, MainQuitter, OnFailure, QuitSource, Quitter, Quitting};

use common::{Ended, PATIENCE, Process, alone, hang};

type Body = Result<(), Box<dyn Error>>;

fn program<B: MainOutcome>(body: impl FnOnce(&MainQuitter) -> B) -> ExitReport {
    let builder = MainQuitter::builder().timeout(PATIENCE / 2);
    builder.source(QuitSource::os_signal()).run(body)
}

/// A program with a short quit timeout, in which something hangs.
fn impatient<B: MainOutcome>(body: impl FnOnce(&MainQuitter) -> B) -> ExitReport {
    let builder = MainQuitter::builder().timeout(Duration::from_millis(500));
    builder.source(QuitSource::os_signal()).run(body)
}

/// The lines of the report that are about failures.
fn failures(ended: &Ended) -> Vec<&str> {
    let lines = ended.stderr.lines();
    lines
        .skip_while(|line| !line.ends_with(" failed:"))
        .take_while(|line| line.starts_with("  ") || line.ends_with(" failed:"))
        .collect()
}

/// An error with a source.
#[derive(Debug)]
struct Because(&'static str, Option<Box<Because>>);

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Because {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|error| error as _)
    }
}

fn chained() -> Because {
    let disk = Because("no space left", None);
    let write = Because("cannot write page 7", Some(Box::new(disk)));
    Because("cannot flush", Some(Box::new(write)))
}

#[test]
fn an_error_of_a_routine_is_reported_with_its_whole_chain() {
    let story = || {
        program(|main| -> Body {
            let flusher = |_: &_| Err::<(), _>(chained());
            main.child("db")?.routine("flusher").add(flusher)?;
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(1).saying(&[
        "Received quit from routine 'flusher' of main/db, which failed: cannot flush: cannot write",
        "Quit: all routines returned (",
    ]);
    let line =
        "  routine 'flusher' of main/db failed: cannot flush: cannot write page 7: no space left";
    assert_eq!(failures(&ended), ["1 routine failed:", line], "{ended:?}");
}

#[test]
fn an_error_of_anyhow_is_reported_with_its_whole_chain() {
    let story = || {
        program(|main| -> Body {
            let flusher = |_: &_| -> anyhow::Result<()> {
                let error = io::Error::other("no space left");
                Err(error)
                    .context("cannot write page 7")
                    .context("cannot flush")
            };
            main.routine("flusher").add(flusher)?;
            Ok(())
        })
    };
    alone(story).end().with_code(1).saying(&[
        "routine 'flusher' of main failed: cannot flush: cannot write page 7: no space left\n",
    ]);
}

#[test]
fn a_panic_of_a_routine_is_reported_with_message_and_place() {
    let story = || {
        program(|main| -> Body {
            let number = 7;
            main.routine("parser").add(move |_| {
                println!("panics on line {}", line!() + 1);
                panic!("bad page {number}")
            })?;
            Ok(())
        })
    };
    let mut program = alone(story);
    let line = program.wait_for("panics on line ");
    let line = line.trim_end().strip_prefix("panics on line ").unwrap();
    let ended = program.end().with_code(1);
    let report = failures(&ended).join("\n");
    let place = format!("panicked at tests/process_exit_failures.rs:{line}:");
    assert!(report.contains("  routine 'parser' of main "), "{report}");
    assert!(report.contains(&place), "{report}");
    assert!(report.ends_with(": bad page 7"), "{report}");
}

#[test]
fn an_error_that_panics_when_shown_is_reported_as_a_panic() {
    #[derive(Debug)]
    struct Unshowable;
    impl fmt::Display for Unshowable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no text")
        }
    }
    impl Error for Unshowable {}

    let story = || {
        program(|main| -> Body {
            main.routine("fails").add(|_| Err::<(), _>(Unshowable))?;
            Ok(())
        })
    };
    alone(story)
        .end()
        .with_code(1)
        .saying(&["routine 'fails' of main panicked at tests/", ": no text\n"]);
}

/// An error whose source chain is a cycle.
#[test]
fn an_error_that_is_its_own_source_is_reported() {
    #[derive(Debug)]
    struct Ring;
    impl fmt::Display for Ring {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("round and round")
        }
    }
    impl Error for Ring {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }

    let story = || {
        program(|main| -> Body {
            main.routine("fails").add(|_| Err::<(), _>(Ring))?;
            Ok(())
        })
    };
    // Following the cycle without a bound would use up all memory.
    let mut command = common::after_shell("ulimit -v 2000000", &common::command_for(story));
    let ended = Process::start(&mut command).end().with_code(1);
    ended.saying(&["routine 'fails' of main failed: round and round"]);
}

#[test]
fn failures_are_reported_in_the_order_in_which_they_came_and_told_apart() {
    let story = || {
        program(|main| -> Body {
            let (tell, told) = bounded::<()>(0);
            let (done, last) = bounded::<()>(0);
            let first = main.routine("first").on_failure(OnFailure::FailAtExit);
            first.add(move |_| {
                let _tell = tell;
                Err::<(), _>("before the quit")
            })?;
            // The first routine has dropped its sender, but may not have recorded its failure yet.
            let _ = told.recv();
            while main.failures().is_empty() {
                thread::yield_now();
            }
            main.routine("third").add(move |q| {
                q.wait_quit();
                let _ = last.recv();
                Err::<(), _>("a consequence")
            })?;
            let root = (**main).clone();
            main.routine("watches").add(move |q| {
                q.wait_quit();
                while root.failures().len() < 2 {
                    thread::yield_now();
                }
                drop(done);
            })?;
            main.routine("second").add(|_| Err::<(), _>("the cause"))?;
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(1);
    assert_eq!(
        failures(&ended),
        [
            "3 routines failed:",
            "  routine 'first' of main failed: before the quit",
            "  routine 'second' of main failed: the cause",
            "  routine 'third' of main failed: a consequence (while quitting)",
        ],
        "{}",
        ended.stderr
    );
    ended.saying(&["Received quit from routine 'second' of main, which failed"]);
}

#[test]
fn a_panic_while_quitting_is_told_apart() {
    let story = || {
        program(|main| -> Body {
            main.routine("flusher").add(|q| {
                println!("listening");
                q.wait_quit();
                panic!("the disk went first");
            })?;
            Ok(())
        })
    };
    alone(story)
        .signal_at("listening", SIGTERM)
        .with_code(1)
        .saying(&[
            "Received quit from 'OS interrupt/termination signal': SIGTERM",
            "1 routine failed:",
            ": the disk went first (while quitting)\n",
        ]);
}

/// The message may be a list, so the remark does not belong at the end of its last line.
#[test]
fn of_a_failure_of_several_lines_the_first_says_that_it_came_while_quitting() {
    let story = || {
        program(|main| -> Body {
            main.routine("flusher").add(|q| {
                println!("listening");
                q.wait_quit();
                Err::<(), _>("cannot flush:\npage 3")
            })?;
            Ok(())
        })
    };
    alone(story)
        .signal_at("listening", SIGTERM)
        .with_code(1)
        .saying(&["failed: cannot flush: (while quitting)\n      page 3\n"]);
}

#[test]
fn of_a_hundred_that_fail_at_once_the_first_ten_are_shown_and_the_others_counted() {
    let story = || {
        program(|main| -> Body {
            let together = Arc::new(Barrier::new(100));
            for i in 0..100 {
                let together = Arc::clone(&together);
                main.routine(format!("worker {i}")).add(move |_| {
                    together.wait();
                    Err::<(), _>("no connection")
                })?;
            }
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(1);
    let failures = failures(&ended);
    assert_eq!(failures.len(), 12, "{}", ended.stderr);
    assert_eq!(failures[0], "100 routines failed:");
    assert_eq!(failures[11], "  and 90 more");
    let mut names: Vec<_> = failures[1..11]
        .iter()
        .map(|line| line.split('\'').nth(1))
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 10, "each once: {}", ended.stderr);
    assert_eq!(ended.count("Received quit from"), 1);
}

#[test]
fn ten_failures_are_all_shown() {
    let story = || {
        program(|main| -> Body {
            for i in 0..10 {
                let worker = main.routine(format!("worker {i}"));
                let worker = worker.on_failure(OnFailure::FailAtExit);
                worker.add(|_| Err::<(), _>("no connection"))?;
            }
            while main.failures().len() < 10 {
                thread::yield_now();
            }
            main.send_quit();
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(1);
    assert_eq!(failures(&ended).len(), 11, "{}", ended.stderr);
    assert_eq!(ended.count("more"), 0, "{}", ended.stderr);
}

#[test]
fn five_thousand_failures_are_counted_to_the_last() {
    let story = || {
        program(|main| -> Body {
            let fails = move |q: &quitter::RoutineQuitter| {
                for _ in 0..100 {
                    let fifty = (0..50).map(|_| {
                        let one = q.routine("one of many").on_failure(OnFailure::FailAtExit);
                        let one = one.stack_size(64 * 1024);
                        one.add(|_| Err::<(), _>("no connection"))
                    });
                    for one in fifty.collect::<Result<Vec<_>, _>>()? {
                        one.wait(Duration::MAX)?;
                    }
                }
                Err::<(), Box<dyn Error + Send + Sync>>("the last one".into())
            };
            main.routine("forks").add(fails)?;
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(1);
    let failures = failures(&ended);
    // The failure that made the program quit is listed, although a thousand came before it.
    assert_eq!(
        failures,
        [
            "5001 routines failed:",
            "  routine 'one of many' of main failed: no connection (×1000)",
            "  routine 'forks' of main failed: the last one",
            "  and 4000 more",
        ],
        "{}",
        ended.stderr
    );
}

#[test]
fn stuck_and_failed_routines_are_both_reported() {
    let story = || {
        impatient(|main| -> Body {
            main.routine("deaf").add(|_| hang())?;
            main.routine("fails")
                .add(|_| Err::<(), _>("no connection"))?;
            Ok(())
        })
    };
    alone(story).end().with_code(1).saying(&[
        "1 routine failed:",
        "routine 'fails' of main failed: no connection\n",
        "Failed to quit: 1 routine had not returned after 0.5 s",
        "deaf  running",
    ]);
}

#[test]
fn a_failure_that_is_only_recorded_makes_a_later_clean_end_trouble() {
    let story = || {
        program(|main| -> Body {
            let fails = main.routine("fails").on_failure(OnFailure::FailAtExit);
            fails.add(|_| Err::<(), _>("no connection"))?;
            println!("listening");
            Ok(())
        })
    };
    alone(story)
        .signal_at("listening", SIGTERM)
        .with_code(1)
        .saying(&["SIGTERM", "no connection", "Quit: all routines returned ("]);
}

#[test]
fn a_failure_of_a_server_that_survives_it_is_said_at_once_and_leaves_the_exit_clean() {
    let story = || {
        program(|main| -> Body {
            main.on_failure(OnFailure::Report);
            let connections = main.child("connections")?;
            connections
                .routine("client 1")
                .add(|_| Err::<(), _>("connection reset"))?;
            let keeps = connections.routine("client 2");
            keeps.add(|q| q.sleep(Duration::MAX))?;
            Ok(())
        })
    };
    let ended = alone(story)
        .signal_at(
            "routine 'client 1' of main/connections failed: connection reset",
            SIGTERM,
        )
        .with_code(0);
    let ended = ended.saying(&["Received quit from", "Quit: all routines returned ("]);
    assert_eq!(ended.count("connection reset"), 1, "{}", ended.stderr);
}

#[test]
fn a_failure_that_quits_a_part_is_said_at_once_and_again_at_the_end() {
    let story = || {
        program(|main| -> Body {
            main.on_failure(OnFailure::QuitOwn);
            let metrics = main.child("metrics")?;
            metrics
                .routine("sender")
                .add(|_| Err::<(), _>("no route"))?;
            main.routine("server").add(|q| q.sleep(Duration::MAX))?;
            Ok(())
        })
    };
    let failure = "routine 'sender' of main/metrics failed: no route";
    let ended = alone(story).signal_at(failure, SIGTERM).with_code(1);
    assert_eq!(ended.count(failure), 2, "{}", ended.stderr);
}

#[test]
fn a_failure_that_quits_a_part_of_a_tree_of_its_own_is_left_to_that_tree() {
    let story = || {
        program(|main| -> Body {
            let library = Quitter::root("library");
            library.on_failure(OnFailure::QuitOwn);
            let part = library.child("part")?;
            part.routine("sender").add(|_| Err::<(), _>("no route"))?;
            part.wait_done(PATIENCE)?;
            assert_eq!(library.failures().len(), 1);
            main.send_quit();
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(0);
    assert_eq!(ended.count("no route"), 0, "{}", ended.stderr);
}

#[test]
fn a_failure_that_quits_the_whole_tree_is_the_event() {
    let story = || {
        program(|main| -> Body {
            main.on_failure(OnFailure::QuitOwn);
            main.routine("server").add(|_| Err::<(), _>("no route"))?;
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(1);
    let ended = ended.saying(&["Received quit from routine 'server' of main, which failed"]);
    let failure = "routine 'server' of main failed: no route";
    assert_eq!(ended.count(failure), 1, "{}", ended.stderr);
}

/// The line of the failure may come before the line of the quit event.
#[test]
fn a_failure_that_is_said_at_once_says_that_it_came_while_quitting() {
    let story = || {
        program(|main| -> Body {
            let client = main.routine("client").on_failure(OnFailure::Report);
            client.add(|q| {
                q.wait_quit();
                Err::<(), _>("reset")
            })?;
            main.send_quit();
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(0);
    let said = "routine 'client' of main failed: reset (while quitting)\n";
    assert_eq!(ended.count(said), 1, "{ended:?}");
}

#[test]
fn a_failure_is_said_with_the_status_of_its_routine() {
    let story = || {
        program(|main| -> Body {
            main.on_failure(OnFailure::Report);
            for (client, peer) in [
                ("first", "10.0.0.1:5012"),
                ("second", "a \"peer\"\nQuit: all"),
            ] {
                main.routine(client).add(move |q| {
                    q.set_status(peer);
                    Err::<(), _>("connection reset")
                })?;
            }
            // Waits, since later failures would be marked as "while quitting".
            main.wait_done(PATIENCE)?;
            main.send_quit();
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(0);
    for said in [
        "routine 'first' of main failed: connection reset (status \"10.0.0.1:5012\")\n",
        "routine 'second' of main failed: connection reset (status \"a \\\"peer\\\"\\nQuit: all\")\n",
    ] {
        assert_eq!(ended.count(said), 1, "{ended:?}");
    }
}

#[test]
fn a_crowd_of_failures_that_are_said_at_once_is_said_or_counted_in_full() {
    const CROWD: usize = 2000;
    let story = || {
        program(|main| -> Body {
            for _ in 0..CROWD {
                let client = main.routine("client").on_failure(OnFailure::Report);
                client.add(|_| Err::<(), _>("reset"))?;
            }
            main.wait_done(PATIENCE)?;
            main.send_quit();
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(0);
    let counted = ended.stderr.lines().filter_map(|line| {
        let number = line.strip_prefix("and ")?.split(' ').next()?;
        number.parse::<usize>().ok()
    });
    let said = ended.count("routine 'client' of main failed: reset\n");
    assert_eq!(said + counted.sum::<usize>(), CROWD);
}

#[test]
fn quitting_deep_in_a_chain_is_no_failure() {
    let story = || {
        program(|main| -> Body {
            main.routine("obeys").add(|q| -> anyhow::Result<()> {
                println!("listening");
                q.sleep(Duration::MAX)
                    .context("asleep")
                    .context("working")?;
                Ok(())
            })?;
            Ok(())
        })
    };
    let ended = alone(story).signal_at("listening", SIGTERM).with_code(0);
    assert_eq!(ended.count("failed"), 0, "{}", ended.stderr);
}

// ── the body ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_boxed_error_of_the_body_is_reported_with_its_whole_chain() {
    let story = || program(|_| Err::<(), Box<dyn Error>>(Box::new(chained())));
    alone(story)
        .end()
        .with_code(1)
        .saying(&["Error: cannot flush: cannot write page 7: no space left\n"]);
}

#[test]
fn an_error_of_the_body_that_only_has_debug_is_shown_by_that() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "only for `Debug`")]
    struct NoPort(u16);
    let story = || program(|_| Err::<(), _>(NoPort(80)));
    alone(story)
        .end()
        .with_code(1)
        .saying(&["Error: NoPort(80)\n"]);
}

#[test]
fn a_panic_of_the_body_is_reported_with_message_and_place() {
    let line = line!() + 1;
    let story = || program(|_| -> () { panic!("no configuration") });
    let place = format!("panicked at tests/process_exit_failures.rs:{line}:");
    alone(story).end().with_code(1).saying(&[
        "Received quit from main, which failed: ",
        "routine 'main' of main ",
        &place,
        ": no configuration\n",
        "Quit: all routines returned (",
    ]);
}

#[test]
fn an_error_of_the_body_while_quitting_is_a_consequence() {
    let story = || {
        program(|main| {
            println!("listening");
            main.wait_quit();
            Err::<(), Box<dyn Error>>("the set-up was cut short".into())
        })
    };
    alone(story)
        .signal_at("listening", SIGTERM)
        .with_code(1)
        .saying(&[
            "Received quit from 'OS",
            "routine 'main' of main failed: the set-up was cut short (while quitting)\n",
        ]);
}

#[test]
fn quitting_of_the_body_is_no_failure() {
    let story = || {
        program(|main| -> Result<(), Quitting> {
            println!("listening");
            main.sleep(Duration::MAX)
        })
    };
    alone(story).signal_at("listening", SIGTERM).with_code(0);
}

#[test]
fn an_exit_code_of_the_body_quits_with_that() {
    let story = || {
        program(|main| {
            main.add_routine(|q| q.wait_quit()).unwrap();
            ExitCode::from(3)
        })
    };
    alone(story).end().with_code(3).saying(&[
        "Received quit from main, which returned exit code 3\n",
        "Quit: all routines returned (",
    ]);
}

#[test]
fn an_exit_code_of_the_body_is_kept_when_a_routine_fails() {
    let story = || {
        program(|main| -> Result<ExitCode, Box<dyn Error>> {
            main.routine("fails").add(|q| {
                q.wait_quit();
                Err::<(), _>("no connection")
            })?;
            Ok(ExitCode::from(5))
        })
    };
    alone(story)
        .end()
        .with_code(5)
        .saying(&["no connection (while quitting)\n"]);
}

#[test]
fn an_exit_code_of_the_body_is_kept_when_the_end_is_forced() {
    struct Stuck;
    impl Drop for Stuck {
        fn drop(&mut self) {
            hang();
        }
    }

    let story = || {
        let report = impatient(|main| -> Result<ExitCode, Box<dyn Error>> {
            main.routine("deaf").add(|_| hang())?;
            Ok(ExitCode::from(6))
        });
        // `main` never returns.
        let _stuck = Stuck;
        report
    };
    alone(story)
        .end()
        .with_code(6)
        .saying(&["Failed to quit: 1 routine", "deaf"]);
}

#[test]
fn an_exit_code_of_the_body_after_a_signal_is_kept() {
    let story = || {
        program(|main| {
            println!("listening");
            main.wait_quit();
            ExitCode::from(7)
        })
    };
    alone(story)
        .signal_at("listening", SIGTERM)
        .with_code(7)
        .saying(&["Received quit from 'OS"]);
}

#[test]
fn a_second_signal_outranks_an_exit_code_of_the_body() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::MAX);
        builder.source(QuitSource::os_signal()).run(|main| {
            main.routine("deaf").add(|_| hang()).unwrap();
            println!("listening");
            main.wait_quit();
            ExitCode::from(7)
        })
    };
    let mut program = alone(story);
    program.wait_for("listening");
    program.send(SIGTERM);
    program.wait_for("Received quit from");
    program.send_later(SIGTERM);
    program.end().with_code(130);
}

#[test]
fn the_event_shows_the_failure_of_the_routine_that_quit_the_program_not_of_a_namesake() {
    let story = || {
        program(|main| -> Body {
            let harmless = main.routine("store").on_failure(OnFailure::FailAtExit);
            let harmless = harmless.add(|_| Err::<(), _>("cache miss, harmless"))?;
            harmless.wait(PATIENCE)?;
            main.routine("store").add(|_| Err::<(), _>("DISK FULL"))?;
            Ok(())
        })
    };
    alone(story).end().with_code(1).saying(&[
        "Received quit from routine 'store' of main, which failed: DISK FULL\n",
        "routine 'store' of main failed: cache miss, harmless\n",
        "routine 'store' of main failed: DISK FULL\n",
    ]);
}

#[test]
fn a_name_of_65536_characters_costs_the_report_nothing_else() {
    let story = || {
        impatient(|main| -> Body {
            main.routine("x".repeat(65_536)).add(|_| hang())?;
            main.routine("store").add(|_| Err::<(), _>("disk full"))?;
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(1);
    assert!(ended.stderr.len() < 2000, "{}", ended.stderr.len());
    ended.saying(&[
        "routine 'store' of main failed: disk full",
        "Failed to quit: ",
    ]);
}

#[test]
fn a_crowd_that_hangs_does_not_bury_the_failures_of_a_crowd() {
    let story = || {
        impatient(|main| -> Body {
            for i in 0..300 {
                let child = main.child("deaf")?;
                let deaf = child.routine(format!("deaf {i}"));
                deaf.stack_size(64 * 1024).add(|_| hang())?;
            }
            for _ in 0..300 {
                let fails = main.routine("fails").on_failure(OnFailure::FailAtExit);
                fails
                    .stack_size(64 * 1024)
                    .add(|_| Err::<(), _>("no connection"))?;
            }
            while main.failures().len() < 300 {
                thread::yield_now();
            }
            main.send_quit();
            Ok(())
        })
    };
    let ended = alone(story).end().with_code(1);
    assert!(ended.stderr.lines().count() < 250, "{}", ended.stderr);
    ended.saying(&[
        "Received quit from send_quit at ",
        "300 routines failed:\n",
        "  routine 'fails' of main failed: no connection (×300)\n",
        "Failed to quit: 300 routines had not returned after 0.5 s\n",
        "  main/deaf\n",
        "  and 250 more\n",
    ]);
}
