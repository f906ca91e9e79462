//! `batch`: its output and exit code for every way in which the body of `main` ends.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

#[track_caller]
fn batch(args: &[&str]) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_batch"))
        .args(args)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("did not end in time: {:?}", child.wait_with_output());
        }
        thread::sleep(Duration::from_millis(2));
    };
    let [mut stdout, mut stderr] = [String::new(), String::new()];
    let (mut out, mut err) = (child.stdout.unwrap(), child.stderr.unwrap());
    out.read_to_string(&mut stdout).unwrap();
    err.read_to_string(&mut stderr).unwrap();
    let code = status.code();
    Ended {
        code,
        stdout,
        stderr,
    }
}

#[track_caller]
fn ends(args: &[&str], code: i32, said: &[&str]) -> String {
    let ended = batch(args);
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    // Joins the lines that were wrapped.
    let whole = ended.stderr.replace("\n      ", " ");
    for text in said {
        assert!(whole.contains(text), "no '{text}' in: {}", ended.stderr);
    }
    ended.stdout
}

#[test]
fn work_that_is_done_ends_the_program_with_0() {
    let said = [
        "Received quit from 'all routines done'",
        "Quit: all routines returned",
    ];
    let stdout = ends(&["done"], 0, &said);
    let mut lines: Vec<_> = stdout.lines().collect();
    lines.sort_unstable();
    let expected = [
        "price 100: 119 with tax",
        "price 200: 238 with tax",
        "price 300: 357 with tax",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn an_error_of_the_body_is_shown_with_its_source_and_exits_with_1() {
    let chain = "bad price in line 2: invalid digit found in string";
    ends(&["error"], 1, &[&format!("Error: {chain}")]);
}

#[test]
fn an_exit_code_of_the_body_is_kept() {
    ends(&["code"], 3, &[]);
}

#[test]
fn a_panic_of_the_body_is_shown_with_its_place_and_exits_with_1() {
    let said = [
        "Received quit from main, which failed",
        "routine 'main' of main panicked at",
        "batch.rs:",
        ": the price list is gone",
    ];
    ends(&["panic"], 1, &said);
}

#[test]
fn bad_arguments_are_answered_with_the_usage() {
    for args in [&[][..], &["whatever"]] {
        ends(args, 2, &["usage: batch done|error|code|panic"]);
    }
}
