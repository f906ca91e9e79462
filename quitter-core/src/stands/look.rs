//! Looks at many threads within a bounded time.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use super::calls::{self, A_LOCK, Futex, LIMITED};
use super::fd::Object;
use super::proc::{self, Call, Files, State, Whose};
use super::sockets::Sockets;
use super::{MAX_THREADS, Stands, Subject, Used, own};
use crate::report::escape::cut;
use crate::system;

/// How long the first look at all threads may take, and everything together.
const FIRST_PASS: Duration = Duration::from_millis(20 * PACE);
const TOTAL: Duration = Duration::from_millis(45 * PACE);

/// Unit tests must not depend on how busy the machine is.
const PACE: u64 = if cfg!(test) { 100 } else { 1 };

/// One reading of a thread.
#[derive(Clone)]
enum Reading {
    Stands(Stands),
    /// It ran, and had used this much CPU time.
    Runs(Used),
    Futex(Futex),
    /// The object of the call contains a socket.
    OnSocket {
        call: String,
        object: Object,
    },
}

pub(super) fn at_threads(
    files: &impl Files,
    threads: &[Subject<'_>],
    moment: Duration,
) -> Vec<Option<Stands>> {
    let from = Instant::now();
    let mut readings: Vec<Option<Reading>> = vec![None; threads.len()];
    if !proc::is_of_this_namespace(files) {
        return vec![None; threads.len()];
    }
    let calls_are_known = proc::calls_are_known(files);
    let look = |os_id: u64, before| read(files, Whose::Thread(os_id), calls_are_known, before);
    let numbered = threads.iter().zip(&mut readings);
    let with_thread = numbered.filter(|(thread, _)| thread.os_id != 0);
    for (thread, reading) in with_thread.take(MAX_THREADS) {
        if from.elapsed() > FIRST_PASS {
            break;
        }
        *reading = look(thread.os_id, thread.before.filter(Used::is_recent));
    }
    let runs = |reading: &Option<Reading>| match reading {
        Some(Reading::Runs(used)) => Some(*used),
        _ => None,
    };
    if let Some(first) = readings.iter().find_map(runs) {
        thread::sleep(moment.saturating_sub(first.at.elapsed()));
        for (thread, reading) in threads.iter().zip(&mut readings) {
            if let Some(before) = runs(reading)
                && from.elapsed() < TOTAL
            {
                *reading = look(thread.os_id, Some(before));
            }
        }
    }
    conclude(files, Whose::Thread(0), threads, readings, from + TOTAL)
}

pub(super) fn at_process(files: &impl Files, pid: u32, moment: Duration) -> Option<Stands> {
    let from = Instant::now();
    if !proc::is_of_this_namespace(files) {
        return None;
    }
    let whose = Whose::Process(pid);
    let calls_are_known = proc::calls_are_known(files);
    let mut reading = read(files, whose, calls_are_known, None)?;
    if let Reading::Runs(used) = reading {
        thread::sleep(moment);
        reading = read(files, whose, calls_are_known, Some(used))?;
    }
    let stands = conclude(files, whose, &[], vec![Some(reading)], from + TOTAL);
    stands.into_iter().next()?
}

/// Reads what a thread does, and interprets it. `before` is an earlier reading.
fn read(
    files: &impl Files,
    whose: Whose,
    calls_are_known: bool,
    before: Option<Used>,
) -> Option<Reading> {
    let blocked = |call, on| Reading::Stands(Stands::Blocked { call, on });
    Some(match proc::state(files, whose, calls_are_known)? {
        State::Unknown => Reading::Stands(Stands::Unknown),
        State::Suspended => Reading::Stands(Stands::Suspended),
        State::Waits(function) => blocked(function, None),
        State::InCall(call) if is_foreign(whose, &call) => {
            blocked(format!("call {}", call.number), None)
        }
        State::InCall(call) => {
            if let Some(futex) = calls::futex(&call) {
                return Some(Reading::Futex(futex));
            }
            let name = calls::name(&call);
            let Some(object) = calls::object(files, whose, &call) else {
                return Some(blocked(name, None));
            };
            match object.sockets.is_empty() {
                true => blocked(name, Some(object.text)),
                false => Reading::OnSocket { call: name, object },
            }
        }
        State::Running => match (files.cpu(whose), before) {
            (None, _) => Reading::Stands(Stands::Unknown),
            (Some(cpu), None) => Reading::Runs(Used::now(cpu)),
            (Some(cpu), Some(before)) => {
                let used = cpu.saturating_sub(before.cpu);
                let share = used.as_secs_f64() / before.at.elapsed().as_secs_f64().max(1e-9);
                let cpu = Stands::MOMENT.mul_f64(share.min(1.0));
                Reading::Stands(Stands::Running { cpu })
            }
        },
    })
}

/// Whether the process is of an architecture with other call numbers: its stack lies within the reach of 32
/// bits, and this process has 64, or the other way round.
fn is_foreign(whose: Whose, call: &Call) -> bool {
    let has_32_bits = u32::try_from(call.stack).is_ok();
    matches!(whose, Whose::Process(_)) && has_32_bits != cfg!(target_pointer_width = "32")
}

/// Turns readings into results: adds which threads wait for the same futex, and the addresses of sockets.
fn conclude(
    files: &impl Files,
    whose: Whose,
    threads: &[Subject<'_>],
    readings: Vec<Option<Reading>>,
    until: Instant,
) -> Vec<Option<Stands>> {
    let mut waiting: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut inodes = Vec::new();
    for (at, reading) in readings.iter().enumerate() {
        match reading {
            Some(Reading::Futex(futex)) => waiting.entry(futex.address).or_default().push(at),
            Some(Reading::OnSocket { object, .. }) => {
                inodes.extend(object.sockets.iter().map(|socket| socket.inode));
            }
            _ => {}
        }
    }
    let sockets = Sockets::find(files, &whose.process(), &inodes, until);
    let conclude = |(at, reading): (usize, Option<Reading>)| match reading? {
        Reading::Stands(stands) => Some(stands),
        // There was no time to look at it again.
        Reading::Runs(..) => Some(Stands::Unknown),
        Reading::Futex(futex) => {
            let others = &waiting[&futex.address];
            let other = others.iter().find(|other| **other != at);
            let shared = other.map(|other| the_same_as(&threads[*other], others.len() - 1));
            Some(on_futex(&futex, shared.unwrap_or_default()))
        }
        Reading::OnSocket { call, object } => {
            let on = object.describe(|inode| sockets.get(inode).unwrap_or("a socket"));
            Some(Stands::Blocked { call, on: Some(on) })
        }
    };
    readings.into_iter().enumerate().map(conclude).collect()
}

/// For example ", the same as 'compactor' of main/store".
fn the_same_as(other: &Subject<'_>, others: usize) -> String {
    // Every routine keeps this text, so its length is bounded.
    let (name, path) = (cut(other.name, 20), other.path.shown(24));
    let more = match others {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    format!(", the same as '{name}' of {path}{more}")
}

fn on_futex(futex: &Futex, shared: String) -> Stands {
    let mut on = format!("{A_LOCK}{shared}");
    if futex.is_limited {
        on = format!("{on}, {LIMITED}");
    }
    Stands::Blocked {
        call: "futex".to_owned(),
        on: Some(on),
    }
}

/// Whether these threads, and all others but the caller and those of quitter's own that wake nobody, wait for
/// each other without a time limit.
///
/// Each thread is read twice. If none has run between its own two readings, all of them waited at the instant
/// between the last of the first readings and the first of the second ones.
pub(super) fn everyone_waits(files: &impl Files, threads: &[u64]) -> bool {
    /// More threads would take too long.
    const MAX_LISTED: usize = 200;
    let from = Instant::now();
    if !proc::is_of_this_namespace(files) || !proc::calls_are_known(files) {
        return false;
    }
    let this = system::thread_id();
    let others = |mut all: Vec<u64>| {
        all.retain(|id| *id != this && !own::wakes_nobody(*id));
        all
    };
    let Some(all) = files.threads(MAX_LISTED).map(others) else {
        return false;
    };
    let waits = |id: &u64| {
        // The CPU time first: a thread that runs in between changes it before the second reading.
        let cpu = files.cpu(Whose::Thread(*id))?;
        let State::InCall(call) = proc::state(files, Whose::Thread(*id), true)? else {
            return None;
        };
        let futex = calls::futex(&call)?;
        let is_endless = futex.is_private && !futex.is_limited;
        is_endless.then_some((futex, cpu))
    };
    let read = || all.iter().map(waits).collect::<Option<Vec<_>>>();
    let is_among = |id: &u64| all.contains(id);
    let first = read().filter(|_| threads.iter().all(is_among));
    // A thread that was started during the listing may be missing.
    let is_whole = || files.threads(MAX_LISTED).map(others) == Some(all.clone());
    first.is_some() && first == read() && is_whole() && from.elapsed() < FIRST_PASS
}

#[cfg(test)]
mod tests;
