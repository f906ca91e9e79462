//! A single signal as a quit source.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::{self, SIGABRT, SIGINT, SIGKILL, SIGTERM, SIGUSR1, SIGUSR2};
use nix::sys::signal::raise;
use quitter::{ExitReport, MainQuitter, MainQuitterBuilder, MainQuitterError, QuitSource};
use quitter::{SecondSignal, SignalExitCode};

use common::{
    Ended, PATIENCE, Process, after_shell, alone, command_for, given_time, hang, with_time,
};

fn source(signal: Signal) -> QuitSource {
    QuitSource::signal(signal as i32)
}

fn builder() -> MainQuitterBuilder {
    MainQuitter::builder().timeout(PATIENCE).signals(false)
}

/// A program that prints when it listens, and which signal ended it.
fn listens(builder: MainQuitterBuilder) -> ExitReport {
    let main = builder.build();
    main.add_routine(|q| q.wait_quit()).unwrap();
    println!("listening");
    let report = main.exit();
    println!("signal {:?}", report.signal.map(|signal| signal.number));
    report
}

/// A program with a routine that never returns.
fn hangs(builder: MainQuitterBuilder) -> ExitReport {
    let main = builder.build();
    main.add_routine(|_| hang()).unwrap();
    println!("listening");
    main.exit()
}

fn ends_on(mut program: Process, signal: Signal) -> Ended {
    program.wait_for("listening");
    program.send(signal);
    program.end()
}

#[test]
fn a_signal_of_its_own_makes_the_program_quit_and_is_known_as_data() {
    let story = || listens(builder().source(source(SIGUSR2).described("reload")));
    let ended = ends_on(alone(story), SIGUSR2).with_code(0);
    assert!(ended.stdout.contains("signal Some("), "{}", ended.stdout);
    let number = format!("signal Some({})", SIGUSR2 as i32);
    assert!(ended.stdout.contains(&number), "{}", ended.stdout);
    ended.saying(&["Received quit from 'reload': SIGUSR2\n", "Quit: all"]);
}

#[test]
fn a_signal_that_no_source_names_does_what_it_always_did() {
    let story = || listens(builder().source(source(SIGUSR2)));
    ends_on(alone(story), SIGTERM).with_signal(SIGTERM);
}

#[test]
fn beside_os_signal_each_signal_fires_the_source_that_is_for_it_alone() {
    let story = || {
        let sources = [QuitSource::os_signal(), source(SIGTERM).as_failure()];
        listens(builder().sources(sources))
    };
    let term = ends_on(alone(story), SIGTERM).with_code(1);
    term.saying(&["Received quit from 'OS signal': SIGTERM"]);
    let int = ends_on(alone(story), SIGINT).with_code(0);
    int.saying(&["Received quit from 'OS interrupt/termination signal': SIGINT"]);
}

#[test]
fn the_exit_code_of_a_signal_of_its_own_can_be_128_plus_its_number() {
    let story = || {
        let builder = builder().signal_exit_code(SignalExitCode::Plus128);
        listens(builder.source(source(SIGUSR2)))
    };
    ends_on(alone(story), SIGUSR2).with_code(128 + SIGUSR2 as i32);
}

#[test]
fn a_signal_of_another_source_is_a_second_signal() {
    let story = || hangs(builder().sources([source(SIGUSR1), source(SIGABRT)]));
    let mut program = alone(story);
    program.wait_for("listening");
    program.send(SIGUSR1);
    program.wait_for("Received quit from");
    program.send_later(SIGABRT);
    let ended = program.end().with_code(130);
    ended.saying(&[
        "Received SIGABRT while quitting: ending now",
        "Failed to quit",
    ]);
}

/// A program that quits already when two signals come, which do not end it. It has time until both are handled.
fn quits_before_two_signals(policy: SecondSignal) -> ExitReport {
    let builder = builder().second_signal(policy);
    let main = builder.sources([source(SIGUSR1), source(SIGUSR2)]).build();
    main.add_routine(|_| thread::sleep(given_time())).unwrap();
    main.send_quit();
    raise(SIGUSR1).unwrap();
    raise(SIGUSR2).unwrap();
    main.exit()
}

/// Runs [`quits_before_two_signals`] until both signals are handled before the program ends.
#[track_caller]
fn after_two_signals(command: impl Fn() -> Command) -> Ended {
    let are_listed = |ended: &Ended| ended.count("Later received quit from") == 2;
    let (_, ended) = with_time(&[100, 1000, 5000], command, are_listed);
    ended.with_code(0)
}

#[test]
fn that_a_further_signal_ends_the_program_is_said_once() {
    const NEVER: Duration = Duration::from_secs(3600);
    let story = || quits_before_two_signals(SecondSignal::ExitUnlessWithin(NEVER));
    let ended = after_two_signals(|| command_for(story));
    assert_eq!(ended.count("a further signal ends"), 1, "{}", ended.stderr);
}

#[test]
fn that_a_further_signal_ends_the_program_is_not_said_where_none_does() {
    let story = || quits_before_two_signals(SecondSignal::Ignore);
    let ended = after_two_signals(|| command_for(story));
    assert_eq!(ended.count("a further signal ends"), 0, "{}", ended.stderr);
}

#[test]
fn a_second_signal_that_ends_nothing_is_among_the_later_causes() {
    let story = || {
        let builder = builder().second_signal(SecondSignal::Ignore);
        let builder = builder.sources([source(SIGUSR1), source(SIGUSR2)]);
        let main = builder.build();
        main.add_routine(|q| {
            q.wait_quit();
            raise(SIGUSR2).unwrap();
            thread::sleep(given_time());
        })
        .unwrap();
        raise(SIGUSR1).unwrap();
        main.exit()
    };
    let later = "Later received quit from 'OS signal': SIGUSR2";
    let is_listed = |ended: &Ended| ended.stderr.contains(later);
    let (_, ended) = with_time(&[100, 1000, 5000], || command_for(story), is_listed);
    ended.with_code(0).saying(&["Quit: all", later]);
}

#[test]
fn a_signal_of_its_own_can_be_added_later() {
    let story = || {
        let main = builder().source(QuitSource::all_done()).build();
        main.add_routine(|q| q.wait_quit()).unwrap();
        assert_eq!(main.add_source(source(SIGUSR1)), 1);
        assert_eq!(main.add_source(source(SIGUSR2)), 2);
        println!("listening");
        main.exit()
    };
    for signal in [SIGUSR1, SIGUSR2] {
        let ended = ends_on(alone(story), signal).with_code(0);
        ended.saying(&[signal.as_str(), "Quit: all"]);
    }
}

#[test]
fn an_ignored_signal_of_its_own_stays_ignored() {
    let command = command_for(|| listens(builder().sources([source(SIGUSR1), source(SIGTERM)])));
    let mut program = Process::start(&mut after_shell("trap '' USR1", &command));
    program.wait_for("listening");
    program.send(SIGUSR1);
    program.send(SIGTERM);
    let ended = program.end().with_code(0).saying(&["SIGTERM", "Quit: all"]);
    assert_eq!(ended.count("SIGUSR1"), 0, "{}", ended.stderr);
}

#[test]
#[cfg(target_os = "linux")]
fn a_real_time_signal_is_shown_by_its_number() {
    let number = nix::libc::SIGRTMIN() + 6;
    let story = || {
        let number = nix::libc::SIGRTMIN() + 6;
        let sources = [QuitSource::signal(number)];
        let main = builder().sources(sources).build();
        // nix does not support real-time signals.
        let pid = std::process::id().to_string();
        let kill = ["-s", &number.to_string(), &pid];
        assert!(
            std::process::Command::new("kill")
                .args(kill)
                .status()
                .unwrap()
                .success()
        );
        main.exit()
    };
    let says = format!("'OS signal': signal {number}\n");
    alone(story).end().with_code(0).saying(&[&says]);
}

#[test]
fn a_signal_that_cannot_be_a_source_is_an_error_that_leaves_no_claim() {
    let story = || {
        let of = |number, says: &str| {
            let refused = builder().source(QuitSource::signal(number)).try_build();
            let refused = refused.unwrap_err();
            let MainQuitterError::UnusableSignal { number: of, .. } = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(of, number);
            assert_eq!(refused.to_string(), says);
        };
        of(
            SIGKILL as i32,
            "cannot listen to SIGKILL: no program can handle it",
        );
        for fault in [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGFPE,
            Signal::SIGILL,
        ] {
            let reason = "it reports a fault of the program, which cannot go on after it";
            let says = format!("cannot listen to {fault}: {reason}");
            of(fault as i32, &says);
        }
        for number in [-1, 0, 1000] {
            let reason = "there is no such signal";
            of(
                number,
                &format!("cannot listen to signal {number}: {reason}"),
            );
        }
        listens(builder().source(source(SIGTERM)))
    };
    ends_on(alone(story), SIGTERM).with_code(0);
}

#[test]
#[should_panic(expected = "cannot listen to SIGSTOP: no program can handle it")]
fn a_signal_that_cannot_be_a_source_makes_new_panic() {
    let _ = MainQuitter::new(PATIENCE, [source(Signal::SIGSTOP)]);
}
