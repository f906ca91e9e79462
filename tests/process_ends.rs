//! The ways to end a program besides its quit sources, and the exit code after a signal.

#![cfg(unix)]
#![expect(
    clippy::redundant_closure,
    reason = "a closure's type has the name of its test"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::Signal::{SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use quitter::{End, MainQuitter, MainQuitterBuilder, QuitSource, Quitter, SignalExitCode};

use common::waits::eventually;
use common::{PATIENCE, alone};

#[test]
fn a_program_that_ends_with_its_body_quits_when_that_returns() {
    let story = || {
        let builder = MainQuitter::builder().end(End::WithBody);
        builder.run(|main| {
            main.add_routine(|q| q.wait_quit()).unwrap();
            ExitCode::SUCCESS
        })
    };
    alone(story).end().with_code(0).saying(&[
        "Received quit from main, which returned\n",
        "Quit: all routines returned",
    ]);
}

#[test]
fn a_program_that_ends_with_its_body_keeps_the_code_that_this_returns() {
    let story = || {
        let builder = MainQuitter::builder().end(End::WithBody).signals(false);
        builder.run(|_| ExitCode::from(7))
    };
    alone(story).end().with_code(7);
}

#[test]
fn sources_are_added_to_the_signals() {
    let story = || {
        let (keep, silence) = crossbeam_channel::bounded::<()>(1);
        let builder = MainQuitter::builder().source(QuitSource::channel("silence", silence));
        builder.run(move |main| {
            let _guard = main.guard("listens").unwrap();
            println!("listening");
            main.wait_quit();
            drop(keep);
        })
    };
    alone(story)
        .signal_at("listening", SIGTERM)
        .with_code(0)
        .saying(&["SIGTERM"]);
}

#[test]
fn without_signals_a_signal_does_what_it_always_did() {
    let story = || {
        let builder = MainQuitter::builder().signals(false);
        builder.source(QuitSource::all_done()).run(|main| {
            println!("listening");
            main.wait_quit();
        })
    };
    alone(story)
        .signal_at("listening", SIGTERM)
        .with_signal(SIGTERM);
}

#[test]
fn by_choice_a_signal_gives_128_and_its_number() {
    let story = || {
        let builder = MainQuitter::builder().signal_exit_code(SignalExitCode::Plus128);
        builder.run(|_| println!("listening"))
    };
    for (signal, code) in [(SIGINT, 130), (SIGTERM, 143)] {
        let mut program = alone(story);
        program.wait_for("listening");
        program.send(signal);
        program
            .end()
            .with_code(code)
            .saying(&["Quit: all routines returned"]);
    }
}

/// A program that ends by the signal that made it quit.
fn raises() -> MainQuitterBuilder {
    MainQuitter::builder().signal_exit_code(SignalExitCode::Raise)
}

#[test]
fn by_choice_the_signal_itself_ends_a_program_that_has_quit_and_flushed_its_output() {
    let story = || {
        raises().run(|main| {
            println!("listening");
            main.wait_quit();
            print!("a line without an end");
        })
    };
    for signal in [SIGINT, SIGTERM] {
        let ended = alone(story).signal_at("listening", signal);
        let ended = ended.with_signal(signal);
        assert!(ended.stdout.ends_with("a line without an end"), "{ended:?}");
        ended.saying(&["Quit: all routines returned"]);
    }
}

#[test]
fn no_signal_ends_a_program_that_has_failed() {
    let story = || {
        raises().run(|main| -> Result<(), &str> {
            println!("listening");
            main.wait_quit();
            Err("no connection")
        })
    };
    alone(story).signal_at("listening", SIGTERM).with_code(1);
}

#[test]
fn no_signal_ends_a_program_whose_body_returns_an_exit_code() {
    let story = || {
        raises().run(|main| {
            println!("listening");
            main.wait_quit();
            // The code that the report would have without it.
            ExitCode::from(143)
        })
    };
    alone(story).signal_at("listening", SIGTERM).with_code(143);
}

#[test]
fn no_signal_ends_a_program_that_changes_the_exit_code_of_its_report() {
    let story = || {
        let mut report = raises().run(|_| println!("listening"));
        assert_eq!(report.exit_code, 143);
        report.exit_code = 3;
        report
    };
    alone(story).signal_at("listening", SIGTERM).with_code(3);
}

#[test]
fn no_signal_ends_a_program_that_quits_for_another_reason() {
    let story = || raises().run(|main| main.send_quit());
    alone(story).end().with_code(0);
}

#[test]
fn the_second_signal_ends_a_program_itself_after_the_report() {
    let story = || {
        raises().run(|main| {
            main.add_routine(|_| common::hang()).unwrap();
            println!("listening");
        })
    };
    let mut program = alone(story);
    program.wait_for("listening");
    program.send(SIGTERM);
    program.wait_for("Received quit from");
    program.send_later(SIGINT);
    let ended = program.end().with_signal(SIGINT);
    ended.saying(&[
        "SIGINT while quitting: ending now",
        "Failed to quit: 1 routine",
    ]);
}

#[test]
fn a_signal_that_does_not_end_a_program_leaves_it_the_exit_code_of_128_and_its_number() {
    let story = || {
        let sources = [SIGTSTP, SIGWINCH].map(|signal| QuitSource::signal(signal as i32));
        raises().sources(sources).run(|_| println!("listening"))
    };
    for signal in [SIGTSTP, SIGWINCH] {
        let ended = alone(story).signal_at("listening", signal);
        ended.with_code(128 + signal as i32);
    }
}

#[test]
fn the_signal_is_data_in_the_cause_and_in_the_report() {
    let story = || {
        let (_send, silent) = crossbeam_channel::bounded::<()>(0);
        let silent = QuitSource::channel("silent", silent);
        let main = MainQuitter::new(PATIENCE, [silent, QuitSource::os_signal()]);
        let reads_the_cause = main.add_routine(|q| {
            q.wait_quit();
            let signal = q.quit_cause().unwrap().signal().unwrap();
            assert_eq!((signal.number, signal.name), (15, "SIGTERM"));
        });
        reads_the_cause.unwrap();
        println!("listening");
        let report = main.exit();
        let signal = report.signal.unwrap();
        assert_eq!((signal.number, signal.name), (15, "SIGTERM"));
        report
    };
    alone(story).signal_at("listening", SIGTERM).with_code(0);
}

#[test]
fn a_program_whose_last_routine_returns_says_what_it_waits_for() {
    let story = || {
        MainQuitter::builder().run(|main| {
            main.routine("short")
                .add(|q| {
                    // Waits until the body has returned.
                    eventually(|| q.snapshot().routines().all(|other| other.name != "main"));
                })
                .unwrap();
        })
    };
    alone(story)
        .signal_at("no routine is running; waiting for a quit event", SIGTERM)
        .with_code(0);
}

/// The body calls a plain quitter, which does not record the places of calls.
#[test]
fn a_report_does_not_say_of_a_body_that_hangs_that_it_never_asked() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::from_millis(300));
        builder.end(End::WithBody).run(|main| {
            main.sleep(Duration::ZERO).unwrap();
            println!("hangs");
            common::hang();
        })
    };
    let ended = alone(story).signal_at("hangs", SIGTERM).with_code(1);
    let ended = ended.saying(&["Failed to quit: 1 routine", "main  running ", "spawned at "]);
    assert_eq!(ended.count("asked its quitter"), 0, "{}", ended.stderr);
}

#[test]
fn a_clone_of_the_main_quitter_is_a_handle_of_its_root() {
    let story = || {
        let builder = MainQuitter::builder().source(QuitSource::all_done());
        builder.run(|main: &MainQuitter| {
            let root: Quitter = main.clone();
            main.add_routine(move |_| assert_eq!(root.name(), "main"))
                .unwrap();
        })
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_main_quitter_that_is_dropped_while_routines_live_says_so() {
    let story = || {
        let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
        let _guard = main.guard("left running").unwrap();
        drop(main);
        loop {
            std::thread::park();
        }
    };
    let mut program = alone(story);
    program.wait_for("Received quit from the main quitter, which was dropped without exit()");
    program.wait_for("Nothing waits for the routine that is live");
}

#[test]
fn a_main_that_returns_after_the_drop_of_the_main_quitter_has_said_so() {
    let story = || {
        let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
        main.add_routine(|_| std::thread::park()).unwrap();
        drop(main);
        ExitCode::SUCCESS
    };
    alone(story).end().with_code(0).saying(&[
        "Received quit from the main quitter, which was dropped without exit()\n",
        "Nothing waits for the routine that is live",
    ]);
}

#[test]
fn a_body_that_returns_quitting_in_an_anyhow_error_has_not_failed() {
    #[quitter::main(timeout = "2s")]
    fn main(main: &MainQuitter) -> anyhow::Result<()> {
        use anyhow::Context;

        main.send_quit();
        main.sleep(Duration::from_secs(60))
            .context("between two beats")?;
        unreachable!("told to quit")
    }
    alone(|| main())
        .end()
        .with_code(0)
        .saying(&["Received quit from send_quit", "Quit: all routines"]);
}

#[test]
fn an_anyhow_error_of_the_body_is_one_line() {
    #[quitter::main(timeout = "2s")]
    fn main() -> anyhow::Result<()> {
        Err(anyhow::anyhow!("disk full").context("cannot save"))
    }
    alone(|| main())
        .end()
        .with_code(1)
        .saying(&["Error: cannot save: disk full\n"]);
}
