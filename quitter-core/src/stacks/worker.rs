//! The thread that captures stacks. Those who ask for them wait for it with a limit, and lose nothing
//! but stacks if it hangs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};

use super::modules::{self, Address, Mappings};
use super::symbols::{Symbols, unnamed};
use super::trim::{Call, root_of, trim};
use super::unwind::{Trace, Unwinding};
use super::{Stack, Target, Why, signal};
use crate::stands::own;

/// How long threads may take to answer.
const ANSWERS: Duration = Duration::from_millis(300);

/// A stack, or a better one of the same thread.
type Found = (usize, Result<Stack, Why>);

/// The right to capture, which one has at a time.
struct Turn(());

static TAKEN: AtomicBool = AtomicBool::new(false);

impl Turn {
    fn take(until: Instant) -> Option<Self> {
        const PAUSE: Duration = Duration::from_millis(1);
        while TAKEN.swap(true, Ordering::Acquire) {
            if Instant::now() >= until {
                return None;
            }
            thread::sleep(PAUSE);
        }
        Some(Self(()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Release);
    }
}

/// Captures the stacks of these threads. Returns by `until`, with what is there by then.
pub(super) fn capture(targets: Vec<Target>, until: Instant) -> Vec<Result<Stack, Why>> {
    let mut stacks: Vec<_> = targets.iter().map(|_| Err(Why::NoTime)).collect();
    let Some(turn) = Turn::take(until) else {
        return stacks;
    };
    let (tell, told) = unbounded();
    let work = move || {
        let _turn = turn;
        let _own = own::mark();
        work(&targets, until, &tell);
    };
    let started = thread::Builder::new().name("quitter stacks".to_owned()).spawn(work);
    if let Err(error) = started {
        let why = Why::System(format!("cannot start a thread: {error}"));
        stacks.fill(Err(why));
    }
    while let Ok((at, found)) = told.recv_deadline(until) {
        stacks[at] = found;
    }
    stacks
}

fn work(targets: &[Target], until: Instant, tell: &Sender<Found>) {
    let files = Mappings::read().and_then(|mappings| Ok((mappings, modules::memory()?)));
    let (mappings, memory) = match files {
        Ok(files) => files,
        Err(error) => {
            let why = Why::System(format!("cannot read /proc/self: {error}"));
            for at in 0..targets.len() {
                let _ = tell.send((at, Err(why.clone())));
            }
            return;
        }
    };
    let copies = signal::copy(targets, &mappings, memory, until.min(Instant::now() + ANSWERS));
    let modules = mappings.fingerprint();
    let mut unwinding = Unwinding::new(mappings);
    let mut traces = Vec::new();
    for (at, (target, copied)) in targets.iter().zip(copies).enumerate() {
        let trace = copied.map(|copied| unwinding.trace(&copied, target.mark));
        // First without names: that needs nothing that may hang.
        let _ = tell.send((at, trace.as_ref().map(without_names).map_err(Clone::clone)));
        traces.extend(trace.ok().map(|trace| (at, target, trace)));
    }
    let mut symbols = Symbols::new(modules);
    // The system's libraries come last. Their names are rarely needed, and take longest where their
    // debug information is installed.
    let mut without = Vec::new();
    for (at, target, trace) in traces {
        let stack = with_names(&trace, target, |call| match call.is_systems() {
            true => vec![unnamed(call)],
            false => symbols.of(call, until),
        });
        if Instant::now() >= until {
            return;
        }
        if waits_in_system(&stack) {
            without.push((at, target, trace));
        }
        let _ = tell.send((at, Ok(stack)));
    }
    for (at, target, trace) in without {
        let stack = with_names(&trace, target, |call| symbols.of(call, until));
        if Instant::now() >= until {
            return;
        }
        let _ = tell.send((at, Ok(stack)));
    }
}

/// Whether the innermost call that is shown is one of the system's: its name was left out.
fn waits_in_system(stack: &Stack) -> bool {
    let module = stack.frames.first().and_then(|frame| frame.module.as_deref());
    module.is_some_and(modules::is_systems)
}

fn without_names(trace: &Trace) -> Stack {
    Stack {
        frames: trim(trace.calls.iter().map(unnamed).collect(), None),
        is_cut: trace.is_cut,
    }
}

fn with_names(trace: &Trace, target: &Target, names: impl FnMut(&Address) -> Vec<Call>) -> Stack {
    let calls: Vec<_> = trace.calls.iter().flat_map(names).collect();
    let mut files = calls.iter().filter_map(|call| call.file.as_deref());
    let root = files
        .find_map(|file| root_of(file, target.place))
        .map(str::to_owned);
    Stack {
        frames: trim(calls, root.as_deref()),
        is_cut: trace.is_cut,
    }
}
