//! Makes a stack readable: leaves out what is not the program's own, and shortens names.

use super::Frame;
use super::modules::is_systems;

/// A call as the symbols tell it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) function: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) module: Option<String>,
    pub(super) offset: u64,
}

/// Whose code a call is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The program, or one of its dependencies.
    Program,
    /// The system's libraries, Rust's, those of channels and locks, or quitter's own.
    System,
    /// Code that leads to a routine, and that nobody calls to wait.
    Machinery,
}

/// Keeps the program's own calls, and above them the one call of the system's that they wait in. Where
/// nothing is the program's own, keeps the outermost call that says something.
pub(super) fn trim(mut calls: Vec<Call>, root: Option<&str>) -> Vec<Frame> {
    calls.iter_mut().for_each(qualify);
    let owners: Vec<Owner> = calls.iter().map(owner).collect();
    let is_own = |at: &usize| owners[*at] == Owner::Program;
    let first_own = (0..calls.len()).find(is_own);
    let inner = &owners[..first_own.unwrap_or(calls.len())];
    let waits_in = inner.iter().rposition(|owner| *owner == Owner::System);
    let waits_in = waits_in.or((first_own.is_none() && !calls.is_empty()).then_some(0));
    let mut frames = Vec::new();
    for (at, call) in calls.into_iter().enumerate() {
        if waits_in == Some(at) {
            frames.push(system_frame(call));
        } else if owners[at] == Owner::Program {
            frames.push(frame(call, root));
        }
    }
    frames
}

/// The folder that `file`, the absolute path of a place that is relative, was compiled in.
pub(super) fn root_of<'a>(file: &'a str, place: &str) -> Option<&'a str> {
    let root = file.strip_suffix(place)?;
    (root.starts_with('/') && root.ends_with('/') && root.len() > 1).then_some(root)
}

/// Line tables alone name functions without their paths. Those of libraries follow from their files.
fn qualify(call: &mut Call) {
    let (Some(function), Some(file)) = (&mut call.function, &call.file) else {
        return;
    };
    let name = without_brackets(function);
    if !name.contains("::")
        && let Some(module) = module_of(file)
    {
        *function = format!("{module}::{name}");
    }
}

/// The module in a file of Rust's libraries, of quitter's core, or of a crate from a registry:
/// "/rustc/0123/library/std/src/sync/mpsc/mod.rs" is "std::sync::mpsc".
fn module_of(file: &str) -> Option<String> {
    let in_registry = file.split_once(REGISTRY).map(|(_, file)| file);
    let (folder, file) = in_registry.unwrap_or(file).rsplit_once("/src/")?;
    let (parent, name) = folder.rsplit_once('/')?;
    let is_library = parent.ends_with("/library") || in_registry.is_some();
    if !is_library && name != "quitter-core" {
        return None;
    }
    let without_version = name.rsplit_once('-').filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()));
    let crate_name = without_version.map_or(name, |(name, _)| name).replace('-', "_");
    let module = file.strip_suffix(".rs")?;
    let module = module.strip_suffix("/mod").unwrap_or(module);
    Some(match module {
        "lib" => crate_name,
        module => format!("{crate_name}::{}", module.replace('/', "::")),
    })
}

fn owner(call: &Call) -> Owner {
    if call.module.as_deref().is_some_and(is_systems) {
        return Owner::System;
    }
    let Some(function) = &call.function else {
        return Owner::Program;
    };
    const MACHINERY: [&str; 15] = [
        "core::ops::function::",
        "std::panicking::",
        "std::panic::",
        "core::panic::",
        "std::sys::backtrace::",
        "std::rt::",
        "std::thread::lifecycle::",
        "std::thread::Builder::",
        "std::sys::thread::",
        "std::sys::pal::unix::thread::",
        "alloc::boxed::Box",
        "quitter_core::routine::live::",
        "quitter_core::routine::panics::",
        "quitter_core::routine::guard::",
        "quitter_core::main_quitter::",
    ];
    const ENTRIES: [&str; 7] = [
        "__rust_try",
        "main",
        "_start",
        "__libc_start_main",
        "__libc_start_call_main",
        "clone",
        "start_thread",
    ];
    let path = path_of(function);
    let is_entry = ENTRIES.contains(&&*path);
    if is_entry || MACHINERY.iter().any(|start| path.starts_with(start)) {
        return Owner::Machinery;
    }
    const SYSTEM: [&str; 9] = [
        "std::",
        "core::",
        "alloc::",
        "crossbeam_channel::",
        "lock_api::",
        "parking_lot::",
        "parking_lot_core::",
        "quitter_core::",
        "quitter::",
    ];
    let is_test = path.contains("::tests::");
    let is_rusts = call.file.as_deref().is_some_and(is_rusts_source);
    match is_rusts || !is_test && SYSTEM.iter().any(|start| path.starts_with(start)) {
        true => Owner::System,
        false => Owner::Program,
    }
}

/// The libraries of Rust, also where a type of the program's own gave a function its name.
fn is_rusts_source(file: &str) -> bool {
    file.starts_with("/rustc/") || file.contains("/lib/rustlib/src/rust/library/")
}

fn frame(call: Call, root: Option<&str>) -> Frame {
    Frame {
        function: name(&call),
        file: call.file.map(|file| short_file(&file, root)),
        line: call.line,
        module: call.module,
        offset: call.offset,
    }
}

/// Where a call is in the system's own source says nothing to a reader.
fn system_frame(call: Call) -> Frame {
    let function = call.function.as_deref().map(|name| {
        public(&path_of(without_prefixes(name)))
    });
    Frame {
        function: function.unwrap_or_else(|| name(&call)),
        file: None,
        line: None,
        module: call.module,
        offset: call.offset,
    }
}

/// glibc has names with prefixes for use inside itself: "__GI___libc_read" is "read".
fn without_prefixes(name: &str) -> &str {
    let public = name.strip_prefix("__GI_").unwrap_or(name);
    let public = public.strip_prefix("__").unwrap_or(public);
    public.strip_prefix("libc_").unwrap_or(public)
}

/// "store::flush", or "store+0x1a2b" of a function without a name.
fn name(call: &Call) -> String {
    match (&call.function, &call.module) {
        (Some(function), _) => path_of(function),
        (None, Some(module)) => format!("{module}+{:#x}", call.offset),
        (None, None) => format!("{:#x}", call.offset),
    }
}

const REGISTRY: &str = "/registry/src/";

fn short_file(file: &str, root: Option<&str>) -> String {
    if let Some(file) = root.and_then(|root| file.strip_prefix(root)) {
        return file.to_owned();
    }
    let in_registry = file.split_once(REGISTRY).and_then(|(_, file)| file.split_once('/'));
    in_registry.map_or(file, |(_, file)| file).to_owned()
}

/// Leaves out modules of std that only its authors see: "std::sync::poison::mutex::Mutex::lock".
fn public(path: &str) -> String {
    const PRIVATE: [&str; 20] = [
        "barrier", "builder", "condvar", "functions", "futex", "join_handle", "lazy_lock", "mutex", "net",
        "once", "once_lock", "pal", "poison", "reentrant_lock", "rwlock", "scoped", "stdio", "tcp", "udp",
        "unix",
    ];
    let Some(std) = path.strip_prefix("std::") else {
        return path.replace("quitter_core::routine::quitter::", "quitter::")
            .replace("quitter_core::routine::handle::", "quitter::")
            .replace("quitter_core::routine::ticks::", "quitter::")
            .replace("quitter_core::quitter::", "quitter::")
            .replace("crossbeam_channel::channel::", "crossbeam_channel::")
            .replace("crossbeam_channel::select::", "crossbeam_channel::")
    };
    // With optimization the public call is often gone, and what it calls is left.
    let std = std.strip_prefix("sys::sync::").map_or(std.to_owned(), |inner| {
        format!("sync::{}", inner.strip_suffix("_contended").unwrap_or(inner))
    });
    let segments = std.split("::").enumerate();
    let is_public = |(at, name): &(usize, &str)| *at == 0 || !PRIVATE.contains(name);
    let kept: Vec<_> = segments.filter(is_public).map(|(_, name)| name).collect();
    format!("std::{}", kept.join("::"))
}

/// A function's path without types in angle brackets:
/// "<std::net::TcpStream as std::io::Read>::read" is "std::net::TcpStream::read".
fn path_of(function: &str) -> String {
    let (start, rest) = match function.strip_prefix('<') {
        Some(inner) => match closing(inner) {
            Some(end) => (self_type(&inner[..end]), &inner[end + 1..]),
            None => return function.to_owned(),
        },
        None => (String::new(), function),
    };
    start + &without_brackets(rest).replace("{{closure}}", "{closure}")
}

/// Where the bracket closes that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            // Not that of "fn() -> T".
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        before = c;
    }
    None
}

/// The type of "T as Trait", by its path.
fn self_type(text: &str) -> String {
    let mut depth = 0;
    let mut end = text.len();
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if before != '-' => depth -= 1,
            ')' | ']' => depth -= 1,
            ' ' if depth == 0 && text[at..].starts_with(" as ") => {
                end = at;
                break;
            }
            _ => {}
        }
        before = c;
    }
    let mut of = text[..end].trim();
    while let Some(inner) = ["&mut ", "&", "dyn "].iter().find_map(|sign| of.strip_prefix(sign)) {
        of = inner;
    }
    path_of(of)
}

/// Leaves out everything in angle brackets, with "::" before it.
fn without_brackets(text: &str) -> String {
    let mut path = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let inner = &rest[at + 1..];
        let Some(end) = closing(inner) else {
            break;
        };
        path.push_str(rest[..at].strip_suffix("::").unwrap_or(&rest[..at]));
        rest = &inner[end + 1..];
    }
    path + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(function: &str) -> Call {
        Call {
            function: Some(function.to_owned()),
            file: Some("/home/me/store/src/store.rs".to_owned()),
            line: Some(88),
            module: Some("store".to_owned()),
            offset: 0x1a2b,
        }
    }

    fn trimmed(functions: &[&str]) -> Vec<String> {
        let calls = functions.iter().map(|function| call(function)).collect();
        let frames = trim(calls, None);
        frames.into_iter().map(|frame| frame.function).collect()
    }

    #[test]
    fn names_lose_generics_references_and_traits() {
        for (long, short) in [
            ("store::flush", "store::flush"),
            ("std::sync::mpsc::Receiver<T>::recv", "std::sync::mpsc::Receiver::recv"),
            ("<std::sync::mpsc::Receiver<(u8, fn() -> u8)>>::recv", "std::sync::mpsc::Receiver::recv"),
            ("<&mut std::net::TcpStream as std::io::Read>::read", "std::net::TcpStream::read"),
            ("store::map::<u8, store::F<dyn Fn() -> u8>>::{closure#0}", "store::map::{closure#0}"),
            ("store::main::{{closure}}", "store::main::{closure}"),
            ("<dyn store::Sink<u8> as store::Close>::close", "store::Sink::close"),
            ("<[u8] as store::Hash>::hash", "[u8]::hash"),
            ("broken<", "broken<"),
            ("<broken", "<broken"),
        ] {
            assert_eq!(path_of(long), short);
        }
    }

    #[test]
    fn only_the_call_that_waits_and_the_programs_own_calls_are_kept() {
        let frames = trimmed(&[
            "syscall",
            "std::sys::pal::unix::futex::futex_wait",
            "std::sys::sync::mutex::futex::Mutex::lock_contended",
            "std::sync::poison::mutex::Mutex<T>::lock",
            "store::flush_to_disk",
            "core::iter::traits::iterator::Iterator::for_each",
            "store::flusher",
            "core::ops::function::FnOnce::call_once",
            "quitter_core::routine::live::Live::run::{{closure}}",
            "std::panicking::catch_unwind",
            "std::sys::thread::unix::Thread::new::thread_start",
        ]);
        assert_eq!(
            frames,
            // Without a module of the system's, "syscall" may be anybody's.
            ["syscall", "store::flush_to_disk", "store::flusher"]
        );
        let frames = trimmed(&[
            "std::sys::pal::unix::futex::futex_wait",
            "std::sync::poison::mutex::Mutex<T>::lock",
            "store::flush_to_disk",
        ]);
        assert_eq!(frames, ["std::sync::Mutex::lock", "store::flush_to_disk"]);
    }

    #[test]
    fn a_channel_or_lock_of_a_library_is_the_one_call_that_waits() {
        let frames = trimmed(&[
            "std::thread::functions::park",
            "crossbeam_channel::context::Context::wait_until",
            "crossbeam_channel::flavors::list::Channel<T>::recv",
            "crossbeam_channel::channel::Receiver<T>::recv",
            "store::flusher",
        ]);
        assert_eq!(frames, ["crossbeam_channel::Receiver::recv", "store::flusher"]);
        let frames = trimmed(&[
            "parking_lot::raw_mutex::RawMutex::lock_slow",
            "lock_api::mutex::Mutex<R,T>::lock",
            "store::flusher",
        ]);
        assert_eq!(frames, ["lock_api::mutex::Mutex::lock", "store::flusher"]);
    }

    #[test]
    fn what_optimization_leaves_of_a_call_has_the_name_of_the_call() {
        for (left, public) in [
            ("std::sys::sync::mutex::futex::Mutex::lock_contended", "std::sync::Mutex::lock"),
            ("std::sys::sync::rwlock::futex::RwLock::read_contended", "std::sync::RwLock::read"),
            ("std::sys::sync::condvar::futex::Condvar::wait", "std::sync::Condvar::wait"),
        ] {
            assert_eq!(trimmed(&[left, "store::flusher"]), [public, "store::flusher"]);
        }
        for (left, public) in [("__GI___libc_read", "read"), ("__GI___poll", "poll"), ("syscall", "syscall")] {
            let inner = Call {
                module: Some("libc.so.6".to_owned()),
                ..call(left)
            };
            let frames = trim(vec![inner, call("store::flusher")], None);
            assert_eq!(frames[0].function, public);
        }
    }

    #[test]
    fn a_routine_that_is_a_call_of_std_shows_that_call() {
        let frames = trimmed(&[
            "std::sys::pal::unix::futex::futex_wait",
            "std::thread::functions::park",
            "core::ops::function::FnOnce::call_once",
            "quitter_core::routine::live::Live::call",
        ]);
        assert_eq!(frames, ["std::thread::park"]);
        assert_eq!(trimmed(&["core::ops::function::FnOnce::call_once"]).len(), 1);
        assert!(trimmed(&[]).is_empty());
    }

    #[test]
    fn line_tables_without_paths_are_trimmed_by_their_files() {
        let at = |function: &str, file: &str| Call {
            file: Some(file.to_owned()),
            ..call(function)
        };
        let registry = "/root/.cargo/registry/src/index-1";
        let frames = trim(
            vec![
                at("futex_wait", "/rustc/0123/library/std/src/sys/pal/unix/futex.rs"),
                at("lock", "/rustc/0123/library/std/src/sync/poison/mutex.rs"),
                at("{closure#0}<a::T>", &format!("{registry}/db-pool-1.0.2/src/flush/mod.rs")),
                at("flush", "/home/me/store/src/store.rs"),
                at("call_once", "/rustc/0123/library/core/src/ops/function.rs"),
                at("run", &format!("{registry}/quitter-core-0.1.0/src/routine/live.rs")),
                at("catch", "/home/me/quitter/quitter-core/src/routine/panics.rs"),
            ],
            None,
        );
        let names: Vec<_> = frames.iter().map(|frame| &frame.function[..]).collect();
        assert_eq!(names, ["std::sync::lock", "db_pool::flush::{closure#0}", "flush"]);
    }

    #[test]
    fn code_without_names_is_shown_by_module_and_offset() {
        let unnamed = |module: Option<&str>| Call {
            function: None,
            module: module.map(str::to_owned),
            ..call("")
        };
        let frames = trim(
            vec![unnamed(Some("libc.so.6")), unnamed(Some("store")), unnamed(None)],
            None,
        );
        let names: Vec<_> = frames.iter().map(|frame| &frame.function[..]).collect();
        assert_eq!(names, ["libc.so.6+0x1a2b", "store+0x1a2b", "0x1a2b"]);
    }

    #[test]
    fn files_are_shown_as_the_compiler_was_given_them() {
        let file = "/home/me/store/src/store.rs";
        let root = root_of(file, "src/store.rs");
        assert_eq!(root, Some("/home/me/store/"));
        assert_eq!(root_of(file, "c/store.rs"), None);
        assert_eq!(root_of(file, file), None);
        assert_eq!(short_file("/home/me/store/src/db.rs", root), "src/db.rs");
        assert_eq!(
            short_file("/root/.cargo/registry/src/index-1/db-1.0.2/src/lib.rs", root),
            "db-1.0.2/src/lib.rs"
        );
    }
}
