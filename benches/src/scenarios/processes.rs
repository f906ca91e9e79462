//! Child processes that are started, told to quit, and reaped.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use quitter::Quitter;

use crate::asleep;
use crate::flags::Flag;
use crate::workload::Figures;

/// Routines of a quitter.
pub fn quitter(n: usize) -> Figures {
    let root = <Quitter as Flag>::new();
    let from = Instant::now();
    let start = || root.add_process(sleep()).expect("a process").pid();
    let pids: Vec<_> = (0..n).map(|_| start()).collect();
    let started = from.elapsed();
    pids.into_iter().for_each(asleep::wait_for_process);
    let from = Instant::now();
    root.quit_and_wait(Duration::MAX).expect("no limit");
    figures(started, from)
}

/// A loop that starts the processes, one that signals them, and one that reaps them.
pub fn by_hand(n: usize) -> Figures {
    let from = Instant::now();
    let start = || sleep().process_group(0).spawn().expect("a process");
    let mut children: Vec<_> = (0..n).map(|_| start()).collect();
    let started = from.elapsed();
    children
        .iter()
        .map(Child::id)
        .for_each(asleep::wait_for_process);
    let from = Instant::now();
    for child in &children {
        let group = Pid::from_raw(child.id().cast_signed());
        killpg(group, Signal::SIGTERM).expect("a group");
    }
    for child in &mut children {
        child.wait().expect("our child");
    }
    figures(started, from)
}

fn sleep() -> Command {
    let mut command = Command::new("sleep");
    command.arg("1000");
    command
}

fn figures(started: Duration, quit: Instant) -> Figures {
    vec![
        ("start", started.as_nanos() as f64),
        ("quit", quit.elapsed().as_nanos() as f64),
    ]
}
