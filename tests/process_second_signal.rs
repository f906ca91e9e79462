//! A second signal while the program quits, under each policy; and storms of signals.

#![cfg(unix)]
#![expect(
    clippy::redundant_closure,
    reason = "a closure's type has the name of its test"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::process::{self, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{self, SIGCONT, SIGHUP, SIGINT, SIGTERM};
use nix::sys::signal::{kill, raise};
use nix::unistd::Pid;
use quitter::{AddRoutineError, ExitReport, MainQuitter, Notice, QuitSource, SecondSignal};

use common::waits::until_all_others_sleep;
use common::{Ended, PATIENCE, Process, alone, command_for, fill, hang, pid_in, says};

/// Longer than the time between any two signals of a test.
const LONG: Duration = Duration::from_secs(3600);
const SLACK: Duration = Duration::from_secs(2);

/// A stream that receives a byte for each of these signals from now on.
fn each(signals: &[Signal]) -> UnixStream {
    let (comes, came) = UnixStream::pair().unwrap();
    for signal in signals {
        let comes = comes.try_clone().unwrap();
        signal_hook::low_level::pipe::register(*signal as i32, comes).unwrap();
    }
    came
}

/// A program with a stuck routine and this quit timeout.
fn stuck(policy: SecondSignal, timeout: Duration) -> ExitReport {
    let builder = MainQuitter::builder().timeout(timeout);
    builder
        .source(QuitSource::os_signal())
        .second_signal(policy)
        .run(|main| {
            main.routine("deaf").add(|q| {
                q.set_status("deaf as a post");
                says("listening");
                hang()
            })?;
            Ok::<_, AddRoutineError>(())
        })
}

/// Prints the exit code of the outcome.
fn tells_the_code(notice: &Notice) {
    match notice {
        Notice::QuitEvent { .. } => says("quits"),
        Notice::Outcome(report) => says(&format!("the report has code {}", report.exit_code)),
        _ => {}
    }
}

#[test]
fn the_report_has_the_exit_code_of_the_second_signal() {
    let mut program = alone(|| {
        let builder = MainQuitter::builder().timeout(PATIENCE);
        let builder = builder.second_signal(SecondSignal::ExitAtOnce);
        builder.notices(tells_the_code).run(|_| {
            says("listening");
            hang()
        })
    });
    program.wait_for("listening");
    program.send(SIGTERM);
    program.wait_for("quits");
    program.send(SIGTERM);
    let ended = program.end().with_code(130);
    let code = "the report has code 130, process ";
    assert!(ended.stdout.contains(code), "{}", ended.stdout);
}

/// Sends the first signal and waits until the program has seen it.
fn quitting(program: &mut Process, first: Signal) {
    program.wait_for("listening");
    program.send(first);
    let line = program.wait_for("Received quit from");
    assert!(line.contains(first.as_str()), "{line}");
}

/// Asserts that the second signal ends the program at once, with the report so far.
#[track_caller]
fn ends_at_once(mut program: Process, first: Signal, second: Signal) -> Ended {
    quitting(&mut program, first);
    let from = Instant::now();
    program.send(second);
    let ended = program.end().with_code(130);
    let took = from.elapsed();
    println!("{} ms after the second signal", took.as_millis());
    assert!(took < SLACK, "{took:?}");
    assert_eq!(ended.count("Failed to quit: 1 routine had not returned"), 1);
    assert_eq!(ended.count("Received quit from"), 1);
    let again = format!("Received {second} while quitting: ending now");
    ended.saying(&[
        &format!("Received quit from 'OS interrupt/termination signal': {first}\n"),
        &again,
        "Failed to quit: 1 routine had not returned after ",
        "deaf  running ",
        "status \"deaf as a post\"",
    ])
}

#[test]
fn exit_at_once_ends_with_the_report_so_far_and_code_130() {
    ends_at_once(
        alone(|| stuck(SecondSignal::ExitAtOnce, Duration::MAX)),
        SIGINT,
        SIGINT,
    );
}

#[test]
fn exit_at_once_names_a_sigterm_after_a_sighup() {
    ends_at_once(
        alone(|| stuck(SecondSignal::ExitAtOnce, Duration::MAX)),
        SIGHUP,
        SIGTERM,
    );
}

#[test]
fn exit_at_once_names_a_sighup_after_a_sigterm() {
    ends_at_once(
        alone(|| stuck(SecondSignal::ExitAtOnce, Duration::MAX)),
        SIGTERM,
        SIGHUP,
    );
}

/// A program whose routine flushes for so long that the second of a pair of signals could have ended it.
fn flushes() -> ExitReport {
    let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
    // Two SIGTERMs sent at once may arrive as one, but GNU's `timeout` sends SIGCONT, too.
    let mut came = each(&[SIGTERM, SIGHUP, SIGINT, SIGCONT]);
    came.set_read_timeout(Some(SLACK)).unwrap();
    main.routine("flushes")
        .add(move |q| {
            says("listening");
            q.wait_quit();
            let _ = came.read_exact(&mut [0; 2]);
            until_all_others_sleep();
            println!("flushed");
        })
        .unwrap();
    main.exit()
}

#[track_caller]
fn has_flushed(ended: Ended) {
    let ended = ended.with_code(0);
    assert!(ended.stdout.contains("flushed"), "{ended:?}");
    assert_eq!(ended.count("ending now"), 0, "{ended:?}");
}

/// Starts programs and sends each a second signal once it has printed `at`, until the signal comes soon enough
/// after the first to be one of a pair.
#[track_caller]
fn send_pair(start: impl Fn() -> Process, at: &str, second: Signal) -> Ended {
    const SOON: Duration = Duration::from_millis(250);
    let until = Instant::now() + PATIENCE;
    loop {
        let mut program = start();
        let pid = pid_in(&program.wait_for("listening"));
        let from = Instant::now();
        program.send(SIGTERM);
        program.wait_for(at);
        // If the signal is too late, the program may be gone.
        let _ = kill(pid, second);
        if from.elapsed() < SOON {
            return program.end();
        }
        assert!(Instant::now() < until, "never soon enough");
    }
}

#[test]
fn a_pair_of_signals_leaves_the_time_to_quit() {
    for second in [SIGTERM, SIGHUP, SIGINT] {
        has_flushed(send_pair(|| alone(|| flushes()), "Received quit", second));
    }
}

#[test]
fn a_pair_of_signals_leaves_the_time_to_write_the_report_after_the_exit() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        let mut came = each(&[SIGTERM]);
        says("listening");
        let report = main.exit();
        says("exited");
        came.read_exact(&mut [0; 2]).unwrap();
        until_all_others_sleep();
        report
    };
    let ended = send_pair(|| alone(story), "exited", SIGTERM);
    ended.with_code(0).saying(&["Quit: all routines"]);
}

/// The `timeout` of coreutils sends its signal to the program, and then to its process group.
#[test]
#[cfg(target_os = "linux")]
fn a_program_under_timeout_has_the_time_to_quit() {
    let mut started: Vec<_> = (0..8)
        .map(|_| {
            let command = command_for(|| flushes());
            let mut timeout = std::process::Command::new("timeout");
            timeout.args(["--preserve-status", "1000"]);
            timeout.arg(command.get_program()).args(command.get_args());
            for (name, value) in command.get_envs() {
                timeout.env(name, value.unwrap_or_default());
            }
            Process::start(&mut timeout)
        })
        .collect();
    for program in &mut started {
        program.wait_for("listening");
        // `timeout` does the same at a signal as when the time is over.
        program.send(SIGTERM);
    }
    started
        .into_iter()
        .for_each(|program| has_flushed(program.end()));
}

#[test]
fn by_default_a_signal_half_a_second_after_the_first_ends_the_program() {
    let mut program = alone(|| stuck(SecondSignal::default(), Duration::MAX));
    quitting(&mut program, SIGTERM);
    program.send(SIGTERM);
    program.send_later(SIGTERM);
    program
        .end()
        .with_code(130)
        .saying(&["ending now", "Failed to quit: 1 "]);
}

#[test]
fn exit_unless_within_a_moment_ends_at_once_when_that_is_over() {
    let moment = Duration::from_millis(200);
    let story = move || stuck(SecondSignal::ExitUnlessWithin(moment), Duration::MAX);
    let mut program = alone(story);
    quitting(&mut program, SIGINT);
    // The sleep is the thing under test: it delays the second signal.
    thread::sleep(moment);
    program.send(SIGINT);
    program.end().with_code(130).saying(&[
        "Received SIGINT while quitting: ending now",
        "Failed to quit: 1 ",
    ]);
}

#[test]
fn exit_unless_within_nothing_ends_at_once() {
    let policy = SecondSignal::ExitUnlessWithin(Duration::ZERO);
    let story = move || stuck(policy, Duration::MAX);
    ends_at_once(alone(story), SIGTERM, SIGINT);
}

/// Asserts that a second signal changes nothing: the quit timeout ends the program.
#[track_caller]
fn is_ignored(timeout: Duration, mut program: Process) {
    quitting(&mut program, SIGINT);
    let from = Instant::now();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        program.send(signal);
    }
    let ended = program.end().with_code(1);
    let took = from.elapsed();
    assert!(took < timeout + SLACK, "{took:?}");
    assert!(took > timeout / 2, "{took:?}");
    assert_eq!(ended.count("ending now"), 0, "{}", ended.stderr);
    ended.saying(&["Failed to quit: 1 routine had not returned after 2 s"]);
}

#[test]
fn exit_unless_within_long_ignores_an_accidental_double_tap() {
    let timeout = Duration::from_secs(2);
    let story = move || stuck(SecondSignal::ExitUnlessWithin(LONG), timeout);
    is_ignored(timeout, alone(story));
}

#[test]
fn exit_unless_within_for_ever_ignores_a_double_tap() {
    let timeout = Duration::from_secs(2);
    let story = move || stuck(SecondSignal::ExitUnlessWithin(Duration::MAX), timeout);
    is_ignored(timeout, alone(story));
}

#[test]
fn ignore_leaves_the_end_to_the_quit_timeout() {
    let timeout = Duration::from_secs(2);
    let story = move || stuck(SecondSignal::Ignore, timeout);
    is_ignored(timeout, alone(story));
}

/// A program with a forced end. Once its exit has returned, it gets another signal, and hangs.
fn hangs_after_exit(policy: SecondSignal, timeout: Duration) -> ExitReport {
    let main = MainQuitter::builder()
        .timeout(timeout)
        .source(QuitSource::os_signal())
        .force_exit(true)
        .second_signal(policy)
        .build();
    says("listening");
    let _report = main.exit();
    // The program sends it itself, so that it comes before the forced end.
    raise(SIGTERM).unwrap();
    hang()
}

/// Asserts that the program ends with this code and its report.
#[track_caller]
fn ends_after_exit(mut program: Process, code: i32) {
    quitting(&mut program, SIGINT);
    let ended = program.end().with_code(code);
    assert_eq!(ended.count("Quit: all routines returned"), 1, "{ended:?}");
}

#[test]
fn ignore_goes_on_after_the_exit_of_a_program_that_is_bound_to_end() {
    let timeout = Duration::from_millis(500);
    let story = move || hangs_after_exit(SecondSignal::Ignore, timeout);
    ends_after_exit(alone(story), 1);
}

#[test]
fn exit_at_once_goes_on_after_the_exit_of_a_program_that_is_bound_to_end() {
    let story = || hangs_after_exit(SecondSignal::ExitAtOnce, LONG);
    ends_after_exit(alone(story), 130);
}

#[test]
fn a_program_that_is_about_to_end_when_the_first_signal_comes_keeps_its_exit_code() {
    let story = || {
        let builder = MainQuitter::builder().timeout(LONG);
        let main = builder.source(QuitSource::os_signal()).build();
        main.send_quit();
        let report = main.exit();
        raise(SIGTERM).unwrap();
        // Stands for the last work of a program, while the signal is handled.
        thread::sleep(Duration::from_millis(20));
        report
    };
    let ended = alone(story).end().with_code(0);
    assert_eq!(ended.count("Ended by force"), 0, "{ended:?}");
}

#[test]
fn after_a_drop_without_exit_any_signal_ends_the_program_whatever_had_quit_it() {
    let story = || -> ExitReport {
        let main = MainQuitter::builder()
            .timeout(Duration::MAX)
            .source(QuitSource::os_signal())
            .force_exit(true)
            .second_signal(SecondSignal::Ignore)
            .build();
        main.send_quit();
        drop(main);
        says("listening");
        hang()
    };
    alone(story).signal_at("listening", SIGTERM).with_code(130);
}

#[test]
fn after_another_quit_event_the_first_signal_is_one_more_event() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::from_secs(1));
        builder.source(QuitSource::os_signal()).run(|main| {
            main.routine("deaf").add(|_| hang())?;
            main.send_quit();
            // This signal comes long before the deadline.
            raise(SIGTERM).unwrap();
            Ok::<_, AddRoutineError>(())
        })
    };
    alone(story).end().with_code(1).saying(&[
        "Received quit from send_quit",
        "Received SIGTERM while quitting; a further signal ends the program",
        "Failed to quit: 1 routine",
        "Later received quit from 'OS interrupt/termination signal': SIGTERM",
    ]);
}

#[test]
fn a_second_signal_ends_a_stuck_body() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::MAX);
        let builder = builder.second_signal(SecondSignal::ExitAtOnce);
        builder.source(QuitSource::os_signal()).run(|_| -> () {
            says("listening");
            hang();
        })
    };
    let mut program = alone(story);
    quitting(&mut program, SIGTERM);
    program.send(SIGTERM);
    program.end().with_code(130).saying(&[
        "ending now",
        "Failed to quit: 1 ",
        "\n    main  running",
    ]);
}

#[test]
fn a_second_signal_ends_a_program_whose_stderr_is_locked() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::MAX);
        let builder = builder.second_signal(SecondSignal::ExitAtOnce);
        builder.source(QuitSource::os_signal()).run(|main| {
            main.routine("locks").add(|_| -> ! {
                let _lock = io::stderr().lock();
                says("listening");
                hang()
            })?;
            Ok::<_, AddRoutineError>(())
        })
    };
    let mut program = alone(story);
    quitting(&mut program, SIGTERM);
    program.send(SIGTERM);
    program
        .end()
        .with_code(130)
        .saying(&["ending now", "Failed to quit: 1 ", "locks  running"]);
}

#[test]
fn a_second_signal_has_the_failures_so_far_in_the_report() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::MAX);
        let builder = builder.second_signal(SecondSignal::ExitAtOnce);
        builder.source(QuitSource::os_signal()).run(|main| {
            main.routine("deaf").add(|_| hang())?;
            main.routine("fails late").add(|q| {
                says("listening");
                q.wait_quit();
                Err::<(), _>("disk full")
            })?;
            let watched = (**main).clone();
            main.routine("watches").add(move |_| {
                watched.wait_quit();
                while watched.failures().is_empty() {
                    thread::yield_now();
                }
                says("failed");
            })?;
            Ok::<_, AddRoutineError>(())
        })
    };
    let mut program = alone(story);
    program.wait_for("listening");
    program.send(SIGINT);
    program.wait_for("failed");
    program.send(SIGINT);
    program.end().with_code(130).saying(&[
        "1 routine failed:",
        "routine 'fails late' of main failed: disk full (while quitting)",
        "Failed to quit: ",
        "deaf",
    ]);
}

#[test]
fn a_second_signal_ends_a_program_whose_stderr_is_a_full_pipe() {
    let (_reader, pipe) = io::pipe().unwrap();
    let to_fill = pipe.try_clone().unwrap();
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::MAX);
        let builder = builder.second_signal(SecondSignal::ExitAtOnce);
        builder.source(QuitSource::os_signal()).run(|main| {
            main.routine("deaf").add(|q| -> ! {
                says("listening");
                q.wait_quit();
                says("quitting");
                hang()
            })?;
            Ok::<_, AddRoutineError>(())
        })
    };
    let mut command = command_for(story);
    let mut program = Process::start_into(&mut command, Stdio::piped(), pipe);
    program.wait_for("listening");
    fill(&to_fill);
    program.send(SIGTERM);
    program.wait_for("quitting");
    let from = Instant::now();
    program.send(SIGTERM);
    program.end().with_code(130);
    assert!(from.elapsed() < SLACK, "{:?}", from.elapsed());
}

/// Sends 10,000 signals as fast as possible, or until the process has ended.
#[track_caller]
fn ended_by_storm(pid: Pid, program: Process, codes: &[i32]) -> Ended {
    let start = Instant::now();
    let over = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&over);
    let storm = thread::spawn(move || {
        let all = [SIGTERM, SIGINT, SIGHUP].into_iter().cycle();
        let sent = |signal: &Signal| !is_over.load(Ordering::Relaxed) && kill(pid, *signal).is_ok();
        all.take(10_000).take_while(sent).count()
    });
    let ended = program.end();
    over.store(true, Ordering::Relaxed);
    let sent = storm.join().unwrap();
    let (took, code) = (start.elapsed(), ended.code);
    println!("{} ms, {sent} signals, code {code:?}", took.as_millis());
    let code = code.unwrap_or_else(|| panic!("ended by a signal: {ended:?}"));
    assert!(codes.contains(&code), "{ended:?}");
    ended
}

/// Asserts that a storm that starts at this line of output ends the program with one of these codes.
#[track_caller]
fn stormed(mut program: Process, from: &str, codes: &[i32]) -> Ended {
    let pid = pid_in(&program.wait_for(from));
    ended_by_storm(pid, program, codes)
}

#[test]
fn a_storm_of_signals_ends_a_stuck_program() {
    let ended = stormed(
        alone(|| stuck(SecondSignal::ExitAtOnce, Duration::MAX)),
        "listening",
        &[130],
    );
    ended.saying(&["Received quit from", "ending now", "Failed to quit: "]);
}

#[test]
fn a_storm_of_signals_that_are_ignored_leaves_the_end_to_the_quit_timeout() {
    let story = || stuck(SecondSignal::Ignore, Duration::from_secs(1));
    let ended = stormed(alone(story), "listening", &[1]);
    assert_eq!(ended.count("ending now"), 0, "{}", ended.stderr);
    ended.saying(&["Failed to quit: 1 routine"]);
}

#[test]
fn a_storm_of_signals_within_the_time_of_a_double_tap_leaves_the_end_to_the_quit_timeout() {
    let story = || stuck(SecondSignal::ExitUnlessWithin(LONG), Duration::from_secs(1));
    let ended = stormed(alone(story), "listening", &[1]);
    ended.saying(&["Failed to quit: 1 routine"]);
}

#[test]
fn a_storm_of_signals_before_any_routine_exists_ends_the_program() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        says("no routine yet");
        main.wait_quit();
        let refused = main.add_routine(|_| hang());
        assert!(refused.is_err());
        main.exit()
    };
    // Ends cleanly, or a signal after the first ends the program.
    stormed(alone(story), "no routine yet", &[0, 130]);
}

#[test]
fn a_storm_of_signals_while_routines_return_ends_the_program() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        for _ in 0..100 {
            main.add_routine(|q| q.wait_quit()).unwrap();
        }
        says("listening");
        main.exit()
    };
    stormed(alone(story), "listening", &[0, 130]);
}

#[test]
fn a_storm_of_signals_between_the_quit_event_and_exit_ends_the_program() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        let mut came = each(&[SIGTERM]);
        main.send_quit();
        says("quitting");
        came.read_exact(&mut [0]).unwrap();
        main.exit()
    };
    stormed(alone(story), "quitting", &[0, 130]);
}

#[test]
fn a_storm_of_signals_while_the_report_is_printed_ends_the_program() {
    let story = || {
        let main = MainQuitter::new(Duration::from_millis(300), [QuitSource::os_signal()]);
        for _ in 0..500 {
            main.routine("deaf").add(|_| hang()).unwrap();
        }
        says("listening");
        main.exit()
    };
    let mut program = alone(story);
    let pid = pid_in(&program.wait_for("listening"));
    program.send(SIGTERM);
    program.wait_for("Failed to quit: 500 routines");
    ended_by_storm(pid, program, &[1, 130]);
}

#[test]
fn a_storm_of_signals_after_exit_ends_the_program() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        main.send_quit();
        let _report = main.exit();
        says("exited");
        hang()
    };
    stormed(alone(story), "exited", &[130]);
}

#[test]
fn a_storm_of_signals_from_the_program_itself_ends_it() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::from_secs(1));
        let builder = builder.second_signal(SecondSignal::Ignore);
        builder.source(QuitSource::os_signal()).run(|main| {
            main.routine("raises").add(|_| -> ! {
                says("stormy");
                loop {
                    let _ = raise(SIGTERM);
                }
            })?;
            Ok::<_, AddRoutineError>(())
        })
    };
    let mut program = alone(story);
    program.wait_for("stormy");
    let ended = program.end();
    assert!(matches!(ended.code, Some(1 | 130)), "{ended:?}");
    ended.saying(&["SIGTERM", "Failed to quit: 1 ", "raises"]);
}

/// The signal comes between making the report and printing it, for example while `main` drops its values.
#[test]
fn a_signal_before_the_report_is_printed_does_not_lose_it() {
    let story = || -> ExitReport {
        let _report = stuck(SecondSignal::ExitAtOnce, Duration::from_millis(300));
        // The program sends it itself, so that it comes before the forced end.
        raise(SIGTERM).unwrap();
        hang()
    };
    let until = Instant::now() + PATIENCE;
    loop {
        let mut program = alone(story);
        quitting(&mut program, SIGTERM);
        let ended = program.end();
        assert_eq!(ended.count("Failed to quit: 1 routine"), 1, "{ended:?}");
        // On a busy machine, the forced end may come first.
        if ended.code == Some(130) {
            break;
        }
        assert!(ended.code == Some(1) && Instant::now() < until, "{ended:?}");
    }
}

/// Repeats, since no test can hold `main` and the forced end at the instant at which they meet.
#[test]
fn two_signals_at_once_never_lose_the_event_or_the_report() {
    let story = || {
        let builder = MainQuitter::builder().timeout(PATIENCE);
        let builder = builder.second_signal(SecondSignal::ExitAtOnce);
        builder.source(QuitSource::os_signal()).run(|main| {
            main.routine("returns").add(|q| {
                says("listening");
                q.wait_quit();
            })?;
            Ok::<_, AddRoutineError>(())
        })
    };
    for gap in (0..80).map(|i| Duration::from_micros(i * 5)) {
        let mut program = alone(story);
        let pid = pid_in(&program.wait_for("listening"));
        program.send(SIGTERM);
        let from = Instant::now();
        while from.elapsed() < gap {}
        let _gone = kill(pid, SIGINT);
        let ended = program.end();
        assert!(matches!(ended.code, Some(0 | 130)), "{ended:?}");
        assert_eq!(ended.count("Received quit from"), 1, "{ended:?}");
        let outcomes = ended.count("Quit: all") + ended.count("Failed to quit: ");
        assert_eq!(outcomes, 1, "{ended:?}");
    }
}

/// Repeats for the same reason, at the deadline.
#[test]
fn a_body_that_returns_as_the_process_is_ended_by_force_never_loses_the_report() {
    /// How long the forced end waits beyond the deadline.
    const GRACE: Duration = Duration::from_millis(150);
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::from_millis(20));
        let jitter = Duration::from_micros(u64::from(process::id()) % 16 * 50);
        let source = QuitSource::os_signal();
        builder.source(source).run(|main| -> () {
            main.send_quit();
            let until = main.deadline().unwrap() + GRACE - Duration::from_micros(400) + jitter;
            while Instant::now() < until {}
        })
    };
    for _ in 0..24 {
        let ended = alone(story).end();
        assert_eq!(ended.count("Received quit from"), 1, "{ended:?}");
        let outcomes = ended.count("Quit: all") + ended.count("Failed to quit: ");
        assert_eq!(outcomes, 1, "{ended:?}");
    }
}
