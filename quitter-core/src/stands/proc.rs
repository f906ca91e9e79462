//! The files of `/proc` that say what a thread does, and how to read them.

use std::ffi::c_long;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crate::stat::Stat;
use crate::system;

/// The source of all readings; tests supply their own texts.
pub(super) trait Files {
    /// The first `most` bytes of a file. `None` if it does not exist or is hidden.
    fn read(&self, path: &str, most: usize) -> Option<String>;
    /// The target of a symbolic link.
    fn link(&self, path: &str) -> Option<String>;
    /// The ids of all threads of this process. `None` if there are more than `most`, or they are hidden.
    fn threads(&self, most: usize) -> Option<Vec<u64>>;
    /// `bytes` bytes of memory at `address`. `None` if they cannot all be read.
    fn memory(&self, whose: Whose, address: u64, bytes: u64) -> Option<Vec<u8>>;
    /// The CPU time that a thread of this process, or another process, has used.
    fn cpu(&self, of: Whose) -> Option<Duration>;
}

/// A thread of this process, or another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    Thread(u64),
    Process(u32),
}

impl Whose {
    /// The directory with the state of the thread, or of the process's first thread.
    pub(super) fn folder(self) -> String {
        match self {
            Self::Thread(id) => format!("/proc/self/task/{id}"),
            Self::Process(pid) => format!("/proc/{pid}"),
        }
    }

    /// The directory with what all threads share.
    pub(super) fn process(self) -> String {
        match self {
            Self::Thread(_) => "/proc/self".to_owned(),
            Self::Process(pid) => format!("/proc/{pid}"),
        }
    }
}

pub(super) struct System;

impl Files for System {
    fn read(&self, path: &str, most: usize) -> Option<String> {
        let mut file = File::open(path).ok()?;
        let mut bytes = vec![0; most.min(SHORT)];
        // A short file comes in one read. Looking for its end would take half as long again.
        let read = file.read(&mut bytes).ok()?;
        bytes.truncate(read);
        if most > SHORT {
            let mut rest = file.take((most - read) as u64);
            rest.read_to_end(&mut bytes).ok()?;
        }
        Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    fn link(&self, path: &str) -> Option<String> {
        let target = fs::read_link(path).ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    fn memory(&self, whose: Whose, address: u64, bytes: u64) -> Option<Vec<u8>> {
        let memory = File::open(format!("{}/mem", whose.process())).ok()?;
        let mut read = vec![0; usize::try_from(bytes).ok()?];
        memory.read_exact_at(&mut read, address).ok()?;
        Some(read)
    }

    fn threads(&self, most: usize) -> Option<Vec<u64>> {
        let mut threads = Vec::new();
        for entry in fs::read_dir("/proc/self/task").ok()? {
            if threads.len() == most {
                return None;
            }
            threads.push(entry.ok()?.file_name().to_str()?.parse().ok()?);
        }
        Some(threads)
    }

    fn cpu(&self, of: Whose) -> Option<Duration> {
        match of {
            Whose::Thread(id) => system::thread_cpu_time(id),
            Whose::Process(pid) => system::process_cpu_time(pid),
        }
    }
}

/// The state of a thread according to `/proc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    InCall(Call),
    /// It waits in this function of the kernel.
    Waits(String),
    /// A process that does nothing until it is told to continue.
    Suspended,
    /// The thread exists, but nothing else can be read about it.
    Unknown,
}

/// A system call, as the kernel numbers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) number: c_long,
    pub(super) args: [u64; 6],
    /// The stack pointer.
    pub(super) stack: u64,
}

/// How much of a file about one thread is read. All of them are much shorter.
const SHORT: usize = 4096;

/// Reads what a thread does. `None` if it does not exist, or everything is hidden. Without `calls_are_known`,
/// call numbers mean nothing.
pub(super) fn state(files: &impl Files, whose: Whose, calls_are_known: bool) -> Option<State> {
    let folder = whose.folder();
    let read = |name: &str| files.read(&format!("{folder}/{name}"), SHORT);
    // A suspended process may be in a call, but does not wait in it.
    if matches!(whose, Whose::Process(_))
        && let Some(stat) = read("stat")
        && let Some(stat) = Stat::parse(&stat)
        && matches!(stat.state, 'T' | 't')
    {
        return Some(State::Suspended);
    }
    let call = read("syscall");
    match call.as_deref().and_then(parse_call) {
        Some(State::InCall(call)) if calls_are_known => return Some(State::InCall(call)),
        Some(State::Running) => return Some(State::Running),
        _ => {}
    }
    let stat = read("stat");
    let state = stat.as_deref().and_then(Stat::parse).map(|stat| stat.state);
    if state == Some('R') {
        return Some(State::Running);
    }
    // `wchan` is "0" for a thread that runs, and where the function is hidden.
    let function = read("wchan").filter(|name| !matches!(name.trim(), "" | "0"));
    match (function, state) {
        (Some(function), _) => Some(State::Waits(function.trim().to_owned())),
        (None, Some(_)) => Some(State::Unknown),
        (None, None) => None,
    }
}

/// Whether a thread of this process runs, or waits only for a processor.
pub(super) fn is_ready_to_run(files: &impl Files, thread: u64) -> bool {
    let stat = files.read(&format!("{}/stat", Whose::Thread(thread).folder()), SHORT);
    stat.as_deref()
        .and_then(Stat::parse)
        .is_some_and(|stat| stat.state == 'R')
}

/// Whether this is the id of a child process that was not reaped.
pub(super) fn is_child(files: &impl Files, pid: u32) -> bool {
    let stat = files.read(&format!("/proc/{pid}/stat"), SHORT);
    let stat = stat.as_deref().and_then(Stat::parse);
    stat.and_then(|stat| stat.value(4)) == Some(std::process::id())
}

/// Whether the call numbers in `/proc` are those of this program's architecture, which they are not under
/// emulation. The check reads this thread's own call: it must be `read`.
pub(super) fn calls_are_known(files: &impl Files) -> bool {
    let own = files.read("/proc/thread-self/syscall", SHORT);
    match own.as_deref().and_then(parse_call) {
        Some(State::InCall(call)) => call.number == libc::SYS_read,
        _ => false,
    }
}

/// Whether `/proc` uses the same process and thread ids as the system calls: it may belong to another
/// namespace.
pub(super) fn is_of_this_namespace(files: &impl Files) -> bool {
    let own = files.link("/proc/self");
    own.is_some_and(|own| own == std::process::id().to_string())
}

/// Parses `syscall`: "running", or "202 0x7f… (six arguments) 0x7f… (stack) 0x7f… (instruction)". Returns
/// `None` for anything else, such as "-1 …" for a thread that waits outside any call.
fn parse_call(text: &str) -> Option<State> {
    let mut words = text.split_ascii_whitespace();
    let first = words.next()?;
    if first == "running" {
        return Some(State::Running);
    }
    let number = first.parse().ok().filter(|number: &c_long| *number >= 0)?;
    let mut hexadecimal = || {
        let digits = words.next()?.strip_prefix("0x")?;
        u64::from_str_radix(digits, 16).ok()
    };
    let mut args = [0; 6];
    for arg in &mut args {
        *arg = hexadecimal()?;
    }
    let stack = hexadecimal()?;
    Some(State::InCall(Call {
        number,
        args,
        stack,
    }))
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Texts instead of files.
    #[derive(Default)]
    pub(crate) struct Texts {
        pub(crate) files: HashMap<String, String>,
        pub(crate) links: HashMap<String, String>,
        pub(crate) threads: Vec<u64>,
        /// By address.
        pub(crate) memory: HashMap<u64, Vec<u8>>,
    }

    impl Texts {
        /// A `/proc` that is readable and belongs to this process.
        pub(crate) fn new() -> Self {
            let read = libc::SYS_read;
            let own = format!("{read} 0x3 0x1 0x2 0x0 0x0 0x0 0x7ff000000000 0x7ff000000001\n");
            let texts = Self::default().file("/proc/thread-self/syscall", &own);
            texts.link("/proc/self", &std::process::id().to_string())
        }

        pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
            self.files.insert(path.to_owned(), text.to_owned());
            self
        }

        pub(crate) fn link(mut self, path: &str, target: &str) -> Self {
            self.links.insert(path.to_owned(), target.to_owned());
            self
        }

        /// Adds a thread that is in a call.
        pub(crate) fn in_call(self, id: u64, number: c_long, args: [u64; 6]) -> Self {
            let [a, b, c, d, e, f] = args;
            let text = format!(
                "{number} {a:#x} {b:#x} {c:#x} {d:#x} {e:#x} {f:#x} 0x7ff000000000 0x7ff000000001\n"
            );
            let mut texts = self.file(&format!("/proc/self/task/{id}/syscall"), &text);
            texts.threads.push(id);
            texts
        }
    }

    impl Files for Texts {
        fn read(&self, path: &str, most: usize) -> Option<String> {
            let text = self.files.get(path)?;
            Some(text[..text.len().min(most)].to_owned())
        }

        fn link(&self, path: &str) -> Option<String> {
            self.links.get(path).cloned()
        }

        fn threads(&self, most: usize) -> Option<Vec<u64>> {
            (self.threads.len() <= most).then(|| self.threads.clone())
        }

        fn memory(&self, _: Whose, address: u64, bytes: u64) -> Option<Vec<u8>> {
            let read = self.memory.get(&address)?;
            (read.len() as u64 == bytes).then(|| read.clone())
        }

        fn cpu(&self, _: Whose) -> Option<Duration> {
            Some(Duration::ZERO)
        }
    }

    const THREAD: Whose = Whose::Thread(7);

    fn stat(name: &str, state: char) -> String {
        format!("7 ({name}) {state} 1 1 1 0 -1 4194304 126 0 1 0 0 0\n")
    }

    #[test]
    fn a_call_is_read_with_its_arguments() {
        let texts = Texts::new().in_call(7, 202, [0x7f00, 0x80, 2, 0, 0, u64::MAX]);
        let state = state(&texts, THREAD, true);
        let Some(State::InCall(call)) = state else {
            panic!("{state:?}")
        };
        assert_eq!(call.number, 202);
        assert_eq!(call.args, [0x7f00, 0x80, 2, 0, 0, u64::MAX]);
    }

    #[test]
    fn where_the_call_is_hidden_the_kernels_function_is_read() {
        let texts = Texts::new()
            .file("/proc/self/task/7/stat", &stat("worker", 'S'))
            .file("/proc/self/task/7/wchan", "pipe_read");
        let waits = State::Waits("pipe_read".to_owned());
        assert_eq!(state(&texts, THREAD, true), Some(waits.clone()));
        // Also if the call is there, but its number means nothing.
        let texts = texts.in_call(7, 63, [0; 6]);
        assert_eq!(state(&texts, THREAD, false), Some(waits.clone()));
        // A thread in a page fault is in no call.
        let texts = texts.file("/proc/self/task/7/syscall", "-1 0x7ff0 0x7ff1\n");
        assert_eq!(state(&texts, THREAD, true), Some(waits));
    }

    #[test]
    fn a_thread_of_which_nothing_is_readable_but_that_it_is_there_is_unknown() {
        let texts = Texts::new()
            .file("/proc/self/task/7/stat", &stat("worker", 'S'))
            .file("/proc/self/task/7/wchan", "0");
        assert_eq!(state(&texts, THREAD, true), Some(State::Unknown));
        assert_eq!(state(&Texts::new(), THREAD, true), None);
    }

    #[test]
    fn a_thread_is_not_what_its_name_pretends() {
        let forged = stat(") R 1 (\n7 (a) S", 'D');
        let texts = Texts::new().file("/proc/self/task/7/stat", &forged);
        assert_eq!(state(&texts, THREAD, true), Some(State::Unknown));
        let texts = Texts::new().file("/proc/self/task/7/stat", &stat("x) S", 'R'));
        assert_eq!(state(&texts, THREAD, true), Some(State::Running));
    }

    #[test]
    fn texts_that_are_cut_or_strange_are_nothing() {
        for text in [
            "",
            "\n",
            "202",
            "202 0x1",
            "202 1 2 3 4 5 6 7 8",
            "-1 0x0 0x0",
            "x",
        ] {
            assert_eq!(parse_call(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_emulated_program_does_not_take_the_hosts_numbers_for_its_own() {
        assert!(calls_are_known(&Texts::new()));
        let other = "999 0x3 0x1 0x2 0x0 0x0 0x0 0x7ff000000000 0x7ff000000001\n";
        let emulated = Texts::new().file("/proc/thread-self/syscall", other);
        assert!(!calls_are_known(&emulated));
        assert!(!calls_are_known(&Texts::default()));
    }
}
