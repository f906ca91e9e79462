//! `heartbeat` and `heartbeat_core`, run with real signals.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGTERM};

use common::{Process, broken_pipe};

const HEARTBEAT: &str = env!("CARGO_BIN_EXE_heartbeat");
const HEARTBEAT_CORE: &str = env!("CARGO_BIN_EXE_heartbeat_core");

const MAIN: &str = "Heartbeat from 'main_heartbeat'";
const CHILDREN: [&str; 2] = [
    "Heartbeat from 'child_heartbeat_a'",
    "Heartbeat from 'child_heartbeat_b'",
];

#[test]
fn beats_are_of_three_hearts_for_5_s_and_then_of_one() {
    let programs = [HEARTBEAT, HEARTBEAT_CORE].map(|path| Process::start(&mut Command::new(path)));
    for mut hearts in programs {
        for _ in 0..7 {
            hearts.wait_for(MAIN);
        }
        hearts.send(SIGINT);
        let ended = hearts.end().with_code(0);

        let beats: Vec<&str> = ended.stdout.lines().collect();
        let mains = beats.iter().enumerate().filter(|(_, beat)| **beat == MAIN);
        let sixth = mains.map(|(at, _)| at).nth(5).expect("it was waited for");
        for child in CHILDREN {
            // The fifth beat and the quit come at the same time.
            let count = beats[..sixth].iter().filter(|beat| **beat == child).count();
            assert!((4..=5).contains(&count), "{child} {count} times");
            assert!(!beats[sixth..].contains(&child), "{}", ended.stdout);
        }
    }
}

fn ends_clean_on(signal: Signal) {
    let mut programs = [HEARTBEAT, HEARTBEAT_CORE].map(|program| {
        let process = Process::start(&mut Command::new(program));
        (program, process)
    });
    for (_, hearts) in &mut programs {
        hearts.wait_for(MAIN);
    }
    for (program, hearts) in programs {
        let sent = Instant::now();
        hearts.send(signal);
        hearts.end().with_code(0).saying(&[
            "Received quit from 'OS interrupt/termination signal'",
            signal.as_str(),
            "Quit: all routines returned",
        ]);
        let took = sent.elapsed();
        assert!(took < Duration::from_secs(2), "{program} took {took:?}");
    }
}

#[test]
fn sigint_ends_the_beat_clean_and_at_once() {
    ends_clean_on(SIGINT);
}

#[test]
fn sigterm_ends_the_beat_clean_and_at_once() {
    ends_clean_on(SIGTERM);
}

#[test]
fn sighup_ends_the_beat_clean_and_at_once() {
    ends_clean_on(SIGHUP);
}

#[test]
fn a_heart_whose_beats_nobody_reads_ends_the_program_with_a_report() {
    for program in [HEARTBEAT, HEARTBEAT_CORE] {
        let mut command = Command::new(program);
        let hearts = Process::start_into(&mut command, broken_pipe(), Stdio::piped());
        hearts
            .end()
            .with_code(1)
            .saying(&["of main", "failed: Broken pipe"]);
    }
}
