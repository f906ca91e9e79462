//! User code that could block the watcher: the process must end all the same.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::fmt;
use std::io;
use std::process::Termination;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, unbounded};
use nix::sys::signal::Signal::SIGTERM;
use quitter::{AddRoutineError, ExitReport, MainQuitter, QuitSource, Quitter};

use common::{Ended, Process, alone, hang};

const QUIT_TIMEOUT: Duration = Duration::from_millis(500);
/// Includes the second that stacks may take.
const SLACK: Duration = Duration::from_secs(3);

/// A message that calls this function when it is dropped.
struct Bad(fn());

impl Drop for Bad {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn stuck() -> Bad {
    Bad(|| hang())
}

/// A message whose `Debug` and `Display` hang.
struct Unshowable;

impl fmt::Debug for Unshowable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        hang()
    }
}

impl fmt::Display for Unshowable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        hang()
    }
}

/// Waits for a line, and asserts that the process ends within its bound after that.
#[track_caller]
fn ended_in_time_after(line: &str, mut program: Process) -> Ended {
    program.wait_for(line);
    let from = Instant::now();
    let ended = program.end();
    let took = from.elapsed();
    println!("{} ms after {line:?}", took.as_millis());
    assert!(took < QUIT_TIMEOUT + SLACK, "{took:?}\n{}", ended.stderr);
    ended
}

/// A program whose body hangs after the quit event, so that only the watcher can end it.
fn hangs_when<F>(source: QuitSource, event: F) -> ExitReport
where
    F: FnOnce(),
{
    let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
    builder.sources([source]).run(|_| -> () {
        event();
        eprintln!("event");
        hang();
    })
}

#[test]
fn a_drop_that_hangs_of_a_message_left_in_the_channel_does_not_hold_up_the_quit() {
    let story = || {
        let (sender, receiver) = unbounded();
        let source = QuitSource::channel_with("two messages", receiver, |_| "shown".into());
        hangs_when(source, || {
            // The first message is the event; the second one is dropped with the receiver.
            sender.send(stuck()).unwrap();
            sender.send(stuck()).unwrap();
        })
    };
    ended_in_time_after("event", alone(story))
        .with_code(1)
        .saying(&["Received quit from 'two messages'", "Failed to quit: "]);
}

#[test]
fn a_drop_that_panics_of_a_message_left_in_the_channel_does_not_hold_up_the_quit() {
    let story = || {
        let (sender, receiver) = unbounded();
        let source = QuitSource::channel_with("two messages", receiver, |_| "shown".into());
        hangs_when(source, || {
            sender.send(Bad(|| panic!("in drop"))).unwrap();
            sender.send(Bad(|| panic!("in drop"))).unwrap();
        })
    };
    ended_in_time_after("event", alone(story))
        .with_code(1)
        .saying(&["Received quit from 'two messages'", "Failed to quit: "]);
}

/// Keeps a sender for as long as the program lives, so that the channel never closes.
fn kept<T>((sender, receiver): (Sender<T>, Receiver<T>)) -> (Sender<T>, Receiver<T>) {
    std::mem::forget(sender.clone());
    (sender, receiver)
}

#[test]
fn a_message_that_comes_while_the_program_exits_and_hangs_when_dropped_does_not_hold_up_the_end() {
    let story = || -> ExitReport {
        let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
        let (sender, receiver) = kept(unbounded());
        let source = QuitSource::channel_with("full of them", receiver, |_| "shown".into());
        let main = builder.sources([source]).force_exit(true).build();
        main.send_quit();
        for _ in 0..8 {
            sender.send(stuck()).unwrap();
        }
        let _report = main.exit();
        eprintln!("exited");
        hang()
    };
    ended_in_time_after("exited", alone(story))
        .with_code(1)
        .saying(&["Ended by force: main has its exit report, but has not returned it"]);
}

/// As a thread-local destructor or an exit handler that hangs would.
#[test]
fn a_program_that_hangs_once_main_has_returned_says_so_below_its_outcome() {
    let story = || {
        let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
        let main = builder.force_exit(true).build();
        main.send_quit();
        let _code = main.exit().report();
        eprintln!("main has returned its report");
        hang()
    };
    let ended = ended_in_time_after("main has returned its report", alone(story)).with_code(1);
    let ended = ended.saying(&[
        "Quit: all routines returned",
        "Ended by force: main has returned, but the process does not end",
    ]);
    assert_eq!(ended.count("Quit: all"), 1, "{}", ended.stderr);
    assert_eq!(ended.count("Killing"), 0, "{}", ended.stderr);
}

/// The program has its own `main`, which hangs before it calls `exit`.
#[test]
fn a_program_that_does_not_come_to_its_exit_is_not_said_to_have_ended_well() {
    let story = || -> ExitReport {
        let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
        let main = builder.force_exit(true).build();
        main.send_quit();
        eprintln!("hangs");
        hang()
    };
    let ended = ended_in_time_after("hangs", alone(story)).with_code(1);
    assert_eq!(ended.count("all routines returned"), 0, "{}", ended.stderr);
    let ended = ended.saying(&[
        "Received quit from send_quit",
        "Failed to quit: main had not come to its exit after 0.",
        "Ended by force: main has not come to its exit",
    ]);
    if cfg!(target_os = "linux") {
        ended.saying(&["; the main thread is blocked in"]);
    }
}

/// A source whose messages hang in `Display`, and its sender.
fn unshowable(name: String) -> (Sender<Unshowable>, QuitSource) {
    let (sender, receiver) = kept(bounded(1));
    let source = QuitSource::channel_with(name, receiver, |message| format!("{message:?}"));
    (sender, source)
}

#[test]
fn a_hundred_messages_that_hang_when_shown_do_not_hold_up_the_end() {
    let story = || {
        let sources = (0..100).map(|i| unshowable(format!("source {i}")));
        let (senders, sources): (Vec<_>, Vec<_>) = sources.unzip();
        let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
        builder.sources(sources).run(|_| -> () {
            eprintln!("event");
            for sender in senders {
                sender.send(Unshowable).unwrap();
            }
            hang();
        })
    };
    ended_in_time_after("event", alone(story)).with_code(1);
}

#[test]
fn a_hundred_messages_that_hang_when_shown_do_not_hold_up_a_second_signal() {
    let story = || {
        let sources = (0..100).map(|i| unshowable(format!("source {i}")));
        let (senders, sources): (Vec<_>, Vec<_>) = sources.unzip();
        let builder = MainQuitter::builder().timeout(Duration::MAX);
        let builder = builder.sources(sources).source(QuitSource::os_signal());
        builder.run(|_| -> () {
            eprintln!("event");
            for sender in senders {
                sender.send(Unshowable).unwrap();
            }
            hang();
        })
    };
    let mut program = alone(story);
    program.wait_for("event");
    let from = Instant::now();
    // The first of the two signals counts as the first signal, whatever made the program quit.
    program.send(SIGTERM);
    program.wait_for("Received quit from");
    program.send_later(SIGTERM);
    program.end().with_code(130);
    let took = from.elapsed();
    assert!(took < SLACK, "{took:?}");
}

#[test]
fn a_message_that_hangs_in_debug_does_not_hold_up_the_quit() {
    let story = || {
        let (sender, source) = unshowable("debug".into());
        hangs_when(source, || sender.send(Unshowable).unwrap())
    };
    let ended = ended_in_time_after("event", alone(story)).with_code(1);
    assert_eq!(ended.count("Received quit from 'debug'\n"), 1);
}

#[test]
fn an_error_that_hangs_in_display_does_not_hold_up_the_quit() {
    #[derive(Debug)]
    struct Hangs;
    impl fmt::Display for Hangs {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            hang()
        }
    }
    impl std::error::Error for Hangs {}

    let story = || {
        let (sender, receiver) = kept(bounded(1));
        hangs_when(QuitSource::channel("error", receiver), || {
            sender.send(io::Error::other(Hangs)).unwrap();
        })
    };
    let ended = ended_in_time_after("event", alone(story)).with_code(1);
    assert_eq!(ended.count("Received quit from 'error'\n"), 1);
}

#[test]
fn a_flood_of_messages_does_not_hold_up_the_end() {
    let story = || {
        let (sender, receiver) = unbounded();
        let (other, silence) = (sender.clone(), never::<()>());
        let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
        let flooded = QuitSource::channel("flooded", receiver.clone());
        let silence = QuitSource::channel("silence", silence);
        builder.sources([flooded, silence]).run(|_| -> () {
            thread::spawn(move || while other.send("more").is_ok() {});
            thread::spawn(move || for _ in receiver {});
            eprintln!("event");
            hang();
        })
    };
    ended_in_time_after("event", alone(story)).with_code(1);
}

#[test]
fn hundred_threads_that_take_turns_with_the_lock_of_stderr_do_not_hold_up_the_end() {
    let story = || {
        let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
        builder.source(QuitSource::os_signal()).run(|main| {
            for _ in 0..100 {
                main.routine("locks").add(|_| -> ! {
                    loop {
                        drop(io::stderr().lock());
                    }
                })?;
            }
            main.send_quit();
            Ok::<_, AddRoutineError>(())
        })
    };
    ended_in_time_after("Received quit", alone(story))
        .with_code(1)
        .saying(&["Failed to quit: 100 routines had not returned after 0.5 s"]);
}

/// Long enough for several progress lines.
const TIME_TO_LOOK: Duration = Duration::from_millis(2_500);

#[test]
fn half_a_million_quitters_do_not_hold_up_the_end() {
    let story = || {
        let builder = MainQuitter::builder().timeout(TIME_TO_LOOK);
        builder.source(QuitSource::os_signal()).run(|main| -> () {
            let children = (0..500_000).map(|_| main.child("child").unwrap());
            let _children: Vec<_> = children.collect();
            let _guard = main.guard("deaf").unwrap();
            eprintln!("listening");
            hang();
        })
    };
    let mut program = alone(story);
    program.wait_for("listening");
    program.send(SIGTERM);
    program.wait_for("Received quit");
    let from = Instant::now();
    let ended = program.end().with_code(1);
    let took = from.elapsed();
    println!("{} ms after the quit event", took.as_millis());
    assert!(took < TIME_TO_LOOK + SLACK, "{took:?}");
    ended.saying(&["Failed to quit: 2 routines", "deaf"]);
}

#[test]
fn routines_that_wait_for_each_other_do_not_hold_up_the_end() {
    let story = || {
        let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
        builder.source(QuitSource::os_signal()).run(|main| {
            for _ in 0..20 {
                let root = (**main).clone();
                let waits = main.routine("waits");
                waits.add(move |_| drop(root.wait_done(Duration::MAX)))?;
            }
            main.send_quit();
            Ok::<_, AddRoutineError>(())
        })
    };
    // The routines need not be listed, since all waits end at the deadline.
    ended_in_time_after("Received quit", alone(story));
}

#[test]
fn a_quit_and_wait_for_ever_in_the_body_does_not_hold_up_the_end() {
    let story = || {
        let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
        builder.source(QuitSource::os_signal()).run(|main| {
            main.routine("deaf").add(|_| hang())?;
            let _ = main.quit_and_wait(Duration::MAX);
            Ok::<_, AddRoutineError>(())
        })
    };
    ended_in_time_after("Received quit from send_quit at", alone(story))
        .with_code(1)
        .saying(&["Failed to quit: ", "deaf"]);
}

#[test]
fn a_main_quitter_that_is_dropped_ends_the_program_too_when_its_exit_is_forced() {
    let story = || -> ExitReport {
        let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
        let source = QuitSource::channel("silence", never::<()>());
        let main = builder.sources([source]).force_exit(true).build();
        main.routine("deaf").add(|_| hang()).unwrap();
        drop(main);
        hang()
    };
    ended_in_time_after("Received quit from the main quitter", alone(story))
        .with_code(1)
        .saying(&["Failed to quit: 1 routine had not returned", "deaf"]);
}

#[test]
fn a_main_quitter_that_is_leaked_ends_the_program_too_when_its_exit_is_forced() {
    let story = || -> ExitReport {
        let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
        let main = builder.source(QuitSource::os_signal()).force_exit(true);
        let main = std::mem::ManuallyDrop::new(main.build());
        main.routine("deaf").add(|_| hang()).unwrap();
        eprintln!("listening");
        hang()
    };
    let mut program = alone(story);
    program.wait_for("listening");
    program.send(SIGTERM);
    ended_in_time_after("Received quit", program)
        .with_code(1)
        .saying(&["Failed to quit: 1 routine had not returned", "deaf"]);
}

#[test]
fn the_report_of_a_forced_end_is_said_once() {
    let story = || -> ExitReport {
        let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT);
        let report = builder.source(QuitSource::os_signal()).run(|main| {
            main.routine("deaf").add(|_| hang())?;
            main.send_quit();
            Ok::<_, AddRoutineError>(())
        });
        // Hangs between making the report and printing it, as a value of `main` may do when dropped.
        eprintln!("exited with {}", report.exit_code);
        hang()
    };
    let ended = ended_in_time_after("Received quit", alone(story)).with_code(1);
    assert_eq!(ended.count("Failed to quit: 1 routine"), 1, "{ended:?}");
}

/// The routines keep the tree's locks contended. The report names what could be read in time, and the event
/// and the outcome are never lost.
#[test]
fn routines_that_hammer_the_tree_do_not_cost_the_forced_end_its_words() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::from_millis(100));
        builder.source(QuitSource::os_signal()).run(|main| -> () {
            let aside = Quitter::root("aside");
            for _ in 0..64 {
                let (own, aside) = (main.child("own").unwrap(), aside.clone());
                let hammers = main.routine("hammers").stack_size(64 * 1024);
                let started = hammers.add(move |q| {
                    loop {
                        // These calls are refused after the quit, which is part of the hammering.
                        drop(own.guard("guard"));
                        drop(q.child("child"));
                        drop(aside.guard("guard"));
                        let _ = own.wait_done(Duration::ZERO);
                    }
                });
                started.unwrap();
            }
            eprintln!("listening");
            hang();
        })
    };
    for _ in 0..20 {
        let mut program = alone(story);
        program.wait_for("listening");
        program.send(SIGTERM);
        let ended = program
            .end()
            .with_code(1)
            .saying(&["Received quit from", "Failed to quit: "]);
        assert_eq!(ended.count("Received quit from"), 1);
        assert_eq!(ended.count("Failed to quit: "), 1);
    }
}
