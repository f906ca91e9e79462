//! A program with child processes that SIGKILL ends: the cases in which no child is left all the same.

#![cfg(all(unix, feature = "process"))]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGKILL;
use quitter::{ExitReport, MainQuitter, QuitSource, Quitter};

use common::{PATIENCE, Process, alone, sh};

/// Scripts that end with their input. The second has a child that would go on.
const READ: [&str; 2] = [
    "echo ready; exec cat",
    "sleep 1000 & echo ready; cat; kill $!",
];

/// Scripts that ignore the signals that ask them to stop.
#[cfg(target_os = "linux")]
const STUBBORN: [&str; 2] = [
    "trap '' TERM HUP; echo ready; while :; do sleep 1000; done",
    "(trap '' TERM HUP; sleep 1000; wait) & trap '' TERM HUP; echo ready; sleep 1000; wait",
];

fn main_quitter() -> MainQuitter {
    MainQuitter::new(PATIENCE, [QuitSource::os_signal()])
}

/// How many processes a story has: its own, and all that have inherited its environment.
fn processes_of(story: &str) -> usize {
    let variable = format!("QUITTER_TEST_STORY={story}\0");
    let entries = fs::read_dir("/proc").unwrap();
    let is_of_story = |entry: &fs::DirEntry| {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&variable)
    };
    entries.flatten().filter(is_of_story).count()
}

/// Kills the program, which consists of `own` processes, once its children are ready. All of them must end
/// at once. Prints a row of the table in docs/exit.md.
#[track_caller]
fn none_is_left(mut program: Process, own: usize) {
    let story = thread::current().name().unwrap_or_default().to_owned();
    for _ in 0..2 {
        program.wait_for("ready");
    }
    let children = processes_of(&story) - own;
    assert!(children >= 3, "{children} children");
    let killed = Instant::now();
    program.send(SIGKILL);
    program.end().with_signal(SIGKILL);
    let until = killed + Duration::from_secs(2);
    while processes_of(&story) > 0 {
        assert!(Instant::now() < until, "{} are left", processes_of(&story));
        thread::sleep(Duration::from_millis(1));
    }
    println!(
        "| `{story}` | SIGKILL | {children} | 0 | {} |",
        killed.elapsed().as_millis()
    );
}

#[test]
fn none_is_left_that_reads_a_pipe_of_the_killed_program() {
    let story = || -> ExitReport {
        let main = main_quitter();
        let read = |main: &Quitter, script| {
            let mut command = sh(script);
            command.stdin(Stdio::piped());
            main.routine("reads").process(command).unwrap()
        };
        // The handles keep the other ends of the pipes open.
        let _handles = READ.map(|script| read(&main, script));
        main.exit()
    };
    none_is_left(alone(story), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn none_is_left_in_a_container_whose_first_process_is_killed() {
    let story = || -> ExitReport {
        let main = main_quitter();
        for script in STUBBORN {
            main.routine("stubborn").process(sh(script)).unwrap();
        }
        main.exit()
    };
    let container = || {
        let mut unshare = std::process::Command::new("unshare");
        unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        unshare
    };
    let program = common::command_for(story);
    let is_allowed = container().arg("true").output();
    if !is_allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not make a container");
        return;
    }
    let mut inside = container();
    inside.arg(program.get_program()).args(program.get_args());
    let environment = program.get_envs();
    inside.envs(environment.filter_map(|(name, value)| Some((name, value?))));
    // When `unshare` ends, it kills the first process of the container.
    none_is_left(Process::start(&mut inside), 2);
}
