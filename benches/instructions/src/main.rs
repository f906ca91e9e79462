//! Counts the instructions of the hottest operations with valgrind's callgrind, and compares them with
//! baseline.txt. Fails if one takes over 10 % more. With `--write`, the counts become the baseline.
//!
//! Each operation runs in a process of its own, so often that one-time costs do not show. Its objects
//! are made before and dropped after, which is not counted.

use std::error::Error;
use std::hint::black_box;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use quitter::Quitter;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.txt");
const TIMES: usize = 1000;

/// The name of an operation, and its function.
const OPERATIONS: &[(&str, fn())] = &[
    ("poll", || {
        let root = Quitter::root("root");
        counted(|| _ = black_box(root.has_to_quit()));
    }),
    ("poll-routine", || {
        let routine = Quitter::root("root").guard("routine").unwrap();
        counted(|| _ = black_box(routine.has_to_quit()));
    }),
    ("child", || {
        let root = Quitter::root("root");
        counted(|| drop(black_box(root.child("child"))));
    }),
    ("guard", || {
        let root = Quitter::root("root");
        counted(|| drop(black_box(root.guard("routine"))));
    }),
    // A whole quit without the threads: the child is told, waited for, and found done.
    ("quit-and-wait", || {
        let root = Quitter::root("root");
        let children: Vec<_> = (0..TIMES).map(|_| root.child("child").unwrap()).collect();
        let mut next = children.iter();
        counted(|| next.next().unwrap().quit_and_wait(Duration::ZERO).unwrap());
    }),
];

/// The function that callgrind counts, which it finds by its name.
#[inline(never)]
fn counted(mut operation: impl FnMut()) {
    for _ in 0..TIMES {
        operation();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let argument = env::args().nth(1);
    if let Some((_, run)) = OPERATIONS
        .iter()
        .find(|(name, _)| argument.as_deref() == Some(name))
    {
        run();
        return Ok(());
    }
    let here = format!("# Instructions of {TIMES} times each, with {}", tools()?);
    let counts = OPERATIONS.iter().map(|(name, _)| Ok((*name, count(name)?)));
    let counts = counts.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    if argument.as_deref() == Some("--write") {
        let lines = counts
            .iter()
            .map(|(name, count)| format!("{name} {count}\n"));
        fs::write(BASELINE, format!("{here}\n{}", lines.collect::<String>()))?;
    }
    let text = fs::read_to_string(BASELINE)?;
    let mut failed = false;
    for (name, count) in counts {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let before: u64 = line
            .ok_or_else(|| format!("{name}: not in the baseline"))?
            .parse()?;
        let change = 100.0 * (count as f64 / before as f64 - 1.0);
        let verdict = match change {
            ..-10.0 => "lower the baseline",
            10.0.. => "FAILED: over 10 %",
            _ => "ok",
        };
        failed |= change >= 10.0;
        println!("{name:<16}{count:>9}, baseline {before:>9}: {change:+.1} % {verdict}");
    }
    if failed {
        println!(
            "here:     {here}\nbaseline: {}",
            text.lines().next().unwrap_or_default()
        );
        return Err("an operation has grown; if that is meant, commit what --write writes".into());
    }
    Ok(())
}

fn count(name: &str) -> Result<u64, Box<dyn Error>> {
    let valgrind = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=*::counted*",
        ])
        .arg(env::current_exe()?)
        .arg(name)
        .output()?;
    let said = String::from_utf8(valgrind.stderr)?;
    let count = said
        .lines()
        .find_map(|line| Some(line.split_once("Collected : ")?.1.parse()));
    Ok(count.ok_or(said)??)
}

fn tools() -> Result<String, Box<dyn Error>> {
    let mut all = Vec::new();
    for command in [
        "rustc --version",
        "getconf GNU_LIBC_VERSION",
        "valgrind --version",
    ] {
        let mut words = command.split(' ');
        let output = Command::new(words.next().unwrap()).args(words).output();
        let output = output.map_err(|error| format!("{command}: {error}"))?;
        all.push(String::from_utf8(output.stdout)?.trim().to_owned());
    }
    Ok(format!("{}, {}", all.join(", "), env::consts::ARCH))
}
