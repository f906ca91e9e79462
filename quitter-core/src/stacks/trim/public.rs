//! The public names of calls, instead of paths through modules that only a library's authors see.

use super::paths::without_closures;

/// "std::sync::Mutex::lock" for "std::sync::poison::mutex::Mutex::lock".
pub(super) fn public(path: &str) -> String {
    if let Some(tokio) = path.strip_prefix("tokio::") {
        return of_tokio(path, tokio);
    }
    if let Some(std) = path.strip_prefix("std::") {
        return of_std(std);
    }
    if let Some(quitter) = path.strip_prefix("quitter_core::") {
        return of_quitter(quitter).unwrap_or_else(|| path.to_owned());
    }
    if let Some(call) = path.strip_prefix("crossbeam_channel::") {
        return of_channels(call);
    }
    path.to_owned()
}

/// With optimization the public call is often gone, and that of the channel's flavor is left.
fn of_channels(call: &str) -> String {
    let call = match call.strip_prefix("flavors::") {
        Some(inner) if inner.ends_with("::Channel::recv") => "Receiver::recv",
        Some(inner) if inner.ends_with("::Channel::send") => "Sender::send",
        _ => call,
    };
    let call = call.strip_prefix("channel::").unwrap_or(call);
    let call = call.strip_prefix("select::").unwrap_or(call);
    match call {
        "run_select" => "crossbeam_channel::select".to_owned(),
        call => format!("crossbeam_channel::{call}"),
    }
}

fn of_std(std: &str) -> String {
    if let Some(inner) = std.strip_prefix("sync::mpmc::") {
        let call = match inner.rsplit_once("::Channel::") {
            Some((_, "recv")) => "Receiver::recv",
            Some((_, "send")) => "SyncSender::send",
            _ => inner,
        };
        return format!("std::sync::mpsc::{call}");
    }
    const PRIVATE: [&str; 20] = [
        "barrier",
        "builder",
        "condvar",
        "functions",
        "futex",
        "join_handle",
        "lazy_lock",
        "mutex",
        "net",
        "once",
        "once_lock",
        "pal",
        "poison",
        "reentrant_lock",
        "rwlock",
        "scoped",
        "stdio",
        "tcp",
        "udp",
        "unix",
    ];
    // With optimization the public call is often gone, and what it calls is left.
    let std = std
        .strip_prefix("sys::sync::")
        .map_or(std.to_owned(), |inner| {
            format!(
                "sync::{}",
                inner.strip_suffix("_contended").unwrap_or(inner)
            )
        });
    let segments = std.split("::").enumerate();
    let is_public = |(at, name): &(usize, &str)| *at == 0 || !PRIVATE.contains(name);
    let mut kept: Vec<_> = segments.filter(is_public).map(|(_, name)| name).collect();
    kept.dedup();
    format!("std::{}", kept.join("::"))
}

/// The call of quitter's that the program has made: "quitter::ProcessHandle::wait" for
/// "routine::process::handle::ProcessHandle::wait".
fn of_quitter(path: &str) -> Option<String> {
    /// Futures, and the calls that optimization leaves of public ones.
    const CALLS: [(&str, &str); 6] = [
        ("Done::poll", "Quitter::done"),
        ("QuitFuture::poll", "Quitter::quitting"),
        ("CancelOnQuit::poll", "Quitter::cancel_on_quit"),
        ("ProcessEnded::poll", "ProcessHandle::ended"),
        ("Node::wait_quit", "Quitter::wait_quit"),
        ("Quitter::wait_done_by", "Quitter::wait_done"),
    ];
    const TYPES: [&str; 15] = [
        "Incoming",
        "Interruptible",
        "MainQuitter",
        "MainQuitterBuilder",
        "OnQuit",
        "ProcessHandle",
        "Quitter",
        "RoutineBuilder",
        "RoutineGuard",
        "RoutineHandle",
        "RoutineQuitter",
        "Snapshot",
        "Task",
        "Ticks",
        "Tracked",
    ];
    /// The modules of their methods. Line tables alone do not give the type.
    const MODULES: [&str; 8] = [
        "io::incoming::",
        "io::interruptible::",
        "io::methods::",
        "quitter::",
        "routine::handle::",
        "routine::process::handle::",
        "routine::quitter::",
        "routine::ticks::",
    ];
    let path = match without_closures(path) {
        "routine::handle::wait_for" => "RoutineHandle::wait",
        path => path,
    };
    let segments: Vec<&str> = path.split("::").collect();
    let at = segments.iter().position(|name| is_type(name));
    let call = at.map(|at| segments[at..].join("::"));
    let public = match &call {
        Some(call) => match CALLS.iter().find(|(future, _)| future == call) {
            Some((_, call)) => call,
            None if TYPES.contains(&segments[at?]) => &call[..],
            None => return None,
        },
        None if MODULES.iter().any(|module| path.starts_with(module)) => segments.last()?,
        None => return None,
    };
    Some(format!("quitter::{public}"))
}

/// The call that a program has made: "tokio::sync::Mutex::lock" for "tokio::sync::mutex::Mutex::lock", and
/// "tokio::time::sleep" for "tokio::time::sleep::Sleep::poll".
fn of_tokio(path: &str, tokio: &str) -> String {
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
    if let Some(method) = call
        .strip_prefix("io::util::")
        .and_then(|rest| rest.split("::").next())
    {
        return format!("tokio::io::{method}");
    }
    let segments: Vec<&str> = call.split("::").collect();
    let mut kept: Vec<&str> = vec!["tokio"];
    for (at, name) in segments.iter().enumerate() {
        let mut later = segments[at + 1..].iter();
        let is_private =
            at > 0 && !PUBLIC.contains(name) && !is_type(name) && later.any(|name| is_type(name));
        if !is_private && kept.last() != Some(name) {
            kept.push(name);
        }
    }
    match kept.len() {
        1 => path.to_owned(),
        _ => kept.join("::"),
    }
}

fn is_type(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
}
