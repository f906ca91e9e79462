//! Lines that child processes write, captured by a program that puts the name of the process before each.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::interrupt::sibling;
use crate::captures::LINES;
use crate::workload::Figures;

/// Runs one of the capturing programs. Measures the time from its first line to its last.
pub fn captured(implementation: &str, processes: usize) -> Figures {
    let mut child = Command::new(sibling("program"))
        .args([implementation, &processes.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a program, built beside this one");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let ready = lines.next().expect("a line").expect("text");
    assert_eq!(ready, "ready");
    let from = Instant::now();
    let captured = lines.by_ref().take(processes * LINES);
    let captured = captured.filter(|line| line.as_ref().is_ok_and(|line| line.contains(" | ")));
    assert_eq!(captured.count(), processes * LINES);
    let took = from.elapsed();
    drop(lines);
    child.wait().expect("our child");
    vec![("lines", took.as_nanos() as f64)]
}
