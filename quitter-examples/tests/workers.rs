//! `workers`, which ends by itself or at a real signal.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{self, SIGINT, SIGTERM};

use common::{Ended, Process};

fn workers(arguments: &[&str]) -> Process {
    Process::start(Command::new(env!("CARGO_BIN_EXE_workers")).args(arguments))
}

/// The numbers of the finished jobs, in order.
fn jobs_done(ended: &Ended) -> Vec<u32> {
    let lines = ended.stdout.lines();
    let done = lines.filter_map(|line| Some(line.split_once("has done job ")?.1));
    let mut done: Vec<u32> = done.map(|job| job.parse().expect("a number")).collect();
    done.sort_unstable();
    done
}

#[test]
fn the_program_ends_by_itself_when_each_job_is_done_once() {
    let ended = workers(&["3", "12"]).end().with_code(0).saying(&[
        "Received quit from 'all routines done'",
        "Quit: all routines returned",
    ]);
    assert_eq!(jobs_done(&ended), (1..=12).collect::<Vec<_>>());
    assert!(ended.stdout.ends_with("all jobs are done\n"), "{ended:?}");
}

fn finishes_the_jobs_at_hand_on(signal: Signal) {
    let mut workers = workers(&["2", "1000"]);
    workers.wait_for("has done job");
    let sent = Instant::now();
    workers.send(signal);
    let ended = workers.end().with_code(0).saying(&[
        "Received quit from 'OS interrupt/termination signal'",
        "Quit: all routines returned",
    ]);
    let took = sent.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");

    let done = jobs_done(&ended).len();
    let left = format!("\n{} jobs were left\n", 1000 - done);
    assert!(ended.stdout.ends_with(&left), "{ended:?}");
}

#[test]
fn on_sigint_the_jobs_at_hand_are_finished_and_the_others_counted() {
    finishes_the_jobs_at_hand_on(SIGINT);
}

#[test]
fn on_sigterm_the_jobs_at_hand_are_finished_and_the_others_counted() {
    finishes_the_jobs_at_hand_on(SIGTERM);
}

#[test]
fn a_number_that_is_none_is_answered_with_the_usage() {
    workers(&["many"])
        .end()
        .with_code(2)
        .saying(&["usage: workers [WORKERS [JOBS]]"]);
}
