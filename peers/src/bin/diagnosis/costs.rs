//! Measures the costs of the feature `stacks`: builds, threads, and the time that a report takes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, fs};

/// How often each cost is measured. The table has the shortest time, which other work on the machine disturbs
/// least.
const ROUNDS: usize = 9;

struct Built {
    seconds: f64,
    program: PathBuf,
}

pub(crate) fn table() -> String {
    let folder = env::temp_dir().join(format!("quitter-costs-{}", std::process::id()));
    let [without, with] = ["", "\"stacks\""].map(|feature| {
        let folder = folder.join(if feature.is_empty() {
            "without"
        } else {
            "with"
        });
        write_crate(&folder, feature);
        let crates = crates(&folder);
        let dev = build(&folder, &[], "debug");
        let release = build(&folder, &["--release"], "release");
        (crates, dev, release)
    });
    let mut table = "| | without | with `stacks` |\n| --- | ---: | ---: |\n".to_owned();
    let mut row = |what: &str, without: String, with: String| {
        table += &format!("| {what} | {without} | {with} |\n");
    };
    let seconds = |built: &Built| format!("{:.0} s", built.seconds);
    row("clean build, `dev`", seconds(&without.1), seconds(&with.1));
    row(
        "clean build, `release`",
        seconds(&without.2),
        seconds(&with.2),
    );
    row(
        "crates besides the program",
        without.0.to_string(),
        with.0.to_string(),
    );
    let [from, to] = [&without.2, &with.2].map(|built| best(built, ["start", "2000"]));
    row(
        "a thread, from its start to its end",
        format!("{from:.0} µs"),
        format!("{to:.0} µs"),
    );
    let reports = [
        ("`release`", &without.2, &with.2),
        ("`dev`", &without.1, &with.1),
    ];
    for (profile, without, with) in reports {
        for (count, threads) in [
            ("1", "thread that hangs"),
            ("64", "threads"),
            ("1000", "threads"),
        ] {
            let what = format!("from the deadline to the report, {count} {threads}, {profile}");
            let [from, to] = [without, with].map(|built| best(built, ["report", count]) / 1e3);
            row(&what, format!("{from:.1} ms"), format!("{to:.1} ms"));
        }
    }
    let _ = fs::remove_dir_all(&folder);
    table
}

/// Writes a crate that depends on quitter alone, with the program `threads`.
fn write_crate(folder: &Path, feature: &str) {
    let root = crate::root();
    let (root, here) = (root.display(), env!("CARGO_MANIFEST_DIR"));
    let manifest = format!(
        "[package]\nname = \"threads\"\nedition = \"2024\"\n\n\
         [[bin]]\nname = \"threads\"\npath = \"{here}/src/bin/threads.rs\"\n\n\
         [dependencies]\nquitter = {{ path = \"{root}\", features = [{feature}] }}\n\n[workspace]\n"
    );
    fs::create_dir_all(folder).expect("a new folder");
    fs::write(folder.join("Cargo.toml"), manifest).expect("a new file");
    // Uses the tested versions, so that cargo has nothing to resolve.
    fs::copy(crate::root().join("Cargo.lock"), folder.join("Cargo.lock")).expect("a lock file");
}

fn build(folder: &Path, profile: &[&str], name: &str) -> Built {
    eprintln!("a clean build in {}, {name}", folder.display());
    let from = Instant::now();
    let built = cargo(folder)
        .args(["build", "--quiet"])
        .args(profile)
        .status();
    assert!(built.expect("cargo").success(), "cargo build");
    Built {
        seconds: from.elapsed().as_secs_f64(),
        program: folder.join("target").join(name).join("threads"),
    }
}

fn crates(folder: &Path) -> usize {
    let tree = [
        "tree",
        "--prefix",
        "none",
        "--edges",
        "normal,build",
        "--format",
        "{p}",
    ];
    let output = cargo(folder).args(tree).output().expect("cargo");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut names: Vec<_> = text
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    names.sort_unstable();
    names.dedup();
    names.len() - 1
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder).stdin(Stdio::null());
    cargo.env("CARGO_TARGET_DIR", folder.join("target"));
    cargo
}

/// The shortest time, in microseconds.
fn best(built: &Built, arguments: [&str; 2]) -> f64 {
    let rounds = (0..ROUNDS).map(|_| run(&built.program, arguments));
    rounds.fold(f64::INFINITY, f64::min)
}

fn run(program: &Path, arguments: [&str; 2]) -> f64 {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let output = output.expect("a built program");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("microseconds")
}
