//! The first screen of the README tells the truth: its program is the example `first`, and its
//! terminal shows what that program prints.

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

/// The first code block of this kind.
fn block(kind: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("```{kind}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_first_program_of_the_readme_is_the_example() {
    let (_header, program) = PROGRAM.split_once("\n\n").unwrap();
    assert_eq!(block("rust,no_run"), program);
}

#[test]
fn the_terminal_of_the_readme_shows_what_the_program_prints() {
    let ended = Process::start(&mut Command::new(env!("CARGO_BIN_EXE_first")))
        .signal_at("beat", SIGINT)
        .with_code(1);

    let shown = block("text").replace("^C", "");
    let shown = shown
        .lines()
        .filter(|line| !line.starts_with('$') && *line != "1");
    let (on_stdout, on_stderr): (Vec<_>, Vec<_>) =
        shown.partition(|line| ended.stdout.lines().any(|printed| printed == *line));
    assert_eq!(on_stdout, ["press Ctrl-C", "beat", "beat"]);
    assert_eq!(
        steady_lines(on_stderr.into_iter()),
        steady_lines(ended.stderr.lines())
    );
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

/// Steady lines, each with those that continue it: paths of different length break it in different
/// places.
fn steady_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut whole: Vec<String> = Vec::new();
    for line in lines {
        match (line.strip_prefix("      "), whole.last_mut()) {
            (Some(rest), Some(begun)) => *begun += &format!(" {}", steady(rest.trim_start())),
            _ => whole.push(steady(line)),
        }
    }
    whole
}

/// A line without what differs from run to run: the numbers, but for places in the source. In the
/// README, the program is the file `src/main.rs`, without the header.
fn steady(line: &str) -> String {
    let header = PROGRAM.split("\n\n").next().unwrap().lines().count() + 1;
    let steady_word = |word: &str| match word.split_once(".rs:") {
        Some(("src/main", _)) => word.to_owned(),
        Some((_, rest)) => {
            let line: usize = rest.trim_end_matches(',').parse().unwrap();
            let comma = if rest.ends_with(',') { "," } else { "" };
            format!("src/main.rs:{}{comma}", line - header)
        }
        None => word.replace(|c: char| c.is_ascii_digit(), ""),
    };
    line.split(' ')
        .map(steady_word)
        .collect::<Vec<_>>()
        .join(" ")
}
