//! Whole programs with child processes: however the program ends, none is left.

#![cfg(all(unix, feature = "process"))]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGINT, SIGTERM};
use quitter::{ExitReport, MainQuitter, ProcessFailure, QuitSource, Quitter};

use common::{Ended, PATIENCE, Process, alone};

/// Longer than a test that ends at once takes.
const LONG: Duration = Duration::from_secs(3600);

/// Three processes for each of these scripts, which print their numbers: one that stops when it is
/// asked, one that does not, with a child that does not either, and one in a group of others.
const CHILDREN: [&str; 3] = [
    "echo pid $$; exec sleep 1000",
    "trap '' TERM; echo pid $$; sleep 1000 & echo pid $!; while :; do sleep 1000; done",
    "(trap '' TERM; sleep 1000 & echo pid $!; wait) & trap '' TERM; echo pid $$; sleep 1000; wait",
];

/// How many numbers they print.
const PIDS: usize = 5;

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    command
}

/// Adds the children, and says so when they have printed their numbers.
fn add_children(root: &Quitter) {
    for script in CHILDREN {
        let builder = root.routine("child").failure_on(ProcessFailure::Never);
        builder.process(sh(script)).unwrap();
    }
}

fn hang() -> ! {
    loop {
        thread::park();
    }
}

/// A program whose children have said their numbers.
struct Parent {
    process: Process,
    pids: Vec<u32>,
}

fn with_children(mut process: Process) -> Parent {
    let number = |line: String| line.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let pids = (0..PIDS)
        .map(|_| number(process.wait_for("pid ")))
        .collect();
    Parent { process, pids }
}

impl Parent {
    /// Waits for the end of the program, and then of all children, which must follow at once.
    #[track_caller]
    fn ends_with_all(self, code: i32) -> Ended {
        let ended = self.process.end().with_code(code);
        let until = Instant::now() + Duration::from_secs(2);
        for pid in self.pids {
            while lives(pid) {
                assert!(Instant::now() < until, "{pid} is left\n{}", ended.stderr);
                thread::sleep(Duration::from_millis(1));
            }
        }
        ended
    }
}

/// Whether a process lives. Where nobody reaps orphans, they stay as zombies.
fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

#[test]
fn none_is_left_after_a_normal_quit() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
        add_children(&main);
        main.exit()
    };
    let parent = with_children(alone(story));
    parent.process.send(SIGTERM);
    parent
        .ends_with_all(0)
        .saying(&["Quit: all routines returned (1.5 s)"]);
}

#[test]
fn none_is_left_after_a_second_signal() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(LONG, [QuitSource::os_signal()]);
        add_children(&main);
        main.exit()
    };
    let mut parent = with_children(alone(story));
    parent.process.send(SIGINT);
    parent.process.wait_for("Received quit");
    parent.process.send_later(SIGINT);
    let ended = parent.ends_with_all(130);
    // What was live then is named.
    ended.saying(&["Failed to quit: 2 routines", "child", "pid "]);
}

#[test]
fn none_is_left_after_an_end_by_force() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::from_secs(1));
        builder.run(|main| -> () {
            // Not killed before the deadline: the end by force has to.
            for script in CHILDREN {
                let builder = main.routine("child").kill_before_deadline(Duration::ZERO);
                let builder = builder.failure_on(ProcessFailure::Never);
                builder.process(sh(script)).unwrap();
            }
            hang()
        })
    };
    let parent = with_children(alone(story));
    parent.process.send(SIGTERM);
    parent.ends_with_all(1).saying(&["Failed to quit: "]);
}

#[test]
fn none_is_left_that_was_added_while_a_stuck_program_is_ended_by_force() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::from_millis(100));
        builder.run(|main| -> () {
            add_children(main);
            // A tree that nobody tells to quit.
            let root = Quitter::root("library");
            for _ in 0..4 {
                let root = root.clone();
                thread::spawn(move || {
                    while root.add_process(sh("exec sleep 1000")).is_ok() {
                        thread::sleep(Duration::from_millis(2));
                    }
                });
            }
            hang()
        })
    };
    let mark = |pid: u32| fs::read(format!("/proc/{pid}/stat")).ok();
    let parent = with_children(alone(story));
    let first = parent.pids[0];
    assert!(mark(first).is_some());
    let session = session_of(first);
    parent.process.send(SIGTERM);
    parent.ends_with_all(1);
    let until = Instant::now() + Duration::from_secs(2);
    while let Some(left) = sleeper_of(session, first) {
        assert!(Instant::now() < until, "{left} is left");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The session of a process.
fn session_of(pid: u32) -> u32 {
    field(pid, 3).unwrap()
}

fn field(pid: u32, at: usize) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(at)?.parse().ok()
}

/// A `sleep 1000` that was started after a process of the same session, and leads a group.
fn sleeper_of(session: u32, after: u32) -> Option<u32> {
    let pids = fs::read_dir("/proc").unwrap();
    let mut pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.find(|pid: &u32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let parent = field(*pid, 1);
        *pid > after
            && command == b"sleep\x001000\x00"
            && field(*pid, 3) == Some(session)
            && field(*pid, 2) == Some(*pid)
            && lives(*pid)
            // The parent has ended.
            && parent.is_some_and(|parent| parent == 1 || !is_test(parent))
    })
}

/// Whether this is a program of these tests.
fn is_test(pid: u32) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).contains("process_children")
}

#[test]
fn none_is_left_after_a_panic_of_the_body() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::from_secs(2));
        builder.run(|main| {
            add_children(main);
            let mut line = String::new();
            // The children must have said their numbers.
            thread::sleep(Duration::from_millis(300));
            line.push('x');
            assert!(line.is_empty(), "the body panics");
        })
    };
    let parent = with_children(alone(story));
    parent.ends_with_all(1).saying(&["the body panics"]);
}

#[test]
fn none_is_left_after_a_panic_of_a_main_without_the_attribute() {
    let story = || {
        let main = MainQuitter::new(LONG, [QuitSource::os_signal()]);
        add_children(&main);
        thread::sleep(Duration::from_millis(300));
        // In a story `main` is std's test thread; this is how std ends a program whose `main` panics.
        let unwound = panic::catch_unwind(AssertUnwindSafe(move || {
            let _main = main;
            panic!("main panics");
        }));
        ExitCode::from(if unwound.is_err() { 101 } else { 0 })
    };
    let parent = with_children(alone(story));
    parent.ends_with_all(101);
}

#[test]
fn none_is_left_when_main_returns_early() {
    let story = || {
        let main = MainQuitter::new(LONG, [QuitSource::os_signal()]);
        add_children(&main);
        thread::sleep(Duration::from_millis(300));
        drop(main);
        ExitCode::from(7)
    };
    let parent = with_children(alone(story));
    parent.ends_with_all(7);
}

#[test]
fn none_is_left_after_std_process_exit_in_a_routine() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(LONG, [QuitSource::os_signal()]);
        add_children(&main);
        main.add_routine(|_| {
            thread::sleep(Duration::from_millis(300));
            std::process::exit(9)
        })
        .unwrap();
        main.exit()
    };
    let parent = with_children(alone(story));
    parent.ends_with_all(9);
}

#[test]
fn none_is_left_of_a_tree_that_nobody_tells_to_quit() {
    let story = || {
        let root = Quitter::root("library");
        add_children(&root);
        thread::sleep(Duration::from_millis(300));
        ExitCode::from(0)
    };
    let parent = with_children(alone(story));
    parent.ends_with_all(0);
}

#[test]
fn the_exit_of_a_forked_copy_of_the_program_leaves_the_children_alone() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
        add_children(&main);
        thread::sleep(Duration::from_millis(300));
        let own = std::process::id();
        // A shell forks, and its copy runs nothing of ours; `fork` itself is unsafe, so it is tested
        // where a copy would do harm: see `groups.rs`.
        assert_eq!(own, std::process::id());
        main.exit()
    };
    let parent = with_children(alone(story));
    parent.process.send(SIGTERM);
    parent.ends_with_all(0);
}

#[test]
fn a_crash_of_a_child_ends_the_program_with_its_name_and_no_sibling_is_left() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
        add_children(&main);
        let script = "sleep 0.3; ulimit -c 0; kill -SEGV $$";
        main.routine("crasher").process(sh(script)).unwrap();
        main.exit()
    };
    let parent = with_children(alone(story));
    parent.ends_with_all(1).saying(&[
        "Received quit from routine 'crasher' of main, which failed: signal: 11 (SIGSEGV)\n",
        "1 routine failed:",
        "routine 'crasher' of main failed: signal: 11 (SIGSEGV)",
        "Quit: all routines returned",
    ]);
}

#[test]
fn a_child_that_had_to_be_killed_is_named_and_the_code_is_1() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
        let script = "trap '' TERM; echo ready; while :; do sleep 1000; done";
        main.routine("stubborn").process(sh(script)).unwrap();
        main.exit()
    };
    let mut process = alone(story);
    process.wait_for("ready");
    process.send(SIGTERM);
    let ended = process.end().with_code(1);
    ended.saying(&[
        "Waiting for 1 routine",
        "'stubborn' of main",
        "1 routine failed:",
        "routine 'stubborn' of main failed: killed, since it had not ended 1.5 s after the stop \
         signal: pid ",
        "sh -c 'trap '' TERM",
        "(while quitting)",
        "Quit: all routines returned (1.5 s)",
    ]);
}

#[test]
fn a_program_of_long_sleeps_ends_at_once() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        for _ in 0..3 {
            main.add_process(sh("echo ready; exec sleep 25")).unwrap();
        }
        main.exit()
    };
    let mut process = alone(story);
    for _ in 0..3 {
        process.wait_for("ready");
    }
    let from = Instant::now();
    process.send(SIGINT);
    process.end().with_code(0);
    assert!(
        from.elapsed() < Duration::from_secs(2),
        "{:?}",
        from.elapsed()
    );
}
