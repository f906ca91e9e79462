//! Runs gdb, and parses its backtraces.

use std::fs;
use std::process::{Command, Stdio};

/// The backtraces of all threads of a process.
pub(crate) struct Backtrace {
    pub(crate) threads: Vec<Thread>,
    /// The address at which the program is loaded.
    base: u64,
}

pub(crate) struct Thread {
    /// The name as the system has it, truncated.
    name: String,
    pub(crate) text: String,
    pub(crate) frames: Vec<Frame>,
}

/// A line of a backtrace.
pub(crate) struct Frame {
    pub(crate) address: Option<u64>,
    pub(crate) function: String,
    pub(crate) arguments: String,
    /// "src/main.rs:52"
    pub(crate) place: Option<String>,
}

impl Backtrace {
    /// The thread of a routine.
    pub(crate) fn of(&self, routine: &str) -> &Thread {
        let is_its = |thread: &&Thread| routine.starts_with(&thread.name);
        let found = self.threads.iter().find(is_its);
        found.unwrap_or_else(|| panic!("gdb shows no thread '{routine}'"))
    }

    /// Whether a thread has a call at this offset in the program. gdb shows the return address.
    pub(crate) fn has_offset(&self, thread: &Thread, offset: u64) -> bool {
        let mut addresses = thread.frames.iter().filter_map(|frame| frame.address);
        addresses.any(|address| address == self.base + offset + 1)
    }
}

pub(crate) fn ask(process: u32) -> Backtrace {
    let program = fs::read_link(format!("/proc/{process}/exe")).expect("its program");
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("its maps");
    let program = program.to_str().expect("a path in UTF-8");
    let first = maps
        .lines()
        .find(|line| line.ends_with(program))
        .expect("it is mapped");
    let (start, _) = first.split_once('-').expect("a range");
    let output = Command::new("gdb")
        .args(["-batch", "-nx", "-p", &process.to_string()])
        .args(["-ex", "set width 0", "-ex", "set print entry-values no"])
        .args(["-ex", "thread apply all bt"])
        .stdin(Stdio::null())
        .output()
        .expect("gdb");
    let text = String::from_utf8_lossy(&output.stdout);
    let threads = threads(&text);
    assert!(
        !threads.is_empty(),
        "gdb cannot attach: it needs root, or kernel.yama.ptrace_scope = 0\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Backtrace {
        threads,
        base: u64::from_str_radix(start, 16).expect("an address"),
    }
}

fn threads(text: &str) -> Vec<Thread> {
    let mut threads = Vec::new();
    for paragraph in text.split("\n\n") {
        let Some((head, frames)) = paragraph.trim_start().split_once('\n') else {
            continue;
        };
        if !head.starts_with("Thread ") {
            continue;
        }
        let name = head.split('"').nth(1).unwrap_or_default();
        let lines: Vec<_> = frames
            .lines()
            .filter(|line| line.starts_with('#'))
            .collect();
        threads.push(Thread {
            name: name.to_owned(),
            text: lines.join("\n"),
            frames: lines.iter().map(|line| frame(line)).collect(),
        });
    }
    threads
}

/// "#2  0x000055f1 in store::flush (self=...) at src/store.rs:88"
fn frame(line: &str) -> Frame {
    let (_, rest) = line.split_once(' ').expect("a number");
    let rest = rest.trim_start();
    let (address, rest) = match rest.split_once(" in ") {
        Some((address, rest)) if address.starts_with("0x") => {
            (u64::from_str_radix(&address[2..], 16).ok(), rest)
        }
        _ => (None, rest),
    };
    let (call, place) = match rest.rsplit_once(" at ") {
        Some((call, place)) => (call, Some(place.to_owned())),
        None => (rest, None),
    };
    let (function, arguments) = call.split_at(end_of_function(call));
    Frame {
        address,
        function: function.to_owned(),
        arguments: arguments.trim().to_owned(),
        place,
    }
}

/// Where the arguments begin. They are in brackets, as types may be, too.
fn end_of_function(call: &str) -> usize {
    let mut depth = 0;
    let mut before = ' ';
    for (at, c) in call.char_indices() {
        match c {
            '<' => depth += 1,
            // The '>' of "fn() -> T" closes nothing.
            '>' if before != '-' => depth -= 1,
            '(' if depth == 0 && before == ' ' => return at - 1,
            _ => {}
        }
        before = c;
    }
    call.len()
}
