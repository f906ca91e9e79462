//! The README's terminals show what the examples `stuck` and `first` print, and its program is the example
//! `first`.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal::SIGINT;
use nix::sys::signal::raise;
use quitter::{AddRoutineError, MainQuitter, QuitSource};

use common::{Process, alone};

const README: &str = include_str!("../../README.md");
const PROGRAM: &str = include_str!("../src/bin/00_first.rs");

/// Lines on the README's terminals that do not come from stderr.
#[cfg(all(debug_assertions, target_os = "linux"))]
const STDOUT: [&str; 3] = ["press Ctrl-C", "beat", "1"];

/// The README's code blocks of this kind.
fn blocks(kind: &str) -> impl Iterator<Item = &'static str> {
    let start = format!("```{kind}\n");
    let rest: Vec<_> = README.split(&*start).skip(1).collect();
    rest.into_iter()
        .map(|rest| rest.split_once("```").unwrap().0)
}

#[test]
fn the_first_program_of_the_readme_is_the_example() {
    let (_header, program) = PROGRAM.split_once("\n\n").unwrap();
    assert_eq!(blocks("rust,no_run").next(), Some(program));
}

/// Inside the clone, cargo would make the new program a member of quitter's workspace.
#[test]
fn a_program_of_ones_own_is_made_outside_of_the_clone() {
    let mut making = blocks("sh").filter(|block| block.contains("cargo new"));
    let block = making.next().expect("a block that makes a program");
    assert!(block.starts_with("cd ..\n"), "{block}");
}

#[test]
fn the_first_program_ends_as_the_readme_says() {
    let ended = Process::start(&mut Command::new(env!("CARGO_BIN_EXE_first")))
        .signal_at("beat", SIGINT)
        .with_code(1);
    let said = ["  main/db", "flusher  running", "status \"flushing 3/10\""];
    ended.saying(&said);
}

/// Only on systems that tell what threads do, and in builds with line numbers.
#[test]
#[cfg(all(
    debug_assertions,
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn the_terminal_of_the_readme_shows_what_the_example_prints() {
    let mut stuck = Command::new(env!("CARGO_BIN_EXE_stuck"));
    let mut stuck = Process::start(stuck.arg("accept"));
    stuck.wait_for("hangs from now on");
    stuck.send(SIGINT);
    let ended = stuck.end().with_code(1);
    let shown = blocks("text").next().unwrap();
    assert_eq!(steady(shown), steady(&ended.stderr));
}

#[test]
#[cfg(all(
    debug_assertions,
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn the_terminal_of_the_first_program_shows_what_it_prints() {
    let ended = Process::start(&mut Command::new(env!("CARGO_BIN_EXE_first")))
        .signal_at("beat", SIGINT)
        .with_code(1);
    let shown = blocks("text").nth(1).unwrap();
    assert_eq!(steady(shown), steady(&ended.stderr));
}

/// The README's example of the core, with a signal that comes before its routine is started.
#[test]
fn the_core_alone_survives_an_early_signal() {
    let story = || {
        let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
        raise(SIGINT).unwrap();
        main.wait_quit();
        match main.routine("http").add(|q| q.wait_quit()) {
            Ok(_) | Err(AddRoutineError::Quitting) => main.exit(),
            Err(error) => panic!("{error}"),
        }
    };
    let said = ["SIGINT", "Quit: all routines returned"];
    alone(story).end().with_code(0).saying(&said);
}

/// The lines of stderr, without the parts that differ from run to run: all numbers except places in the
/// source. The lines before the report are sorted, since two threads write them in any order.
#[cfg(all(debug_assertions, target_os = "linux"))]
fn steady(text: &str) -> Vec<String> {
    let is_of_stderr = |line: &&str| !line.starts_with('$') && !STDOUT.contains(line);
    let steady_word = |word: &str| match word.contains(".rs:") {
        true => word.to_owned(),
        false => word.replace(|c: char| c.is_ascii_digit(), ""),
    };
    let steady_line = |line: &str| {
        line.trim_start_matches("^C")
            .split(' ')
            .map(steady_word)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut lines: Vec<_> = text.lines().filter(is_of_stderr).map(steady_line).collect();
    lines[..3].sort();
    lines
}
