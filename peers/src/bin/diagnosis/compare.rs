//! Compares what a report says about a routine with what gdb says about its thread.

use crate::gdb::{Backtrace, Thread};
use crate::report::{Routine, is_own};

/// Compares the report on a routine with gdb's backtrace.
pub(crate) fn compare(routine: &Routine, backtrace: &Backtrace) -> String {
    let thread = backtrace.of(&routine.name);
    let mut said = vec![function_and_line(routine, thread, backtrace)];
    if let Some(call) = routine.call() {
        let mut innermost = thread.frames.iter().take(2);
        let is_named = innermost.any(|frame| last_name(&short(&frame.function)).contains(call));
        let is_named = if is_named { "too" } else { "not" };
        said.push(format!("call: gdb {is_named}"));
    }
    if let Some(descriptor) = routine.descriptor() {
        let has = thread.text.contains(&format!("fd={descriptor},"))
            || thread.text.contains(&format!("fd={descriptor})"));
        let has = if has { "the number only" } else { "not" };
        said.push(format!("object: gdb {has}"));
    }
    if let Some(lock) = named_lock(thread) {
        said.push(format!("**gdb names the lock: `{lock}`**"));
    }
    said.join("; ")
}

fn function_and_line(routine: &Routine, thread: &Thread, backtrace: &Backtrace) -> String {
    let gdb = own(thread);
    match (routine.own(), gdb) {
        (Some(ours), Some(gdb)) => {
            let (function, place) = gdb;
            let is_same = is_same(&short(&ours.function), &function);
            match (is_same, &ours.place == place) {
                (false, _) => format!("**differs**: gdb has `{function}`"),
                (true, false) => format!(
                    "**differs**: gdb has {}",
                    place.as_deref().unwrap_or("no line")
                ),
                (true, true) if place.is_some() => "same function, same line".to_owned(),
                (true, true) => "same function, no line in either".to_owned(),
            }
        }
        (None, Some((function, _))) => format!("**less than gdb**, which has `{function}`"),
        (Some(_), None) => "more than gdb, which does not name the function".to_owned(),
        (None, None) => match offsets(routine) {
            offsets if offsets.is_empty() => "no function of the program in either".to_owned(),
            offsets => {
                let known = offsets
                    .iter()
                    .filter(|offset| backtrace.has_offset(thread, **offset));
                match known.count() {
                    known if known == offsets.len() => format!("the same {known} offsets"),
                    known => format!("**{known} of {} offsets are gdb's**", offsets.len()),
                }
            }
        },
    }
}

/// The innermost call of the program's own that gdb shows.
pub(crate) fn own(thread: &Thread) -> Option<(String, &Option<String>)> {
    let mut frames = thread.frames.iter();
    frames.find_map(|frame| {
        let function = short(&frame.function);
        is_own(&function, frame.place.as_deref()).then_some((function, &frame.place))
    })
}

/// The offsets of the routine's calls in the program. The innermost call of a running thread is left out, since
/// the thread has moved on since gdb asked.
fn offsets(routine: &Routine) -> Vec<u64> {
    let offset = |function: &str| {
        let (_, offset) = function.strip_prefix("stuck")?.split_once("+0x")?;
        u64::from_str_radix(offset, 16).ok()
    };
    let functions = routine.frames.iter().map(|frame| &frame.function[..]);
    let running = usize::from(routine.call().is_none());
    functions.skip(running).filter_map(offset).collect()
}

/// The static that the thread waits for, if gdb shows it as an argument.
fn named_lock(thread: &Thread) -> Option<String> {
    let arguments = thread.frames.iter().map(|frame| &frame.arguments);
    let mut names = arguments.filter_map(|text| text.split_once(" <stuck::")?.1.split_once('>'));
    let (name, _) = names.next()?;
    Some(short(&format!("stuck::{name}")))
}

/// The name of a function in gdb's output, without generics, hashes and the numbers of closures.
pub(crate) fn short(function: &str) -> String {
    let mut depth = 0;
    let mut short = String::new();
    for c in function.replace("::<", "<").chars() {
        match c {
            '<' | '[' => depth += 1,
            '>' | ']' => depth -= 1,
            c if depth == 0 => short.push(c),
            _ => {}
        }
    }
    let is_hash = |text: &str| text.len() == 17 && text.starts_with('h');
    let short = match short.rsplit_once("::") {
        Some((path, hash)) if is_hash(hash) => path.to_owned(),
        _ => short,
    };
    short
        .replace("{{closure}}", "{closure}")
        .split("{closure#")
        .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()))
        .collect::<Vec<_>>()
        .join("{closure")
}

/// Compares only the last names if one has no path: line tables alone name functions without their paths.
fn is_same(one: &str, other: &str) -> bool {
    let have_paths = one.contains("::") && other.contains("::");
    match have_paths {
        true => one == other,
        false => last_name(one) == last_name(other),
    }
}

fn last_name(function: &str) -> &str {
    function.rsplit("::").next().unwrap_or(function)
}
