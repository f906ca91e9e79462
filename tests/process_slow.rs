//! Routines that return in time, but take more than half of it, are named.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use quitter::{End, ExitReport, MainQuitter, MainQuitterBuilder, RoutineQuitter};

use common::{Ended, PATIENCE, command_for, given_time, with_time};

fn builder() -> MainQuitterBuilder {
    MainQuitter::builder()
        .timeout(given_time())
        .end(End::WithBody)
}

/// Returns after three quarters of the quit timeout.
fn slow(q: &RoutineQuitter) {
    q.wait_quit();
    let deadline = q.deadline().expect("it quits under a timeout");
    let until = deadline - given_time() / 4;
    thread::sleep(until.saturating_duration_since(Instant::now()));
}

fn show(report: &ExitReport) {
    for slow in &report.slow {
        let after_half = slow.took > given_time() / 2 && slow.took < given_time();
        println!("slow: {} of {} {after_half}", slow.name, slow.quitter);
    }
    println!("{} are slow", report.slow.len());
}

/// Runs a program, with a longer quit timeout each time, until it prints `text`.
#[track_caller]
fn prints(text: &str, command: impl Fn() -> Command) -> (Duration, Ended) {
    let is_right = |ended: &Ended| ended.code == Some(0) && ended.stdout.contains(text);
    with_time(&[2000, 4000, 8000], command, is_right)
}

#[test]
fn a_routine_that_takes_more_than_half_of_the_time_is_named_and_nobody_else() {
    let story = || {
        let report = builder().run(|main| {
            let store = main.child("store").unwrap();
            store.routine("flusher").add(slow).unwrap();
            store.routine("quick").add(|q| q.wait_quit()).unwrap();
            // The supervisor's wait takes as long, but the supervisor itself is not slow.
            main.routine("supervisor")
                .add(move |q| {
                    q.wait_quit();
                    store.wait_done(PATIENCE).unwrap();
                })
                .unwrap();
        });
        show(&report);
        report
    };
    let listed = "slow: flusher of main/store true\n1 are slow\n";
    let (timeout, ended) = prints(listed, || command_for(story));
    ended.saying(&[
        "Quit: all routines returned (",
        ")\n  slow to return: flusher of main/store took ",
        &format!(" s of {} s\n", timeout.as_secs()),
    ]);
}

#[test]
fn of_a_slow_crowd_the_first_thousand_are_listed_and_the_others_counted() {
    let story = || {
        let report = builder().run(|main| {
            // Guards do as well as threads, and are cheaper.
            let guards: Vec<_> = (0..1200).map(|_| main.guard("import").unwrap()).collect();
            main.routine("owner")
                .add(move |q| {
                    slow(q);
                    drop(guards);
                })
                .unwrap();
        });
        show(&report);
        report
    };
    let (timeout, ended) = prints("1000 are slow", || command_for(story));
    ended.saying(&[
        "slow to return: import ×1000 of main took ",
        &format!(" s of {} s, and 201 more", timeout.as_secs()),
    ]);
}

#[test]
fn a_program_that_quits_quickly_has_no_slow_routines() {
    let story = || {
        let report = builder().run(|main| {
            main.routine("quick").add(|q| q.wait_quit()).unwrap();
        });
        show(&report);
        report
    };
    let (_, ended) = prints("\n0 are slow", || command_for(story));
    assert_eq!(ended.count("slow to return"), 0, "{}", ended.stderr);
}
