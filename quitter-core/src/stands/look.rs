//! A look at many threads, within a bounded time.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use super::calls::{self, A_LOCK, Futex, LIMITED};
use super::proc::{self, Call, Files, State, Whose};
use super::sockets::Sockets;
use super::{Stands, Subject, own};
use crate::report::escape::cut;
use crate::system;

/// How many threads are looked at.
const MOST: usize = 1000;

/// How long it may take to look at them for the first time, and in all.
const FIRST_PASS: Duration = Duration::from_millis(15);
const IN_ALL: Duration = Duration::from_millis(45);

/// What all looks at threads share.
pub(super) struct Context<'a, F> {
    pub(super) files: &'a F,
    /// The addresses of sockets by process. Read only if needed.
    sockets: OnceCell<Sockets>,
}

impl<'a, F: Files> Context<'a, F> {
    pub(super) fn new(files: &'a F) -> Self {
        Self {
            files,
            sockets: OnceCell::new(),
        }
    }

    /// The description of a socket that a process has open. All looks of a context are at one process.
    pub(super) fn socket(&self, whose: Whose, inode: u64) -> Option<String> {
        let read = || Sockets::read(self.files, &whose.process());
        self.sockets.get_or_init(read).get(inode).map(str::to_owned)
    }
}

/// What one thread was seen doing.
#[derive(Clone)]
enum Seen {
    Stands(Stands),
    /// It ran at this time, and had used so much of a processor.
    Runs(Instant, Duration),
    Futex(Futex),
}

pub(super) fn at_threads(
    files: &impl Files,
    threads: &[Subject<'_>],
    moment: Duration,
) -> Vec<Option<Stands>> {
    let from = Instant::now();
    let mut seen: Vec<Option<Seen>> = vec![None; threads.len()];
    if !proc::is_of_this_namespace(files) {
        return vec![None; threads.len()];
    }
    let calls_are_known = proc::calls_are_known(files);
    let context = Context::new(files);
    let look = |os_id: u64, before: Option<(Instant, Duration)>| {
        let whose = Whose::Thread(os_id);
        let state = proc::state(files, whose, calls_are_known)?;
        Some(see(&context, whose, state, before))
    };
    let numbered = threads.iter().zip(&mut seen);
    let with_thread = numbered.filter(|(thread, _)| thread.os_id != 0);
    for (thread, seen) in with_thread.take(MOST) {
        if from.elapsed() > FIRST_PASS {
            break;
        }
        *seen = look(thread.os_id, None);
    }
    let runs = |seen: &Option<Seen>| match seen {
        Some(Seen::Runs(at, cpu)) => Some((*at, *cpu)),
        _ => None,
    };
    if let Some((first, _)) = seen.iter().find_map(runs) {
        thread::sleep(moment.saturating_sub(first.elapsed()));
        for (thread, seen) in threads.iter().zip(&mut seen) {
            if let Some(before) = runs(seen) {
                *seen = match from.elapsed() < IN_ALL {
                    true => look(thread.os_id, Some(before)),
                    false => Some(Seen::Stands(Stands::Unknown)),
                };
            }
        }
    }
    conclude(threads, seen)
}

pub(super) fn at_process(files: &impl Files, pid: u32, moment: Duration) -> Option<Stands> {
    if !proc::is_of_this_namespace(files) {
        return None;
    }
    let whose = Whose::Process(pid);
    let context = Context::new(files);
    let calls_are_known = proc::calls_are_known(files);
    let look = |before| {
        let state = proc::state(files, whose, calls_are_known)?;
        Some(see(&context, whose, state, before))
    };
    let seen = match look(None)? {
        Seen::Runs(at, cpu) => {
            thread::sleep(moment);
            look(Some((at, cpu)))?
        }
        seen => seen,
    };
    Some(match seen {
        Seen::Stands(stands) => stands,
        Seen::Runs(..) => Stands::Unknown,
        Seen::Futex(futex) => on_futex(&futex, String::new()),
    })
}

/// Makes sense of what was read. `before` is when the thread was first seen running.
fn see<F: Files>(
    context: &Context<'_, F>,
    whose: Whose,
    state: State,
    before: Option<(Instant, Duration)>,
) -> Seen {
    let blocked = |call, on| Seen::Stands(Stands::Blocked { call, on });
    match state {
        State::Unknown => Seen::Stands(Stands::Unknown),
        State::Waits(function) => blocked(function, None),
        State::InCall(call) if is_foreign(whose, &call) => {
            blocked(format!("call {}", call.number), None)
        }
        State::InCall(call) => match calls::futex(&call) {
            Some(futex) => Seen::Futex(futex),
            None => {
                let object = calls::object(context, whose, &call);
                blocked(calls::name(&call), object)
            }
        },
        State::Running => match (context.files.cpu(whose), before) {
            (None, _) => Seen::Stands(Stands::Unknown),
            (Some(cpu), None) => Seen::Runs(Instant::now(), cpu),
            (Some(cpu), Some((at, used))) => {
                let used = cpu.saturating_sub(used);
                let share = used.as_secs_f64() / at.elapsed().as_secs_f64().max(1e-9);
                let cpu = Stands::MOMENT.mul_f64(share.min(1.0));
                Seen::Stands(Stands::Running { cpu })
            }
        },
    }
}

/// Whether the process may be of an architecture whose calls have other numbers: its stack lies where
/// 32 bits reach.
fn is_foreign(whose: Whose, call: &Call) -> bool {
    matches!(whose, Whose::Process(_)) && u32::try_from(call.stack).is_ok()
}

/// Says of those that wait for a futex who else waits for it.
fn conclude(threads: &[Subject<'_>], seen: Vec<Option<Seen>>) -> Vec<Option<Stands>> {
    let mut waiting: HashMap<u64, Vec<usize>> = HashMap::new();
    for (at, seen) in seen.iter().enumerate() {
        if let Some(Seen::Futex(futex)) = seen {
            waiting.entry(futex.address).or_default().push(at);
        }
    }
    let conclude = |(at, seen): (usize, Option<Seen>)| match seen? {
        Seen::Stands(stands) => Some(stands),
        // There was no time to look at it again.
        Seen::Runs(..) => Some(Stands::Unknown),
        Seen::Futex(futex) => {
            let others = &waiting[&futex.address];
            let other = others.iter().find(|other| **other != at);
            let shared = other.map(|other| the_same_as(&threads[*other], others.len() - 1));
            Some(on_futex(&futex, shared.unwrap_or_default()))
        }
    };
    seen.into_iter().enumerate().map(conclude).collect()
}

/// ", the same as 'compactor' of main/store".
fn the_same_as(other: &Subject<'_>, others: usize) -> String {
    // Kept by every routine, so of bounded length.
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

/// Whether all threads but quitter's own wait for each other for ever, and these are among them.
///
/// Each is read twice. If none of them has run between its own two readings, all of them waited at the
/// instant between the last first reading and the first second one.
pub(super) fn everyone_waits(files: &impl Files, threads: &[u64]) -> bool {
    /// More take too long.
    const MOST: usize = 200;
    let from = Instant::now();
    if !proc::is_of_this_namespace(files) || !proc::calls_are_known(files) {
        return false;
    }
    let this = system::thread_id();
    let others = |mut all: Vec<u64>| {
        all.retain(|id| *id != this && !own::is_own(*id));
        all
    };
    let Some(all) = files.threads(MOST).map(others) else {
        return false;
    };
    let waits = |id: &u64| {
        // The processor time first: who runs in between changes it before the second reading.
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
    // A thread that was made while they were listed may be missing.
    let is_whole = || files.threads(MOST).map(others) == Some(all.clone());
    first.is_some() && first == read() && is_whole() && from.elapsed() < FIRST_PASS
}

#[cfg(test)]
mod tests;
