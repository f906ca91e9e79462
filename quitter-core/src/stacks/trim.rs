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
    /// The system's libraries, Rust's, or quitter's own.
    System,
    /// Code that leads to a routine, and that nobody calls to wait.
    Machinery,
}

/// Keeps the program's own calls, and above them the one call of the system's that they wait in. Where
/// nothing is the program's own, keeps the outermost call that says something.
///
/// Of a task, `async` functions and blocks are called as the functions that they are in.
pub(super) fn trim(mut calls: Vec<Call>, root: Option<&str>, is_task: bool) -> Vec<Frame> {
    calls.iter_mut().for_each(qualify);
    let owners: Vec<Owner> = calls.iter().map(owner).collect();
    let is_own = |at: &usize| owners[*at] == Owner::Program;
    let first_own = (0..calls.len()).find(is_own);
    let waits_in = waits_in(&calls, &owners[..first_own.unwrap_or(calls.len())]);
    let waits_in = waits_in.or((first_own.is_none() && !calls.is_empty()).then_some(0));
    let mut frames = Vec::new();
    for (at, mut call) in calls.into_iter().enumerate() {
        if is_task && let Some(function) = &mut call.function {
            *function = without_closures(&path_of(function)).to_owned();
        }
        if waits_in == Some(at) {
            frames.push(system_frame(call));
        } else if is_task && !frames.is_empty() && is_plumbing(&call) {
            // Leads from one `async` function to the next.
        } else if owners[at] == Owner::Program {
            frames.push(frame(call, root));
        }
    }
    frames
}

/// The outermost of the inner calls that are the system's. A future that awaits another one beside a
/// wait of its own is only meant where it is its own wait.
fn waits_in(calls: &[Call], inner: &[Owner]) -> Option<usize> {
    const WITH_OWN_WAITS: [(&str, &str); 2] = [
        ("tokio::time::timeout::", "tokio::time::sleep::"),
        ("quitter_core::cancel::", "quitter_core::tree::"),
    ];
    let path = |at: usize| calls[at].function.as_deref().map(path_of).unwrap_or_default();
    let mut found = inner.iter().rposition(|owner| *owner == Owner::System)?;
    loop {
        let of = path(found);
        let mut both = WITH_OWN_WAITS.iter();
        let Some((outer, own)) = both.find(|(outer, _)| of.starts_with(outer)) else {
            return Some(found);
        };
        let is_meant = |at: &usize| {
            let path = path(*at);
            let is_other = |start: &&str| !path.starts_with(start);
            inner[*at] == Owner::System && ["core::", "alloc::", outer].iter().all(is_other)
        };
        match (0..found).rev().find(is_meant) {
            Some(at) if !path(at).starts_with(own) => found = at,
            _ => return Some(found),
        }
    }
}

/// The `poll` of a library's future.
fn is_plumbing(call: &Call) -> bool {
    let function = call.function.as_deref().unwrap_or_default();
    let name = function.rsplit("::").next().unwrap_or_default();
    let is_librarys = call.file.as_deref().is_some_and(|file| file.contains(REGISTRY));
    is_librarys && (name == "poll" || name.starts_with("poll_"))
}

/// "store::flush" of "store::flush::{closure}", which is what its `async` code is called. Line tables alone
/// have "{async_fn#0}".
fn without_closures(mut path: &str) -> &str {
    while let Some((function, last)) = path.rsplit_once("::")
        && last.starts_with('{')
    {
        path = function;
    }
    match path {
        _ if path.starts_with("{async_fn#") => "async fn",
        _ if path.starts_with("{async_block#") => "async block",
        path => path,
    }
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
    const MACHINERY: [&str; 20] = [
        "tokio::future::",
        "core::task::",
        "core::future::",
        "core::pin::Pin",
        "quitter_core::stacks::",
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
    let is_test = path.contains("::tests::");
    let is_macro = |file: &str| file.contains("/tokio") && file.contains("/src/macros/");
    // Keeps a waker for those who await; or is the inside of `join!` or `select!`.
    if path.contains("::atomic_waker::") || call.file.as_deref().is_some_and(is_macro) {
        return Owner::Machinery;
    }
    if is_entry || !is_test && MACHINERY.iter().any(|start| path.starts_with(start)) {
        return Owner::Machinery;
    }
    const SYSTEM: [&str; 6] = [
        "std::", "core::", "alloc::", "tokio::", "quitter_core::", "quitter::",
    ];
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
        // Names that glibc uses inside itself.
        let name = name.strip_prefix("__GI_").unwrap_or(name);
        public(&path_of(name.trim_start_matches("__")))
    });
    Frame {
        function: function.unwrap_or_else(|| name(&call)),
        file: None,
        line: None,
        module: call.module,
        offset: call.offset,
    }
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
    if let Some(tokio) = path.strip_prefix("tokio::") {
        return public_of_tokio(path, tokio);
    }
    let Some(std) = path.strip_prefix("std::") else {
        return path.replace("quitter_core::routine::quitter::", "quitter::")
            .replace("quitter_core::routine::handle::", "quitter::")
            .replace("quitter_core::routine::ticks::", "quitter::")
            .replace("quitter_core::routine::awaiting::Done::poll", "quitter::Quitter::done")
            .replace("quitter_core::futures::QuitFuture::poll", "quitter::Quitter::quitting")
            .replace("quitter_core::cancel::CancelOnQuit::poll", "quitter::Quitter::cancel_on_quit")
            .replace("quitter_core::quitter::", "quitter::")
    };
    let segments = std.split("::").enumerate();
    let is_public = |(at, name): &(usize, &str)| *at == 0 || !PRIVATE.contains(name);
    let kept: Vec<_> = segments.filter(is_public).map(|(_, name)| name).collect();
    format!("std::{}", kept.join("::"))
}

/// The call that a program has made: "tokio::sync::Mutex::lock", of "tokio::sync::mutex::Mutex::lock", and
/// "tokio::time::sleep", of "tokio::time::sleep::Sleep::poll".
fn public_of_tokio(path: &str, tokio: &str) -> String {
    const CALLS: [(&str, &str); 4] = [
        ("runtime::task::join::JoinHandle", "task::JoinHandle"),
        ("sync::notify::Notified", "sync::Notify::notified"),
        ("time::sleep::Sleep", "time::sleep"),
        ("time::timeout::Timeout", "time::timeout"),
    ];
    const PUBLIC: [&str; 4] = ["broadcast", "mpsc", "oneshot", "watch"];
    let call = without_closures(tokio);
    let call = call.strip_suffix("::poll").unwrap_or(call);
    if let Some((_, known)) = CALLS.iter().find(|(long, _)| *long == call) {
        return format!("tokio::{known}");
    }
    if let Some(method) = call.strip_prefix("io::util::").and_then(|rest| rest.split("::").next()) {
        return format!("tokio::io::{method}");
    }
    let is_type = |name: &str| name.starts_with(|c: char| c.is_ascii_uppercase());
    let segments: Vec<&str> = call.split("::").collect();
    let mut kept: Vec<&str> = vec!["tokio"];
    for (at, name) in segments.iter().enumerate() {
        let mut later = segments[at + 1..].iter();
        let is_private = at > 0 && !PUBLIC.contains(name) && !is_type(name) && later.any(|name| is_type(name));
        if !is_private && kept.last() != Some(name) {
            kept.push(name);
        }
    }
    match kept.len() {
        1 => path.to_owned(),
        _ => kept.join("::"),
    }
}

/// A function's path without types in angle brackets:
/// "<std::net::TcpStream as std::io::Read>::read" is "std::net::TcpStream::read".
fn path_of(function: &str) -> String {
    let (start, rest) = match function.strip_prefix('<') {
        Some(inner) => match closing(inner) {
            Some(end) => (known_type(&inner[..end]), &inner[end + 1..]),
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

/// The type of "store::Store as Trait", or the trait where the type is a parameter.
fn known_type(text: &str) -> String {
    let of = self_type(text);
    let is_parameter = !of.contains("::") && of.starts_with(|c: char| c.is_ascii_uppercase());
    let of_trait = text.strip_prefix(&of).and_then(|rest| rest.strip_prefix(" as "));
    match of_trait.filter(|_| is_parameter) {
        Some(of_trait) => path_of(of_trait),
        None => of,
    }
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
        let frames = trim(calls, None, false);
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
            ("<F as store::Handler<(M, T), S>>::call", "store::Handler::call"),
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
    fn what_a_task_awaits_is_shown_as_the_call_that_the_program_made() {
        let in_tokio = |function: &str, file: &str| Call {
            file: Some(format!("/root/.cargo/registry/src/index-1/tokio-1.54.1/src/{file}")),
            ..call(function)
        };
        let names = |calls: Vec<Call>| -> Vec<_> {
            let frames = trim(calls, None, true);
            frames.into_iter().map(|frame| frame.function).collect()
        };
        let frames = names(vec![
            call("<core::task::wake::Waker as core::clone::Clone>::clone"),
            in_tokio("tokio::sync::batch_semaphore::Semaphore::poll_acquire", "sync/batch_semaphore.rs"),
            in_tokio("tokio::sync::mutex::Mutex<T>::lock::{{closure}}", "sync/mutex.rs"),
            call("store::flush::{{closure}}"),
            in_tokio("store::run::{{closure}}::{{closure}}", "macros/join.rs"),
            call("<core::future::poll_fn::PollFn<F> as core::future::future::Future>::poll"),
            call("store::run::{{closure}}"),
            call("quitter_core::stacks::tasks::Polls::poll"),
        ]);
        assert_eq!(frames, ["tokio::sync::Mutex::lock", "store::flush", "store::run"]);
        for (long, short) in [
            ("<tokio::time::sleep::Sleep as core::future::future::Future>::poll", "tokio::time::sleep"),
            ("tokio::net::tcp::listener::TcpListener::accept::{{closure}}", "tokio::net::TcpListener::accept"),
            ("tokio::sync::mpsc::bounded::Receiver<T>::recv::{{closure}}", "tokio::sync::mpsc::Receiver::recv"),
            ("tokio::task::yield_now::yield_now::{{closure}}", "tokio::task::yield_now"),
            ("<tokio::io::util::read_exact::ReadExact<A> as F>::poll", "tokio::io::read_exact"),
            ("tokio::task::join_set::JoinSet<T>::join_next::{{closure}}", "tokio::task::JoinSet::join_next"),
            ("tokio", "tokio"),
            ("{async_fn#0}", "async fn"),
            ("{async_block#1}", "async block"),
        ] {
            let frames = names(vec![call(long), call("store::run::{{closure}}")]);
            assert_eq!(frames[0], short);
        }
        let timeout = || call("<tokio::time::timeout::Timeout<F> as core::future::future::Future>::poll");
        let sleep = || call("<tokio::time::sleep::Sleep as core::future::future::Future>::poll");
        assert_eq!(names(vec![sleep(), timeout()]), ["tokio::time::timeout"]);
        let lock = || call("tokio::sync::mutex::Mutex<T>::lock::{{closure}}");
        assert_eq!(names(vec![lock(), timeout(), timeout()]), ["tokio::sync::Mutex::lock"]);
        let plumbing = Call {
            function: Some("<tower::Oneshot<S, R> as core::future::future::Future>::poll".to_owned()),
            file: Some("/root/.cargo/registry/src/index-1/tower-0.5.3/src/oneshot.rs".to_owned()),
            ..call("")
        };
        let own = call("store::run::{{closure}}");
        assert_eq!(names(vec![lock(), plumbing.clone(), own.clone()]), ["tokio::sync::Mutex::lock", "store::run"]);
        assert_eq!(names(vec![plumbing, own]), ["tower::Oneshot::poll", "store::run"]);
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
            false,
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
            false,
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
