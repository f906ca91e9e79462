//! Signals that others use, too: ignored at the start, handled by the application, before and after the
//! main quitter, and in the first process of a container.

#![cfg(unix)]
#![expect(
    clippy::redundant_closure,
    reason = "a closure's type has the name of its test"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::never;
use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGTERM};
use nix::sys::signal::{kill, raise};
use quitter::{AddRoutineError, ExitReport, MainQuitter, QuitSource, SecondSignal};
use signal_hook::{consts, flag, low_level};

use common::{Ended, PATIENCE, Process, after_shell, alone, command_for, hang, pid_in, says};

/// A program that listens for signals, prints that it does, and exits.
fn listens() -> ExitReport {
    let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
    main.add_routine(|q| q.wait_quit()).unwrap();
    says("listening");
    main.exit()
}

#[track_caller]
fn quit_by(signal: Signal, ended: Ended) -> Ended {
    let event = format!("Received quit from 'OS interrupt/termination signal': {signal}\n");
    ended.saying(&[&event, "Quit: all routines returned"])
}

// ── ignored at the start ──────────────────────────────────────────────────────────────────────

#[test]
fn under_nohup_sighup_stays_ignored_and_sigterm_works() {
    let command = command_for(|| listens());
    let mut nohup = wrapped(&["nohup"], &command);
    let mut program = Process::start(&mut nohup);
    program.wait_for("listening");
    program.send(SIGHUP);
    program.send(SIGTERM);
    quit_by(SIGTERM, program.end().with_code(0));
}

#[test]
fn under_nohup_sigint_works() {
    let command = command_for(|| listens());
    let mut nohup = wrapped(&["nohup"], &command);
    let mut program = Process::start(&mut nohup);
    program.wait_for("listening");
    program.send(SIGHUP);
    program.send(SIGINT);
    quit_by(SIGINT, program.end().with_code(0));
}

/// Makes a command, with its environment, the arguments of another one.
fn wrapped(words: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(words[0]);
    wrapped.args(&words[1..]);
    wrapped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            wrapped.env(name, value);
        }
    }
    wrapped
}

/// Runs the program as a background job of a non-interactive shell, where SIGINT is ignored.
const AS_A_JOB: &str = "\"$0\" \"$@\" & wait $!; echo \"the job ended with $?\"";

#[test]
fn in_a_job_of_a_script_sigint_stays_ignored_and_sigterm_works() {
    let command = command_for(|| listens());
    let mut shell = Process::start(&mut wrapped(&["sh", "-c", AS_A_JOB], &command));
    let job = pid_in(&shell.wait_for("listening"));
    kill(job, SIGINT).unwrap();
    kill(job, SIGTERM).unwrap();
    let ended = quit_by(SIGTERM, shell.end().with_code(0));
    assert!(ended.stdout.contains("the job ended with 0"), "{ended:?}");
}

#[test]
fn in_a_job_of_a_script_sighup_works() {
    let command = command_for(|| listens());
    let mut shell = Process::start(&mut wrapped(&["sh", "-c", AS_A_JOB], &command));
    let job = pid_in(&shell.wait_for("listening"));
    kill(job, SIGINT).unwrap();
    kill(job, SIGHUP).unwrap();
    let ended = quit_by(SIGHUP, shell.end().with_code(0));
    assert!(ended.stdout.contains("the job ended with 0"), "{ended:?}");
}

#[test]
fn an_ignored_signal_is_no_second_signal() {
    let story = || {
        let main = MainQuitter::builder().timeout(Duration::from_millis(300));
        let main = main.source(QuitSource::os_signal());
        let main = main.second_signal(SecondSignal::ExitAtOnce).build();
        main.add_routine(|q| {
            q.wait_quit();
            raise(SIGHUP).unwrap();
            hang();
        })
        .unwrap();
        says("listening");
        main.exit()
    };
    let mut nohup = after_shell("trap '' HUP", &command_for(story));
    let mut program = Process::start(&mut nohup);
    program.wait_for("listening");
    program.send(SIGTERM);
    let ended = program.end().with_code(1);
    assert_eq!(ended.count("ending now"), 0, "{}", ended.stderr);
}

#[test]
fn all_signals_ignored_is_no_error() {
    let story = || {
        let sources = [QuitSource::os_signal(), QuitSource::all_done()];
        let main = MainQuitter::new(PATIENCE, sources);
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            nix::sys::signal::raise(signal).unwrap();
        }
        main.exit()
    };
    let mut program = after_shell("trap '' HUP INT TERM", &command_for(story));
    let ended = Process::start(&mut program).end().with_code(0);
    ended.saying(&["Received quit from 'all routines done'"]);
}

// ── the application's handlers ─────────────────────────────────────────────────────────────

/// Waits until a signal handler, which runs at about the same time as quitter's, has set a flag.
fn is_set(flag: &AtomicBool) -> bool {
    let until = Instant::now() + PATIENCE;
    while !flag.load(Ordering::SeqCst) && Instant::now() < until {
        thread::yield_now();
    }
    flag.load(Ordering::SeqCst)
}

/// Exits, and prints whether the flag was set by then.
fn exit_and_say(main: MainQuitter, flag: &AtomicBool) -> ExitReport {
    says("listening");
    let report = main.exit();
    println!("the other handler was called: {}", is_set(flag));
    report
}

#[track_caller]
fn both_are_called(mut program: Process, signal: Signal) {
    program.wait_for("listening");
    program.send(signal);
    let ended = quit_by(signal, program.end().with_code(0));
    let called = "the other handler was called: true";
    assert!(ended.stdout.contains(called), "{ended:?}");
}

#[test]
fn a_flag_of_signal_hook_set_before_ours_is_still_set() {
    let story = || {
        let called = Arc::new(AtomicBool::new(false));
        flag::register(consts::SIGTERM, Arc::clone(&called)).unwrap();
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        exit_and_say(main, &called)
    };
    both_are_called(alone(story), SIGTERM);
}

#[test]
fn a_flag_of_signal_hook_set_after_ours_is_set_too() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        let called = Arc::new(AtomicBool::new(false));
        flag::register(consts::SIGINT, Arc::clone(&called)).unwrap();
        exit_and_say(main, &called)
    };
    both_are_called(alone(story), SIGINT);
}

#[test]
fn a_flag_of_signal_hook_that_is_taken_back_leaves_ours() {
    let story = || {
        let called = Arc::new(AtomicBool::new(false));
        let before = flag::register(consts::SIGTERM, Arc::clone(&called)).unwrap();
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        let after = flag::register(consts::SIGTERM, Arc::clone(&called)).unwrap();
        assert!(low_level::unregister(before) && low_level::unregister(after));
        main.add_routine(|q| q.wait_quit()).unwrap();
        says("listening");
        main.exit()
    };
    let mut program = alone(story);
    program.wait_for("listening");
    program.send(SIGTERM);
    quit_by(SIGTERM, program.end().with_code(0));
}

#[test]
fn an_end_that_the_application_wants_on_a_signal_comes_as_it_wants() {
    let story = || {
        let now = Arc::new(AtomicBool::new(true));
        flag::register_conditional_shutdown(consts::SIGTERM, 42, now).unwrap();
        listens()
    };
    alone(story).signal_at("listening", SIGTERM).with_code(42);
}

/// A handler set with `sigaction`, without a library that shares signals.
mod raw {
    #![allow(unsafe_code, reason = "what an application in C would do")]

    use std::ffi::c_int;
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

    pub(super) static CALLED: AtomicBool = AtomicBool::new(false);

    extern "C" fn handler(_: c_int) {
        CALLED.store(true, Ordering::SeqCst);
    }

    pub(super) fn handle(signal: Signal) {
        let handler = SigHandler::Handler(handler);
        let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler only stores to an atomic, which is async-signal-safe.
        unsafe { sigaction(signal, &action) }.unwrap();
    }
}

#[test]
fn a_handler_of_sigaction_set_before_ours_is_still_called() {
    let story = || {
        raw::handle(SIGHUP);
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        exit_and_say(main, &raw::CALLED)
    };
    both_are_called(alone(story), SIGHUP);
}

#[test]
fn tokios_handler_set_before_ours_is_still_called() {
    let story = || {
        let called = Arc::new(AtomicBool::new(false));
        tokio_sets(&called);
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        exit_and_say(main, &called)
    };
    both_are_called(alone(story), SIGTERM);
}

#[test]
fn tokios_handler_set_after_ours_is_called_too() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        let called = Arc::new(AtomicBool::new(false));
        tokio_sets(&called);
        exit_and_say(main, &called)
    };
    both_are_called(alone(story), SIGTERM);
}

/// Starts a tokio task that sets the flag when a SIGTERM comes. Returns once tokio listens.
fn tokio_sets(called: &Arc<AtomicBool>) {
    use tokio::signal::unix::{SignalKind, signal};

    let called = Arc::clone(called);
    let (tell, told) = crossbeam_channel::bounded(1);
    thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let mut signals = signal(SignalKind::terminate()).unwrap();
            tell.send(()).unwrap();
            signals.recv().await;
            called.store(true, Ordering::SeqCst);
        });
    });
    told.recv_timeout(PATIENCE).unwrap();
}

// ── before and after ──────────────────────────────────────────────────────────────────────────

#[test]
fn a_signal_before_the_main_quitter_has_its_default_effect() {
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        let story = || -> ExitReport {
            says("no main quitter yet");
            hang()
        };
        let mut program = alone(story);
        program.wait_for("no main quitter yet");
        program.send(signal);
        program.end().with_signal(signal);
    }
}

#[test]
fn a_signal_after_a_main_quitter_that_failed_has_its_default_effect() {
    let story = || -> ExitReport {
        assert!(MainQuitter::try_new(PATIENCE, []).is_err());
        says("no main quitter");
        hang()
    };
    alone(story)
        .signal_at("no main quitter", SIGTERM)
        .with_signal(SIGTERM);
}

#[test]
fn a_signal_after_exit_has_returned_ends_the_process_with_130() {
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        let story = || -> ExitReport {
            let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
            main.send_quit();
            let _report = main.exit();
            says("exited");
            hang()
        };
        let mut program = alone(story);
        program.wait_for("exited");
        program.send(signal);
        program.end().with_code(130);
    }
}

#[test]
fn a_signal_after_a_forced_exit_has_returned_ends_the_process_with_130() {
    let story = || -> ExitReport {
        let builder = MainQuitter::builder().timeout(Duration::from_secs(3600));
        let main = builder.source(QuitSource::os_signal()).force_exit(true);
        let main = main.build();
        main.send_quit();
        let _report = main.exit();
        says("exited");
        hang()
    };
    alone(story).signal_at("exited", SIGTERM).with_code(130);
}

#[test]
fn one_signal_after_a_drop_ends_the_process_with_130() {
    let story = || -> ExitReport {
        drop(MainQuitter::new(PATIENCE, [QuitSource::os_signal()]));
        says("without a main quitter");
        hang()
    };
    alone(story)
        .signal_at("without a main quitter", SIGTERM)
        .with_code(130);
}

#[test]
fn one_signal_after_a_drop_ends_a_process_whose_exit_is_forced_with_130() {
    let story = || -> ExitReport {
        let builder = MainQuitter::builder().timeout(Duration::from_secs(3600));
        let main = builder.source(QuitSource::os_signal()).force_exit(true);
        drop(main.build());
        says("without a main quitter");
        hang()
    };
    alone(story)
        .signal_at("without a main quitter", SIGINT)
        .with_code(130);
}

#[test]
fn without_the_source_a_signal_while_quitting_has_its_default_effect() {
    let story = || {
        let silence = QuitSource::channel("silence", never::<()>());
        let builder = MainQuitter::builder().signals(false);
        builder.source(silence).run(|main| {
            main.routine("deaf").add(|_| hang())?;
            main.send_quit();
            Ok::<_, AddRoutineError>(())
        })
    };
    alone(story)
        .signal_at("Received quit from send_quit", SIGTERM)
        .with_signal(SIGTERM);
}

/// The first process of a container: process 1 of a PID namespace.
#[cfg(target_os = "linux")]
mod first_process {
    use std::{fs, io};

    use nix::unistd::Pid;

    use super::*;

    const UNSHARE: &[&str] = &["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

    /// Whether this machine allows a new PID namespace. Prints that the test is skipped if not.
    fn may_unshare() -> bool {
        let (program, args) = UNSHARE.split_first().unwrap();
        let tried = Command::new(program).args(args).arg("true").output();
        let allowed = tried.as_ref().is_ok_and(|output| output.status.success());
        if !allowed {
            // Bypasses the test harness's capture, so that the text is seen.
            let text = format!("SKIPPED: {UNSHARE:?} is not allowed here: {tried:?}\n");
            let _ = io::Write::write_all(&mut io::stderr(), text.as_bytes());
        }
        allowed
    }

    /// The child of a process.
    fn child_of(pid: Pid) -> Pid {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        Pid::from_raw(children.trim().parse().unwrap())
    }

    /// Starts a program as the first process of a namespace. Returns its id as seen from outside, too.
    fn as_first(command: &Command) -> (Process, Pid) {
        // The shell prints its id, then becomes unshare.
        let mut shell = vec![
            "sh",
            "-c",
            "echo \"unshare is process $$\"; exec \"$0\" \"$@\"",
        ];
        shell.extend(UNSHARE);
        let mut program = Process::start(&mut wrapped(&shell, command));
        let unshare = pid_in(&program.wait_for("unshare is process"));
        let line = program.wait_for("listening");
        assert!(line.ends_with(", process 1\n"), "{line}");
        (program, child_of(unshare))
    }

    /// Asserts that the first process receives a signal from outside and ends cleanly.
    fn works_as_first(command: &Command, signal: Signal) {
        if may_unshare() {
            let (program, first) = as_first(command);
            kill(first, signal).unwrap();
            quit_by(signal, program.end().with_code(0));
        }
    }

    #[test]
    fn as_the_first_process_sigterm_works() {
        works_as_first(&command_for(|| listens()), SIGTERM);
    }

    #[test]
    fn as_the_first_process_sigint_works() {
        works_as_first(&command_for(|| listens()), SIGINT);
    }

    #[test]
    fn as_the_first_process_a_second_signal_ends_it() {
        let story = || {
            let main = MainQuitter::new(Duration::MAX, [QuitSource::os_signal()]);
            main.routine("deaf").add(|_| hang()).unwrap();
            says("listening");
            main.exit()
        };
        let command = command_for(story);
        if may_unshare() {
            let (mut program, first) = as_first(&command);
            kill(first, SIGTERM).unwrap();
            program.wait_for("Received quit from");
            // An earlier signal would count as the second of a pair.
            thread::sleep(Duration::from_millis(550));
            kill(first, SIGTERM).unwrap();
            program.end().with_code(130);
        }
    }

    #[test]
    fn as_the_first_process_it_is_ended_by_force() {
        let story = || {
            let builder = MainQuitter::builder().timeout(Duration::from_millis(500));
            builder.source(QuitSource::os_signal()).run(|_| -> () {
                says("listening");
                hang()
            })
        };
        let command = command_for(story);
        if may_unshare() {
            let (program, first) = as_first(&command);
            kill(first, SIGTERM).unwrap();
            program
                .end()
                .with_code(1)
                .saying(&["Failed to quit: 1 routine", "main  running"]);
        }
    }
}

mod forks {
    #![allow(unsafe_code, reason = "what a daemon does")]

    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    /// Forks without an exec, runs `child` there, and returns how the child ended.
    pub(super) fn end_of(child: impl FnOnce() -> i32) -> WaitStatus {
        // SAFETY: in these tests, the child uses no lock that another thread may have held.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => signal_hook::low_level::exit(child()),
            ForkResult::Parent { child } => waitpid(child, None).unwrap(),
        }
    }
}

#[test]
fn a_fork_without_an_exec_is_ended_by_a_signal_as_if_nobody_listened() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        main.add_routine(|q| q.wait_quit()).unwrap();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let end = forks::end_of(|| {
                let _ = raise(signal);
                7
            });
            assert!(
                matches!(end, nix::sys::wait::WaitStatus::Signaled(_, by, _) if by == signal),
                "{end:?}"
            );
        }
        assert!(!main.has_to_quit());
        main.send_quit();
        main.exit()
    };
    alone(story).end().with_code(0);
}

#[test]
fn an_exit_in_a_fork_without_an_exec_blames_no_routine_and_says_why() {
    let story = || {
        let mut main = Some(MainQuitter::new(PATIENCE, [QuitSource::os_signal()]));
        main.as_ref()
            .unwrap()
            .routine("of the parent")
            .add(|q| q.wait_quit())
            .unwrap();
        let end = forks::end_of(|| {
            let report = main.take().unwrap().exit();
            let code = report.exit_code.into();
            eprintln!("{report}");
            code
        });
        assert!(
            matches!(end, nix::sys::wait::WaitStatus::Exited(_, 1)),
            "{end:?}"
        );
        let main = main.unwrap();
        main.send_quit();
        main.exit()
    };
    let ended = alone(story).end().with_code(0).saying(&[
        "this process was forked from the one with the main quitter",
        "Quit: all routines returned",
    ]);
    assert_eq!(ended.count("of the parent"), 0, "{ended:?}");
}
