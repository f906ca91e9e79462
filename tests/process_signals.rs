//! Real signals: the first one makes the program quit, the second one ends it.

#![cfg(unix)]
#![expect(
    clippy::redundant_closure,
    reason = "a closure's type has the name of its test"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::fs::File;
use std::thread;
use std::time::Duration;

use crossbeam_channel::never;
use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGTERM};
use nix::sys::signal::{kill, raise};
use quitter::{ExitReport, MainQuitter, MainQuitterError, QuitSource};

use common::{PATIENCE, Process, after_shell, alone, command_for, hang};

/// A program that listens for signals, prints that it does, and exits.
fn listens() -> ExitReport {
    let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
    main.add_routine(|q| q.wait_quit()).unwrap();
    println!("listening");
    main.exit()
}

fn ends_clean_on(mut program: Process, signal: Signal) {
    program.wait_for("listening");
    program.send(signal);
    program.end().with_code(0).saying(&[
        "Received quit from 'OS interrupt/termination signal': ",
        signal.as_str(),
        "Quit: all routines returned",
    ]);
}

#[test]
fn sigint_makes_the_program_quit() {
    ends_clean_on(alone(|| listens()), SIGINT);
}

#[test]
fn sigterm_makes_the_program_quit() {
    ends_clean_on(alone(|| listens()), SIGTERM);
}

#[test]
fn sighup_makes_the_program_quit() {
    ends_clean_on(alone(|| listens()), SIGHUP);
}

/// Some supervisors start their children with blocked signals.
#[test]
#[cfg(target_os = "linux")]
fn a_signal_that_was_blocked_at_the_start_makes_the_program_quit() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        main.add_routine(|q| q.wait_quit()).unwrap();
        println!("listening");
        main.exit()
    };
    let command = command_for(story);
    let mut blocked = std::process::Command::new("env");
    blocked.args(["--block-signal=TERM,INT,HUP"]);
    blocked.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        blocked.env(name, value.unwrap_or_default());
    }
    ends_clean_on(Process::start(&mut blocked), SIGTERM);
}

/// The signals that a thread of this process blocks, as bits.
#[cfg(target_os = "linux")]
fn blocked_by(thread: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    u64::from_str_radix(mask.unwrap().trim(), 16).unwrap()
}

/// If another thread received a signal while the handlers are installed one by one, the signal would be lost.
#[test]
#[cfg(target_os = "linux")]
fn of_quitters_threads_only_the_one_that_handles_signals_accepts_them() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        let heeded = bits(&[SIGINT, SIGTERM, SIGHUP]);
        // Each thread sets its name once it runs.
        while accepted_by("quitter report") != Some(0)
            || accepted_by("quitter watcher") != Some(0)
            || accepted_by("quitter signals") != Some(heeded)
        {
            thread::yield_now();
        }
        main.add_routine(|q| q.wait_quit()).unwrap();
        println!("listening");
        main.exit()
    };
    ends_clean_on(alone(story), SIGTERM);
}

/// Which of the signals of `os_signal` the thread of this name accepts, as bits.
#[cfg(target_os = "linux")]
fn accepted_by(name: &str) -> Option<u64> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let mut tasks = tasks.map(|task| task.unwrap().path());
    let has_name = |comm: String| comm.trim_end() == name;
    let task = tasks.find(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(has_name))?;
    let task = task.strip_prefix("/proc").unwrap().to_str()?.to_owned();
    Some(bits(&[SIGINT, SIGTERM, SIGHUP]) & !blocked_by(&task))
}

#[cfg(target_os = "linux")]
fn bits(signals: &[Signal]) -> u64 {
    let bits = signals.iter().map(|signal| 1 << (*signal as u32 - 1));
    bits.sum()
}

/// A child process inherits which signals are blocked: one that such a function starts would be deaf to Ctrl-C
/// and SIGTERM.
#[test]
#[cfg(target_os = "linux")]
fn functions_of_the_program_run_on_threads_that_accept_signals() {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Wake};

    use crossbeam_channel::{Sender, bounded};
    use quitter::Notice;

    struct Says(Sender<()>);
    impl Wake for Says {
        fn wake(self: Arc<Self>) {
            say("waker");
            self.0.send(()).unwrap();
        }
    }
    fn say(function: &str) {
        let blocked = blocked_by("thread-self") & bits(&[SIGINT, SIGTERM, SIGHUP]);
        eprintln!("{function} blocks {blocked:x}");
    }

    let program = alone(|| {
        let (fire, fires) = bounded(1);
        let show = |(): &()| {
            say("message");
            String::new()
        };
        let builder = MainQuitter::builder()
            .timeout(PATIENCE)
            .source(QuitSource::channel_with("channel", fires, show))
            .notices(|notice| match notice {
                Notice::QuitEvent { .. } => say("event"),
                Notice::Outcome(_) => say("outcome"),
                _ => {}
            })
            .before_report(|| say("hook"));
        builder.run(|main| {
            main.on_quit(|| say("on_quit")).detach();
            let (woken, is_woken) = bounded(1);
            let waker = Arc::new(Says(woken)).into();
            let mut quitting = pin!(main.quitting());
            let mut context = Context::from_waker(&waker);
            assert!(quitting.as_mut().poll(&mut context).is_pending());
            // So a thread of quitter tells the tree to quit.
            fire.send(()).unwrap();
            is_woken.recv().unwrap();
        })
    });
    let ended = program.end().with_code(0);
    for function in ["message", "event", "on_quit", "waker", "hook", "outcome"] {
        assert_eq!(
            ended.count(&format!("{function} blocks 0\n")),
            1,
            "{}",
            ended.stderr
        );
    }
}

/// A signal for the waiting thread would be handled only once the system runs that thread, which would then
/// wake the thread that handles signals.
#[test]
#[cfg(target_os = "linux")]
fn the_thread_that_waits_in_exit_accepts_no_signal_until_exit_returns() {
    use nix::sys::signal::Signal::SIGUSR1;

    let story = || {
        let signals = [QuitSource::os_signal(), QuitSource::signal(SIGUSR1 as i32)];
        let main = MainQuitter::new(PATIENCE, signals);
        let before = blocked_by("thread-self");
        let exits = std::fs::read_link("/proc/thread-self").unwrap();
        let exits = exits.to_str().unwrap().to_owned();
        main.add_routine(move |q| {
            let heeded = bits(&[SIGINT, SIGTERM, SIGHUP, SIGUSR1]);
            while blocked_by(&exits) != before | heeded {
                thread::yield_now();
            }
            println!("listening");
            q.wait_quit();
        })
        .unwrap();
        let report = main.exit();
        assert_eq!(blocked_by("thread-self"), before);
        report
    };
    ends_clean_on(alone(story), SIGTERM);
}

/// Repeats, to show that the exit never overtakes the failure that the signal stands for.
#[test]
fn a_signal_that_is_a_failure_always_ends_the_program_with_code_1() {
    let story = || {
        let signals = QuitSource::os_signal().as_failure();
        let main = MainQuitter::new(PATIENCE, [signals]);
        println!("listening");
        main.exit()
    };
    for _ in 0..20 {
        let mut program = alone(story);
        program.wait_for("listening");
        program.send(SIGTERM);
        program.end().with_code(1);
    }
}

#[test]
fn a_signal_is_seen_by_routines_while_main_still_works() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        let routine = main.routine("listener").add(|q| q.wait_quit()).unwrap();
        println!("listening");
        routine
            .wait(PATIENCE)
            .expect("the routine is told without exit");
        main.exit()
    };
    ends_clean_on(alone(story), SIGTERM);
}

/// A program with a routine that never returns, and no quit timeout.
fn hangs() -> ExitReport {
    let main = MainQuitter::new(Duration::MAX, [QuitSource::os_signal()]);
    main.add_routine(|_| hang()).unwrap();
    println!("listening");
    main.exit()
}

fn ends_on_a_second_signal(mut program: Process, first: Signal, second: Signal) {
    program.wait_for("listening");
    program.send(first);
    program.wait_for("Received quit from");
    program.send_later(second);
    let ended = program.end().with_code(130).saying(&[
        second.as_str(),
        "ending now",
        "Failed to quit: 1 routine had not returned",
    ]);
    assert_eq!(ended.count("Failed to quit"), 1, "{}", ended.stderr);
}

#[test]
fn a_second_signal_ends_the_program() {
    ends_on_a_second_signal(alone(|| hangs()), SIGINT, SIGINT);
}

#[test]
fn a_second_signal_may_be_another_one() {
    ends_on_a_second_signal(alone(|| hangs()), SIGTERM, SIGHUP);
}

#[test]
fn a_program_that_hangs_in_a_quit_of_its_own_is_ended_by_signals() {
    let story = || {
        let main = MainQuitter::new(Duration::MAX, [QuitSource::os_signal()]);
        main.add_routine(|_| hang()).unwrap();
        main.send_quit();
        common::says("hanging");
        main.exit()
    };
    let mut program = alone(story);
    let pid = common::pid_in(&program.wait_for("hanging"));
    // The first signal is one more quit event. Only a signal half a second after that was seen ends the program,
    // and no event tells when it was seen.
    let sends = thread::spawn(move || {
        while kill(pid, SIGTERM).is_ok() {
            thread::sleep(Duration::from_millis(550));
        }
    });
    program.end().with_code(130);
    sends.join().unwrap();
}

#[test]
fn a_signal_after_exit_ends_the_program() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        main.send_quit();
        let report = main.exit();
        println!("exited with {}", report.exit_code);
        hang()
    };
    alone(story)
        .signal_at("exited with 0", SIGTERM)
        .with_code(130);
}

#[test]
fn a_signal_after_the_main_quitter_was_dropped_ends_the_program() {
    let story = || -> ExitReport {
        drop(MainQuitter::new(PATIENCE, [QuitSource::os_signal()]));
        // The drop does not wait: the watcher may end a little later, and receive the first signals.
        loop {
            raise(SIGTERM).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
    };
    alone(story).end().with_code(130);
}

#[test]
fn without_the_source_signals_do_what_they_always_did() {
    let story = || {
        let source = QuitSource::channel("silence", never::<()>());
        let main = MainQuitter::new(PATIENCE, [source]);
        println!("listening");
        main.exit()
    };
    alone(story)
        .signal_at("listening", SIGTERM)
        .with_signal(SIGTERM);
}

#[test]
fn a_signal_source_can_be_added_later() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [QuitSource::all_done()]);
        main.add_routine(|q| q.wait_quit()).unwrap();
        assert_eq!(main.add_source(QuitSource::os_signal()), 1);
        println!("listening");
        main.exit()
    };
    ends_clean_on(alone(story), SIGTERM);
}

#[test]
fn signals_that_cannot_be_listened_to_are_an_error_that_leaves_no_claim() {
    let story = || {
        // Listening needs a few file descriptors.
        let files = std::iter::from_fn(|| File::open("/dev/null").ok());
        let all: Vec<File> = files.collect();
        let refused = MainQuitter::try_new(PATIENCE, [QuitSource::os_signal()]);
        assert!(
            matches!(refused, Err(MainQuitterError::Signals(_))),
            "{refused:?}"
        );
        drop(all);
        listens()
    };
    let mut command = after_shell("ulimit -n 64", &command_for(story));
    ends_clean_on(Process::start(&mut command), SIGTERM);
}

#[test]
fn one_signal_for_two_signal_sources_is_no_second_signal() {
    let story = || {
        let sources = ["one", "two"].map(|name| QuitSource::os_signal().described(name));
        let main = MainQuitter::new(PATIENCE, sources);
        main.add_routine(|q| q.wait_quit()).unwrap();
        println!("listening");
        main.exit()
    };
    alone(story)
        .signal_at("listening", SIGTERM)
        .with_code(0)
        .saying(&["SIGTERM", "Quit: all"]);
}

/// The signal is ignored when the program starts, as under `nohup` and a shell's `&`.
fn stays_ignored(signal: Signal, mut program: Process) {
    program.wait_for("listening");
    program.send(signal);
    program.send(SIGTERM);
    let ended = program.end().with_code(0).saying(&["SIGTERM", "Quit: all"]);
    assert_eq!(ended.count(signal.as_str()), 0, "{}", ended.stderr);
}

#[test]
fn an_ignored_sighup_stays_ignored() {
    let command = command_for(|| listens());
    let mut nohup = after_shell("trap '' HUP", &command);
    stays_ignored(SIGHUP, Process::start(&mut nohup));
}

#[test]
fn an_ignored_sigint_stays_ignored() {
    let command = command_for(|| listens());
    let mut background = after_shell("trap '' INT", &command);
    stays_ignored(SIGINT, Process::start(&mut background));
}
