//! The machine on which the figures were measured.

use std::fs;
use std::process::Command;
use std::thread;

/// The processor, cores, kernel and compiler.
pub(crate) fn facts() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{}, {cores} cores, {} {}, {}",
        processor(),
        std::env::consts::ARCH,
        format_args!("Linux {}", kernel.trim()),
        said_by("rustc", &["--version"]),
    )
}

/// The date in UTC.
pub(crate) fn today() -> String {
    said_by("date", &["--utc", "+%F"])
}

fn processor() -> String {
    let all = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = all.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned());
    model.unwrap_or_else(|| "a processor without a name".to_owned())
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}
