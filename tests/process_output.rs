//! The program controls quitter's output: quiet, silent, passed to a function, or held back from a terminal.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;
#[path = "common/stories.rs"]
mod stories;

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::{ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal::SIGTERM;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use quitter::{
    End, ExitReport, FailuresWhileQuitting, HoldOutput, MainQuitter, MainQuitterBuilder, Notice,
    Output, QuitSource, RoutineQuitter, SecondSignal,
};

use common::waits::until_all_others_sleep;
use common::{PATIENCE, Process, alone, command_for, hang};
use stories::{forced, stuck};

/// A builder for a program that hangs.
fn impatient() -> MainQuitterBuilder {
    builder().timeout(Duration::from_millis(300))
}

/// A builder for a program that ends as it should, with time to spare on a busy machine.
fn builder() -> MainQuitterBuilder {
    let builder = MainQuitter::builder().timeout(PATIENCE);
    builder.source(QuitSource::all_done())
}

/// A program that ends as it should.
fn clean(builder: MainQuitterBuilder) -> ExitReport {
    builder.run(|_| {})
}

fn to_stdout(notice: &Notice) {
    println!("notice: {notice}");
}

// ── how much ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_quiet_program_that_ends_as_it_should_says_nothing() {
    let ended = alone(|| clean(builder().output(Output::Quiet)));
    let ended = ended.end().with_code(0);
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_quiet_program_says_problems_below_the_event() {
    let ended = alone(|| stuck(impatient().output(Output::Quiet)));
    let ended = ended.end().with_code(1);
    assert_eq!(ended.count("Received quit from"), 1);
    ended.saying(&["Received quit from send_quit", "Failed to quit: 1 routine"]);
}

#[test]
fn a_silent_program_says_nothing_even_when_ended_by_force() {
    let ended = alone(|| forced(impatient().output(Output::Silent)));
    let ended = ended.end().with_code(1);
    assert_eq!(ended.stderr, "");
}

// ── to a function ─────────────────────────────────────────────────────────────────────────────

#[test]
fn a_function_gets_each_notice_and_stderr_gets_none() {
    let ended = alone(|| clean(builder().notices(to_stdout)));
    let ended = ended.end().with_code(0);
    assert_eq!(ended.stderr, "");
    let said: Vec<_> = ended.stdout.matches("notice: ").collect();
    assert_eq!(said.len(), 2, "{}", ended.stdout);
    let event = "notice: Received quit from 'all routines done'\nnotice: Quit: all routines";
    assert!(ended.stdout.contains(event), "{}", ended.stdout);
}

#[test]
fn the_last_words_of_a_forced_end_go_to_stderr_when_the_function_hangs() {
    let from = Instant::now();
    let ended = alone(|| forced(impatient().notices(|_| hang())));
    ended
        .end()
        .with_code(1)
        .saying(&["Failed to quit: 1 routine", "main"]);
    assert!(from.elapsed() < PATIENCE / 2);
}

#[test]
fn the_outcome_goes_to_stderr_when_the_function_hangs() {
    let ended = alone(|| clean(builder().notices(|_| hang())));
    let ended = ended.end().with_code(0);
    assert_eq!(ended.count("Received quit from"), 0, "{}", ended.stderr);
    ended.saying(&["Quit: all routines returned"]);
}

#[test]
fn the_report_of_an_end_by_force_has_the_exit_code_of_a_failure() {
    let to_stdout = |notice: &Notice| {
        if let Notice::Outcome(report) = notice {
            println!("code {}", report.exit_code);
        }
    };
    let ended = alone(move || -> ExitReport {
        let builder = impatient().force_exit(true).notices(to_stdout);
        let main = builder.build();
        main.send_quit();
        hang()
    });
    let ended = ended.end().with_code(1);
    assert_eq!(ended.stdout.matches("code 1\n").count(), 1, "{ended:?}");
}

#[test]
fn the_last_words_go_to_stderr_when_the_function_panics() {
    let ended = alone(|| stuck(impatient().notices(|_| panic!("no log"))));
    ended
        .end()
        .with_code(1)
        .saying(&["Failed to quit: 1 routine"]);
}

#[test]
fn a_silent_program_stays_silent_when_its_function_hangs() {
    let ended = alone(|| stuck(impatient().output(Output::Silent).notices(|_| hang())));
    let ended = ended.end().with_code(1);
    assert_eq!(ended.stderr, "");
}

// ── terminals ─────────────────────────────────────────────────────────────────────────────────

#[test]
fn lines_are_held_until_the_body_has_returned() {
    let story = || {
        let builder = builder().hold_output(HoldOutput::UntilBodyReturns);
        builder.end(End::WithBody).run(|main| {
            println!("drawing");
            main.wait_quit();
            // The event is queued at the quit; by the time all threads sleep, it would have been written.
            until_all_others_sleep();
            eprintln!("drawn");
        })
    };
    let ended = alone(story).signal_at("drawing", SIGTERM).with_code(0);
    let begins = "drawn\nReceived quit from 'OS";
    assert!(ended.stderr.starts_with(begins), "{}", ended.stderr);
    ended.saying(&["SIGTERM\nQuit: all routines returned"]);
}

#[test]
fn lines_that_were_held_until_the_body_returned_do_not_wait_for_the_routines() {
    let story = || {
        let builder = builder().hold_output(HoldOutput::UntilBodyReturns);
        let builder = builder.second_signal(SecondSignal::ExitAtOnce);
        builder.run(|main| {
            main.routine("deaf").add(|_| hang()).unwrap();
            println!("drawing");
            main.wait_quit();
        })
    };
    let mut program = alone(story);
    program.wait_for("drawing");
    program.send(SIGTERM);
    program.wait_for("Received quit from");
    program.send(SIGTERM);
    program.end().with_code(130);
}

#[test]
fn the_terminal_is_restored_once_before_the_held_lines() {
    let story = || {
        let builder = builder().hold_output(HoldOutput::UntilReport);
        clean(builder.before_report(|| eprintln!("restored")))
    };
    let ended = alone(story).end().with_code(0);
    let begins = "restored\nReceived quit from 'all routines done'\nQuit: ";
    assert!(ended.stderr.starts_with(begins), "{}", ended.stderr);
    assert_eq!(ended.count("restored"), 1);
}

#[test]
fn the_terminal_is_restored_and_the_event_printed_if_main_passes_on_the_code_of_its_report() {
    let story = || {
        let report = clean(builder().before_report(|| eprintln!("restored")));
        ExitCode::from(report.exit_code)
    };
    let ended = alone(story).end().with_code(0);
    ended.saying(&["Received quit from 'all routines done'", "restored"]);
}

#[test]
fn the_terminal_is_restored_before_a_forced_end() {
    let story = || {
        let builder = impatient().hold_output(HoldOutput::UntilBodyReturns);
        forced(builder.before_report(|| eprintln!("restored")))
    };
    let ended = alone(story).end().with_code(1);
    assert!(
        ended
            .stderr
            .starts_with("restored\nReceived quit from send_quit")
    );
    assert_eq!(ended.count("restored"), 1);
    ended.saying(&["Failed to quit: 1 routine"]);
}

#[test]
fn the_terminal_is_restored_before_a_forced_end_when_stderr_is_not_read() {
    let story = || forced(impatient().before_report(|| println!("restored")));
    let (_reader, pipe) = io::pipe().unwrap();
    let mut filler = pipe.try_clone().unwrap();
    // This thread blocks when the pipe is full.
    thread::spawn(move || while filler.write(&[b'x'; 4096]).is_ok() {});
    let mut command = command_for(story);
    let mut program = Process::start_into(&mut command, Stdio::piped(), pipe);
    program.wait_for("restored");
    program.end().with_code(1);
}

const LATE_HOOK: &str =
    "before_report had not returned after 100 ms, and nothing waits for it any more\n";

#[test]
fn a_hook_that_hangs_holds_up_no_exit_and_is_mentioned_once() {
    let ended = alone(|| clean(builder().before_report(|| hang())));
    let ended = ended.end().with_code(0);
    assert_eq!(ended.count(LATE_HOOK), 1, "{}", ended.stderr);
    ended.saying(&[LATE_HOOK, "Quit: all routines returned"]);
}

#[test]
fn a_hook_that_hangs_is_mentioned_once_below_the_held_lines() {
    let story = || {
        let builder = builder().hold_output(HoldOutput::UntilReport);
        clean(builder.before_report(|| hang()))
    };
    let ended = alone(story).end().with_code(0);
    assert_eq!(ended.count(LATE_HOOK), 1, "{}", ended.stderr);
    let said = format!("Received quit from 'all routines done'\n{LATE_HOOK}Quit: all");
    assert!(ended.stderr.starts_with(&said), "{}", ended.stderr);
}

#[test]
fn a_hook_that_hangs_holds_up_no_forced_end_and_is_mentioned_above_the_last_words() {
    let story = || {
        let builder = impatient().hold_output(HoldOutput::UntilReport);
        forced(builder.before_report(|| hang()))
    };
    let ended = alone(story).end().with_code(1);
    assert_eq!(ended.count(LATE_HOOK), 1, "{}", ended.stderr);
    ended.saying(&[
        "Received quit from send_quit",
        LATE_HOOK,
        "Failed to quit: 1 routine",
    ]);
}

#[test]
fn a_quiet_program_mentions_a_hook_that_hangs() {
    let story = || clean(builder().output(Output::Quiet).before_report(|| hang()));
    let ended = alone(story).end().with_code(0);
    let said = format!("Received quit from 'all routines done'\n{LATE_HOOK}");
    assert_eq!(ended.stderr, said);
}

#[test]
fn a_silent_program_mentions_no_hook_that_hangs() {
    let story = || clean(builder().output(Output::Silent).before_report(|| hang()));
    let ended = alone(story).end().with_code(0);
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_function_for_notices_gets_a_hook_that_hangs_as_data() {
    let story = || {
        let tell = |notice: &Notice| {
            if let Notice::BeforeReportUnfinished { after } = notice {
                println!("{after:?}, trouble: {}", notice.is_trouble());
            }
        };
        clean(builder().notices(tell).before_report(|| hang()))
    };
    let ended = alone(story).end().with_code(0);
    assert!(
        ended.stdout.contains("100ms, trouble: true\n"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_hook_that_panics_changes_nothing() {
    let ended = alone(|| clean(builder().before_report(|| panic!("no terminal"))));
    ended
        .end()
        .with_code(0)
        .saying(&["Quit: all routines returned"]);
}

/// The output of a program whose stderr is a terminal of this size, and its exit code.
fn on_terminal(
    size: Option<Winsize>,
    is_raw: bool,
    story: impl Fn() -> ExitReport,
) -> (String, Option<i32>) {
    let pty = openpty(size.as_ref(), None).unwrap();
    let mut modes = tcgetattr(&pty.slave).unwrap();
    cfmakeraw(&mut modes);
    if is_raw {
        tcsetattr(&pty.slave, SetArg::TCSANOW, &modes).unwrap();
    }
    let mut command = command_for(story);
    let program = Process::start_into(&mut command, Stdio::piped(), pty.slave);
    drop(command);
    let code = program.end().code;
    let mut said = Vec::new();
    // A terminal ends with an error. The bytes read before that are kept.
    let _ = File::from(pty.master).read_to_end(&mut said);
    (String::from_utf8(said).unwrap(), code)
}

#[test]
fn in_raw_mode_lines_end_with_carriage_return_and_line_feed() {
    for is_raw in [true, false] {
        let (said, code) = on_terminal(None, is_raw, || clean(builder()));
        assert_eq!(code, Some(0));
        let event = "Received quit from 'all routines done'\r\n";
        let outcome = said.strip_prefix(event);
        let outcome = outcome.unwrap_or_else(|| panic!("raw: {is_raw}, {said:?}"));
        assert!(
            outcome.starts_with("Quit: all routines returned (")
                && outcome.ends_with(" s)\r\n")
                && outcome.matches('\n').count() == 1,
            "raw: {is_raw}, {said:?}"
        );
    }
}

/// Otherwise the terminal would break them amid words, and a text of the program could begin a row.
#[test]
fn the_lines_of_a_report_fit_the_terminal() {
    let story = || {
        impatient().progress_lines(false).run(|main| {
            main.routine("flusher").add(|q| {
                q.set_status("flushing page 3 of 10 to the disk that hangs");
                hang()
            })?;
            main.send_quit();
            Ok::<(), Box<dyn Error>>(())
        })
    };
    for columns in [60, 80, 200] {
        let size = Winsize {
            ws_row: 40,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let (said, code) = on_terminal(Some(size), false, story);
        assert_eq!(code, Some(1), "{said}");
        let longest = said.lines().map(|line| line.chars().count()).max();
        let fits = usize::from(columns).min(100);
        assert!((fits - 20..=fits).contains(&longest.unwrap()), "{said}");
        let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains("\"flushing page 3 of 10 to the disk that hangs\""),
            "{said}"
        );
    }
}

// ── nothing to shut down ──────────────────────────────────────────────────────────────────────

fn bad_usage(builder: MainQuitterBuilder) -> ExitReport {
    builder.run(|_| Err::<(), Box<dyn Error>>("unknown option --fast".into()))
}

#[test]
fn a_usage_error_is_one_line() {
    let ended = alone(|| bad_usage(builder())).end().with_code(1);
    assert_eq!(ended.stderr, "Error: unknown option --fast\n");
}

#[test]
fn a_usage_error_of_a_quiet_program_is_the_same_line() {
    let ended = alone(|| bad_usage(builder().output(Output::Quiet)));
    let ended = ended.end().with_code(1);
    assert_eq!(ended.stderr, "Error: unknown option --fast\n");
}

#[test]
fn an_exit_code_of_a_body_that_has_started_nothing_adds_no_line() {
    let story = || {
        builder().run(|_| {
            eprintln!("usage: tool FILE");
            ExitCode::from(2)
        })
    };
    let ended = alone(story).end().with_code(2);
    assert_eq!(ended.stderr, "usage: tool FILE\n");
}

#[test]
fn an_error_of_the_body_while_routines_are_live_is_a_shutdown() {
    let story = || {
        builder().run(|main| {
            main.add_routine(|q| q.wait_quit()).unwrap();
            Err::<(), Box<dyn Error>>("no port\nCaused by:\n  many lines".into())
        })
    };
    alone(story).end().with_code(1).saying(&[
        "Received quit from main, which failed: no port …\n",
        "1 routine failed:\n  routine 'main' of main failed: no port\n      Caused by:\n        many lines\n",
        "Quit: all routines returned (",
    ]);
}

#[test]
fn an_error_of_the_body_after_which_the_program_hangs_is_said_with_its_event() {
    struct Hangs;
    impl std::fmt::Debug for Hangs {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("no port")
        }
    }
    impl Drop for Hangs {
        fn drop(&mut self) {
            hang()
        }
    }
    let ended = alone(|| impatient().run(|_| Err::<(), _>(Hangs)));
    ended.end().with_code(1).saying(&[
        "Received quit from main, which failed: no port\n",
        "1 routine failed:\n",
        "Failed to quit: 1 routine",
    ]);
}

// ── consequences of the quit ──────────────────────────────────────────────────────────────────

/// A program in which both a routine and the body fail once they are told to quit.
fn consequences(builder: MainQuitterBuilder) -> ExitReport {
    builder.run(|main| {
        main.routine("sender").add(|q| {
            q.wait_quit();
            Err::<(), _>("the receiver is gone")
        })?;
        main.send_quit();
        Err::<(), Box<dyn Error>>("the channel is closed".into())
    })
}

#[test]
fn failures_while_quitting_count_by_default() {
    let ended = alone(|| consequences(builder())).end().with_code(1);
    assert_eq!(ended.count("(while quitting)"), 2);
}

#[test]
fn by_choice_failures_while_quitting_are_listed_and_the_exit_code_stays_0() {
    let list_only = FailuresWhileQuitting::ListOnly;
    let ended = alone(|| consequences(builder().failures_while_quitting(list_only)));
    let ended = ended.end().with_code(0);
    assert_eq!(ended.count("(while quitting)"), 2);
    ended.saying(&["2 routines failed:", "Quit: all routines returned"]);
}

#[test]
fn by_choice_a_failure_that_made_the_program_quit_counts() {
    let list_only = FailuresWhileQuitting::ListOnly;
    let story = || {
        let builder = builder().failures_while_quitting(list_only);
        builder.run(|main| main.add_routine(|_| Err::<(), _>("disk full")).map(drop))
    };
    alone(story).end().with_code(1).saying(&["disk full"]);
}

/// A program in which a routine of `child` fails once it is told to quit. Failures below "metrics" are only
/// listed.
fn consequences_at(child: &'static str) -> ExitReport {
    let main = builder().build();
    let metrics = main.child("metrics").unwrap();
    metrics.failures_while_quitting(FailuresWhileQuitting::ListOnly);
    let parent = if child == "sender" { &metrics } else { &main };
    let fails = |q: &RoutineQuitter| {
        q.wait_quit();
        Err::<(), _>("the receiver is gone")
    };
    parent.child(child).unwrap().add_routine(fails).unwrap();
    main.send_quit();
    main.exit()
}

#[test]
fn a_quitter_may_choose_that_failures_while_quitting_are_only_listed_here_and_below() {
    let ended = alone(|| consequences_at("sender")).end().with_code(0);
    assert_eq!(ended.count("the receiver is gone (while quitting)"), 1);
}

#[test]
fn that_a_quitter_only_lists_failures_while_quitting_changes_nothing_beside_it() {
    alone(|| consequences_at("store")).end().with_code(1);
}

#[test]
fn by_choice_thousands_of_failures_while_quitting_leave_the_exit_code_0() {
    let story = || {
        let list_only = FailuresWhileQuitting::ListOnly;
        let main = MainQuitter::builder().failures_while_quitting(list_only);
        let main = main.build();
        for _ in 0..1200 {
            let sender = main.routine("sender").stack_size(64 * 1024);
            let added = sender.add(|q| {
                q.wait_quit();
                Err::<(), _>("the receiver is gone")
            });
            added.unwrap();
        }
        main.send_quit();
        main.exit()
    };
    alone(story)
        .end()
        .with_code(0)
        .saying(&["1200 routines failed"]);
}
