//! Routines that return in time, but take more than half of it, are named.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::thread;
use std::time::{Duration, Instant};

use quitter::{End, ExitReport, MainQuitter, MainQuitterBuilder, RoutineQuitter};

use common::{PATIENCE, alone};

const TIMEOUT: Duration = Duration::from_secs(3);

fn builder() -> MainQuitterBuilder {
    MainQuitter::builder().timeout(TIMEOUT).end(End::WithBody)
}

/// Returns well after half of the quit timeout, and well before its end.
fn slow(q: &RoutineQuitter) {
    q.wait_quit();
    let deadline = q.deadline().expect("it quits under a timeout");
    let until = deadline - TIMEOUT * 2 / 5;
    thread::sleep(until.saturating_duration_since(Instant::now()));
}

fn show(report: &ExitReport) {
    for slow in &report.slow {
        let after_half = slow.took > TIMEOUT / 2 && slow.took < TIMEOUT;
        println!("slow: {} of {} {after_half}", slow.name, slow.quitter);
    }
    println!("{} are slow", report.slow.len());
}

#[test]
fn a_routine_that_takes_more_than_half_of_the_time_is_named_and_nobody_else() {
    let story = || {
        let report = builder().run(|main| {
            let store = main.child("store").unwrap();
            store.routine("flusher").add(slow).unwrap();
            store.routine("quick").add(|q| q.wait_quit()).unwrap();
            // Its wait takes as long, but it is not slow itself.
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
    let ended = alone(story).end().with_code(0);
    let listed = "slow: flusher of main/store true\n1 are slow\n";
    assert!(ended.stdout.contains(listed), "{}", ended.stdout);
    ended.saying(&[
        "Quit: all routines returned (1.",
        ")\n  slow to return: flusher of main/store took 1.",
        " s of 3 s\n",
    ]);
}

#[test]
fn of_a_slow_crowd_the_first_thousand_are_listed_and_the_others_counted() {
    let story = || {
        let report = builder().run(|main| {
            // A guard is as good as a thread, and cheaper.
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
    let ended = alone(story).end().with_code(0);
    assert!(ended.stdout.contains("1000 are slow"), "{}", ended.stdout);
    ended.saying(&[
        "slow to return: import ×1000 of main took 1.",
        " s of 3 s, and 201 more",
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
    let ended = alone(story).end().with_code(0);
    assert!(ended.stdout.contains("0 are slow"), "{}", ended.stdout);
    assert_eq!(ended.count("slow to return"), 0, "{}", ended.stderr);
}
