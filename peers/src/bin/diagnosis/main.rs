//! Makes docs/diagnosis.md: what the exit report says about each case of the example `stuck`, in each build,
//! beside what gdb says about the same process; what other libraries say about such hangs; and what the
//! feature `stacks` costs.
//!
//! `diagnosis` prints the page, `diagnosis --write` writes it. With the names of parts, as in `diagnosis
//! --write costs`, only these are measured, and the others stay as they are. It needs gdb, and takes some
//! minutes.

mod builds;
mod compare;
mod costs;
mod gdb;
mod peers_say;
mod report;
mod run;
mod table;
mod texts;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

use builds::{BUILDS, Build};

const PAGE: &str = "docs/diagnosis.md";

/// The parts of the page that are measured.
const PARTS: [&str; 3] = ["cases", "peers", "costs"];

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn main() -> ExitCode {
    let mut parts: Vec<_> = env::args().skip(1).collect();
    let is_written = parts.first().is_some_and(|first| first == "--write");
    parts.drain(..usize::from(is_written));
    if parts.iter().any(|part| !PARTS.contains(&&part[..])) {
        eprintln!("usage: diagnosis [--write] [{}]..", PARTS.join("|"));
        return ExitCode::FAILURE;
    }
    let Some(gdb) = first_line("gdb", &["--version"]) else {
        eprintln!(
            "diagnosis needs gdb, the reference: install it, with `apt-get install gdb` or the like"
        );
        return ExitCode::FAILURE;
    };
    let page = page(&gdb, &parts);
    if is_written {
        fs::write(root().join(PAGE), page).expect("the page");
    } else {
        print!("{page}");
    }
    ExitCode::SUCCESS
}

/// The page, with these parts measured, or with all parts measured if `parts` is empty.
fn page(gdb: &str, parts: &[String]) -> String {
    let old = fs::read_to_string(root().join(PAGE)).unwrap_or_default();
    let part = |name: &str, measure: &dyn Fn() -> String| {
        let is_asked = parts.is_empty() || parts.iter().any(|part| part == name);
        let text = if is_asked {
            measure()
        } else {
            kept(&old, name)
        };
        let (begin, end) = marks(name);
        format!("{begin}{}{end}", text.trim())
    };
    format!(
        include_str!("page.md"),
        machine = machine(gdb),
        cases = part("cases", &cases),
        peers = part("peers", &peers_say::table),
        costs = part("costs", &costs::table),
    )
}

/// The invisible marks around a part of the page.
fn marks(part: &str) -> (String, String) {
    (
        format!("<!-- {part} -->\n\n"),
        format!("\n\n<!-- end of {part} -->"),
    )
}

/// A part as it is on the page, or an empty text if it is not there yet.
fn kept(page: &str, part: &str) -> String {
    let (begin, end) = marks(part);
    let rest = page.split_once(&begin).map(|(_, rest)| rest);
    let kept = rest.and_then(|rest| rest.split_once(&end));
    kept.map(|(kept, _)| kept.to_owned()).unwrap_or_default()
}

fn cases() -> String {
    let programs = builds::build();
    let mut tables = String::new();
    for (build, programs) in BUILDS.iter().zip(&programs) {
        eprintln!("{}: running every case", build.name);
        let seen = run::all(programs);
        tables += &section(build, &seen);
    }
    tables
}

fn section(build: &Build, seen: &[run::Seen]) -> String {
    let Build { name, about, .. } = build;
    let table = table::of(seen);
    let texts = texts::of(seen);
    format!("### {name}\n\n{about}\n\n{table}\n{texts}\n")
}

fn machine(gdb: &str) -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rust = first_line("rustc", &["--version"]).unwrap_or_default();
    let day = first_line("date", &["--utc", "+%F"]).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = kernel.trim();
    format!(
        "{} Linux {kernel}, {cores} processors, {rust}, {gdb}; {day}",
        env::consts::ARCH
    )
}

/// The first line that a program prints, or `None` if it is not installed.
fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().next().unwrap_or_default().to_owned())
}
