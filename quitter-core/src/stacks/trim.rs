//! Makes a stack readable: leaves out calls that are not the program's own, and shortens names.

use super::Frame;
use super::data::is_systems;

mod paths;
mod public;
mod root;

use paths::{path_of, without_brackets, without_closures, without_prefixes};
use public::public;
pub(super) use root::shorten_files;

/// A call as the symbols describe it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) function: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) module: Option<String>,
    pub(super) offset: u64,
}

/// The owner of a call's code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The program, or one of its dependencies.
    Program,
    /// The system's libraries, Rust's, those of channels and locks, or quitter's own.
    System,
    /// Code that leads to a routine, and that nobody calls in order to wait.
    Machinery,
}

/// Keeps the program's own calls, and above them the one call of the system's that they wait in. If no call
/// is the program's own, keeps the outermost call that says something.
///
/// In a task, `async` functions and blocks are named after the functions that they are in.
pub(super) fn trim(mut calls: Vec<Call>, is_task: bool) -> Vec<Frame> {
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
        } else if is_task && !frames.is_empty() && is_library_poll(&call) {
            // Leads from one `async` function to the next.
        } else if owners[at] == Owner::Program {
            frames.push(frame(call));
        }
    }
    frames
}

/// The outermost of the inner calls that is the system's. A future that awaits another one beside a wait of
/// its own is only chosen while it is in its own wait.
fn waits_in(calls: &[Call], inner: &[Owner]) -> Option<usize> {
    const WITH_OWN_WAITS: [(&str, &str); 2] = [
        ("tokio::time::timeout::", "tokio::time::sleep::"),
        ("quitter_core::cancel::", "quitter_core::tree::"),
    ];
    let path = |at: usize| path(&calls[at]);
    let outermost = inner.iter().rposition(|owner| *owner == Owner::System)?;
    let mut found = item_source(calls, inner, outermost).unwrap_or(outermost);
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

/// The call that an iterator gets its items from, if the outermost call is of an iterator or a collection,
/// such as `enumerate` or `collect`.
fn item_source(calls: &[Call], inner: &[Owner], outermost: usize) -> Option<usize> {
    const OUTERMOST: [&str; 6] = [
        "core::iter::",
        "alloc::collections::",
        "alloc::string::",
        "alloc::vec::",
        "hashbrown::",
        "std::collections::",
    ];
    const BETWEEN: [&str; 4] = ["core::", "alloc::", "hashbrown::", "std::collections::"];
    if !starts_with_one(&module_or_path(&calls[outermost]), &OUTERMOST) {
        return None;
    }
    let is_meant = |at: &usize| {
        let of = module_or_path(&calls[*at]);
        inner[*at] == Owner::System && !starts_with_one(&of, &BETWEEN)
    };
    let giver = (0..outermost).rev().find(is_meant)?;
    let of = path(&calls[giver]);
    // Not a system call, and not an allocation.
    (of.contains("::") && !of.contains("::alloc::")).then_some(giver)
}

fn path(call: &Call) -> String {
    call.function.as_deref().map(path_of).unwrap_or_default()
}

/// The module in which the function is defined, which may differ from that of its type: `sum` of a `u64`.
fn module_or_path(call: &Call) -> String {
    let module = call.file.as_deref().and_then(module_of);
    module.map_or_else(|| path(call), |module| module + "::")
}

fn starts_with_one(path: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| path.starts_with(start))
}

/// Whether this is the `poll` of a library's future.
fn is_library_poll(call: &Call) -> bool {
    let function = call.function.as_deref().unwrap_or_default();
    let name = function.rsplit("::").next().unwrap_or_default();
    let is_librarys = call
        .file
        .as_deref()
        .is_some_and(|file| file.contains(REGISTRY));
    is_librarys && (name == "poll" || name.starts_with("poll_"))
}

/// Line tables alone name functions without their paths. The paths of library functions follow from their
/// files.
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
    let without_version = name
        .rsplit_once('-')
        .filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()));
    let crate_name = without_version
        .map_or(name, |(name, _)| name)
        .replace('-', "_");
    let module = file.strip_suffix(".rs")?;
    let module = module.strip_suffix("/mod").unwrap_or(module);
    Some(match module {
        "lib" => crate_name,
        module => format!("{crate_name}::{}", module.replace('/', "::")),
    })
}

/// The beginnings of the paths of [machinery](Owner::Machinery).
const MACHINERY: [&str; 22] = [
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
    "quitter_core::routine::record::Record::record_blocking_call",
    "quitter_core::main_quitter::",
    "quitter_core::on_tokio::run::",
];

/// The functions that start a program or a thread.
const ENTRIES: [&str; 7] = [
    "__rust_try",
    "main",
    "_start",
    "__libc_start_main",
    "__libc_start_call_main",
    "clone",
    "start_thread",
];

/// The exits, which wait. The rest of `main_quitter` only leads to the body.
const EXITS: [&str; 2] = [
    "quitter_core::main_quitter::exit::MainQuitter::exit",
    "quitter_core::main_quitter::exit::MainQuitter::exit_async",
];

/// The beginnings of the paths of the [system's](Owner::System) functions.
const SYSTEM: [&str; 11] = [
    "std::",
    "core::",
    "alloc::",
    "crossbeam_channel::",
    "lock_api::",
    "tokio::",
    "parking_lot::",
    "parking_lot_core::",
    "rustix::",
    "quitter_core::",
    "quitter::",
];

fn owner(call: &Call) -> Owner {
    if call.module.as_deref().is_some_and(is_systems) {
        return Owner::System;
    }
    let Some(function) = &call.function else {
        return Owner::Program;
    };
    let path = path_of(function);
    let is_entry = ENTRIES.contains(&&*path);
    let is_test = path.contains("::tests::");
    let is_macro = |file: &str| file.contains("/tokio") && file.contains("/src/macros/");
    if EXITS.contains(&without_closures(&path)) {
        return Owner::System;
    }
    // Code that keeps the waker of a future, or the inside of `join!` or `select!`.
    if path.contains("::atomic_waker::") || call.file.as_deref().is_some_and(is_macro) {
        return Owner::Machinery;
    }
    if is_entry || !is_test && starts_with_one(&path, &MACHINERY) {
        return Owner::Machinery;
    }
    let is_rusts = call.file.as_deref().is_some_and(is_rusts_source);
    match is_rusts || !is_test && starts_with_one(&path, &SYSTEM) {
        true => Owner::System,
        false => Owner::Program,
    }
}

/// Whether all calls outside the system's libraries have names, and none has a file. Rust's own libraries may
/// have files however the program was built.
pub(super) fn lacks_lines(calls: &[Call]) -> bool {
    let is_systems = |call: &Call| call.module.as_deref().is_some_and(is_systems);
    let is_rusts = |call: &Call| call.file.as_deref().is_some_and(is_rusts_source);
    let mut outside = calls.iter().filter(|call| !is_systems(call)).peekable();
    let has_name_alone =
        |call: &Call| call.function.is_some() && (call.file.is_none() || is_rusts(call));
    outside.peek().is_some() && outside.all(has_name_alone)
}

/// Whether the file is one of Rust's libraries, even if a type of the program's own gave a function its name.
fn is_rusts_source(file: &str) -> bool {
    starts_with_one(file, &["/rustc/", "/rust/deps/"])
        || file.contains("/lib/rustlib/src/rust/library/")
}

fn frame(call: Call) -> Frame {
    Frame {
        function: name(&call),
        file: call.file.map(in_registry),
        line: call.line,
        module: call.module,
        offset: call.offset,
    }
}

/// The frame of a call of the system's, without its place in the source, which tells a reader nothing.
fn system_frame(call: Call) -> Frame {
    let function = call
        .function
        .as_deref()
        .map(|name| public(&path_of(without_prefixes(name))));
    Frame {
        function: function.unwrap_or_else(|| name(&call)),
        file: None,
        line: None,
        module: call.module,
        offset: call.offset,
    }
}

/// "store::flush", or "store+0x1a2b" for a function without a name.
fn name(call: &Call) -> String {
    match &call.function {
        Some(function) => path_of(function),
        None => Frame::unnamed(call.module.as_deref(), call.offset),
    }
}

const REGISTRY: &str = "/registry/src/";

/// The path of a file below its registry, if it comes from one.
fn in_registry(file: String) -> String {
    let below = file
        .split_once(REGISTRY)
        .and_then(|(_, file)| file.split_once('/'));
    below.map(|(_, file)| file.to_owned()).unwrap_or(file)
}

#[cfg(test)]
mod tests;
