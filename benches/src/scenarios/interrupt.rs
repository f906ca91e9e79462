//! From SIGINT until the process is gone.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::SIGINT;
use signal_hook::flag::register_conditional_shutdown;

use crate::asleep;
use crate::workload::{Figures, median};

/// One of the programs of [`programs`](crate::programs). Small ones are measured more often: their
/// time is that of a few thread switches.
pub fn program(implementation: &str, threads: usize) -> Figures {
    let often = if threads == 0 { 21 } else { 3 };
    let run = || {
        let arguments = [implementation, &threads.to_string()];
        gone(Command::new(sibling("program")).args(arguments), 1)
    };
    let gone: Vec<f64> = (0..often).map(|_| run()).collect();
    vec![("gone", median(&gone))]
}

/// The program `heartbeat` of the examples, after the first beat of each of its three hearts.
pub fn heartbeat() -> Figures {
    vec![("gone", gone(&mut Command::new(sibling("heartbeat")), 3))]
}

fn sibling(program: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a path");
    own.with_file_name(program)
}

/// Starts a program, reads so many lines, waits until all its threads sleep, and interrupts it.
fn gone(command: &mut Command, lines: usize) -> f64 {
    heed_interrupts();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a program, built beside this one");
    // Kept open: who cannot write any more ends by itself.
    let mut stdout = BufReader::new(child.stdout.take().expect("piped")).lines();
    let read = stdout.by_ref().take(lines).map_while(Result::ok).count();
    assert_eq!(read, lines, "lines of {command:?}");
    asleep::wait_for_process(child.id());
    interrupt(&mut child)
}

/// The system's effect of SIGINT, for those that we start: were it ignored here, as it is in the
/// background of some shells, it would be ignored there. What has a handler here has its default
/// effect there.
fn heed_interrupts() {
    let always = Arc::new(AtomicBool::new(true));
    register_conditional_shutdown(SIGINT, 130, always).expect("a handler");
}

fn interrupt(child: &mut Child) -> f64 {
    let pid = Pid::from_raw(child.id().try_into().expect("a pid"));
    let from = Instant::now();
    kill(pid, Signal::SIGINT).expect("a live process");
    child.wait().expect("our child");
    from.elapsed().as_nanos() as f64
}
