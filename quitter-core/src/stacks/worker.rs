//! The thread that captures stacks. Callers wait for it with a limit, and lose nothing but stacks if it
//! hangs.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};

use super::asking::{self, At};
use super::limit::Limit;
use super::memory;
use super::modules::{self, Address, Mappings};
use super::signal::{self, Copied};
use super::symbols::{Symbols, unnamed};
use super::trim::{Call, lacks_lines, shorten_files, trim};
use super::unwind::{Trace, Unwinding};
use super::{Found, Frame, Stack, Target, TaskState, Thread, Why};
use crate::stands::own;
use crate::threads;

/// How long threads and tasks may take to answer.
const ANSWERS: Duration = Duration::from_millis(300);

/// The index of a target, with its stacks. A later message has better ones.
pub(super) type Update = (usize, Result<Found, Why>);

/// The right to do something that only one thread does at a time.
pub(super) struct Turn(&'static AtomicBool);

static CAPTURING: AtomicBool = AtomicBool::new(false);

impl Turn {
    pub(super) fn take(taken: &'static AtomicBool, limit: Limit) -> Option<Self> {
        const PAUSE: Duration = Duration::from_millis(1);
        while taken.swap(true, Ordering::Acquire) {
            if limit.is_over() {
                return None;
            }
            thread::sleep(PAUSE);
        }
        Some(Self(taken))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Captures the stacks of these routines. Returns within the limit, with what is there by then.
pub(super) fn capture(targets: Vec<Target>, limit: Limit) -> Vec<Result<Found, Why>> {
    let mut found: Vec<_> = targets.iter().map(|_| Err(Why::NoTime)).collect();
    if !memory::is_left_for_stacks() {
        found.fill(Err(Why::System("too little memory is left".to_owned())));
        return found;
    }
    let targets: Arc<[Target]> = targets.into();
    let _precedence = limit.take_precedence();
    let Some(turn) = Turn::take(&CAPTURING, limit) else {
        return found;
    };
    let (updates, received) = unbounded();
    let of_work = Arc::clone(&targets);
    let work = move || {
        let _turn = turn;
        let _own = own::mark();
        work(&of_work, limit, &updates);
    };
    if let Err(error) = threads::start("quitter stacks", work) {
        let why = Why::System(format!("cannot start a thread: {error}"));
        found.fill(Err(why));
    }
    while let Ok((at, of_target)) = received.recv_deadline(limit.until()) {
        found[at] = of_target;
    }
    let of_targets = targets.iter().zip(&mut found);
    shorten_files(of_targets.flat_map(|(target, found)| {
        let stacks = found.iter_mut().flat_map(|found| &mut found.stacks);
        stacks.map(|stack| (target.record.spawned_at.file(), stack))
    }));
    found
}

pub(super) fn work(targets: &[Target], limit: Limit, updates: &Sender<Update>) {
    let mappings = match Mappings::read() {
        Ok(mappings) => mappings,
        Err(error) => {
            let why = unreadable(&error);
            for at in 0..targets.len() {
                let _ = updates.send((at, Err(why.clone())));
            }
            return;
        }
    };
    let (places, copies) = find(targets, &mappings, limit);
    let modules = mappings.fingerprint();
    let mut unwinding = Unwinding::new(mappings);
    let mut drafts = Vec::new();
    for (at, (target, place)) in targets.iter().zip(places).enumerate() {
        let draft = place.map(|place| Draft::new(target, place, &copies, &mut unwinding));
        // First without names, which needs nothing that may hang.
        let first = draft.as_ref().map(Draft::without_names);
        let _ = updates.send((at, first.map_err(Clone::clone)));
        drafts.extend(draft.ok().map(|draft| (at, draft)));
    }
    // Then with a note that the names are unread, which stays if time or memory does not suffice for them.
    for (at, draft) in drafts.iter().filter(|(_, draft)| draft.may_have_names()) {
        let _ = updates.send((*at, Ok(draft.with_names_unread())));
    }
    if !memory::is_left_for_names(file_sizes(&drafts)) {
        return;
    }
    drafts.sort_by_key(|(_, draft)| draft.turn());
    let mut symbols = Symbols::new(modules);
    // The system's libraries come last. Their names are rarely needed, and take longest if their debug
    // information is installed.
    let mut without = Vec::new();
    for (at, draft) in drafts {
        let mut found = draft.with_names(|call| match call.is_systems() {
            true => vec![unnamed(call)],
            false => symbols.of(call, limit),
        });
        if limit.is_over() {
            return;
        }
        for stack in &mut found.stacks {
            stack.names_unread = waits_in_system(stack);
        }
        if found.stacks.iter().any(|stack| stack.names_unread) {
            without.push((at, draft));
        }
        let _ = updates.send((at, Ok(found)));
    }
    for (at, draft) in without {
        let found = draft.with_names(|call| symbols.of(call, limit));
        if limit.is_over() {
            return;
        }
        let _ = updates.send((at, Ok(found)));
    }
}

/// The state of a target that is a task, and where the target is.
type Place = (Option<TaskState>, At);

type Copies = HashMap<Thread, Result<Copied, Why>>;

/// Copies the stacks of the threads, and asks the tasks.
fn find(
    targets: &[Target],
    mappings: &Mappings,
    limit: Limit,
) -> (Vec<Result<Place, Why>>, Copies) {
    let for_tasks = limit.at_most(ANSWERS);
    asking::wake(targets, limit);
    let mut copies = Copies::new();
    let threads = targets.iter().filter_map(|target| target.thread);
    copy(threads, &mut copies, mappings, limit.at_most(ANSWERS));
    asking::wait(targets, for_tasks);
    let mut places: Vec<_> = targets.iter().map(asking::find).collect();
    mark_threads(&mut places);
    // Threads that hold up tasks, and were not known before.
    let threads = places.iter().flatten().filter_map(|(_, at)| match at {
        At::Thread(thread) => Some(*thread),
        At::Leaves(_) | At::Nowhere => None,
    });
    copy(threads, &mut copies, mappings, limit.at_most(ANSWERS));
    (places, copies)
}

/// A task that was not polled shows the thread that should poll it. If routines hold up that thread, the task
/// shows the same calls as the outermost of them, without those of the executor.
fn mark_threads(places: &mut [Result<Place, Why>]) {
    let mut marks: HashMap<u64, u64> = HashMap::new();
    for (_, at) in places.iter().flatten() {
        if let At::Thread(thread) = at {
            let mark = marks.entry(thread.id).or_default();
            // Stacks grow down.
            *mark = thread.mark.max(*mark);
        }
    }
    for (state, at) in places.iter_mut().flatten() {
        if let (Some(TaskState::NotPolled { .. }), At::Thread(thread)) = (state, at) {
            thread.mark = marks[&thread.id];
        }
    }
}

/// Copies the stacks of the threads that have no copy yet.
fn copy(
    threads: impl Iterator<Item = Thread>,
    copies: &mut Copies,
    mappings: &Mappings,
    limit: Limit,
) {
    let mut new: Vec<_> = threads
        .filter(|thread| !copies.contains_key(thread))
        .collect();
    new.sort_unstable();
    new.dedup();
    if new.is_empty() {
        return;
    }
    let copied = match modules::memory() {
        Ok(memory) => signal::copy(&new, mappings, memory, limit),
        Err(error) => new.iter().map(|_| Err(unreadable(&error))).collect(),
    };
    copies.extend(new.into_iter().zip(copied));
}

fn unreadable(error: &io::Error) -> Why {
    Why::System(format!("cannot read /proc/self: {error}"))
}

/// The sizes of the files that have the names of the calls. Asks for each file, which may hang.
fn file_sizes(drafts: &[(usize, Draft<'_>)]) -> impl Iterator<Item = u64> {
    let traces = drafts.iter().flat_map(|(_, draft)| &draft.traces);
    let calls = traces.flat_map(|trace| &trace.calls);
    let modules = calls.filter_map(|call| call.module.as_ref());
    let by_start: HashMap<u64, _> = modules.map(|module| (module.range.start, module)).collect();
    by_start.into_values().map(|module| module.file_size())
}

/// The stacks of a target, before their calls have names.
struct Draft<'a> {
    target: &'a Target,
    task: Option<TaskState>,
    traces: Vec<Trace>,
    missing: Option<Why>,
}

impl<'a> Draft<'a> {
    fn new(
        target: &'a Target,
        (task, at): Place,
        copies: &Copies,
        unwinding: &mut Unwinding,
    ) -> Self {
        let mut missing = None;
        let traces = match at {
            At::Leaves(leaves) => {
                let seen = leaves.into_iter().filter(|leaf| !leaf.calls.is_empty());
                seen.map(|leaf| unwinding.followed(&leaf.calls, leaf.is_cut))
                    .collect()
            }
            At::Thread(thread) => match &copies[&thread] {
                Ok(copied) => vec![unwinding.trace(copied, thread.mark)],
                Err(why) => {
                    missing = Some(why.clone());
                    Vec::new()
                }
            },
            At::Nowhere => Vec::new(),
        };
        Self {
            target,
            task,
            traces,
            missing,
        }
    }

    fn found(&self, stack_of: impl FnMut(&Trace) -> Stack) -> Found {
        let mut stacks: Vec<Stack> = Vec::new();
        for stack in self.traces.iter().map(stack_of) {
            if !stacks.iter().any(|known| known.is_alike(&stack)) {
                stacks.push(stack);
            }
        }
        leave_out_quits(&mut stacks);
        Found {
            task: self.task.clone(),
            stacks,
            missing: self.missing.clone(),
        }
    }

    fn without_names(&self) -> Found {
        self.found(|trace| {
            let calls = trace.calls.iter().map(unnamed).collect();
            self.stack(trace, calls)
        })
    }

    /// Whether names are to be expected. Reads files, which may hang.
    fn may_have_names(&self) -> bool {
        let mut calls = self.traces.iter().flat_map(|trace| &trace.calls);
        calls.any(Address::may_have_name)
    }

    /// The order of naming. The time may not suffice for all names: routines that block a thread come before
    /// those that suffer from it.
    fn turn(&self) -> u8 {
        match self.task {
            None | Some(TaskState::InPoll { .. }) => 0,
            Some(TaskState::Awaiting | TaskState::AwaitingNothing) => 1,
            Some(TaskState::NotPolled { .. } | TaskState::NeverPolled) => 2,
        }
    }

    fn with_names_unread(&self) -> Found {
        let mut found = self.without_names();
        for stack in &mut found.stacks {
            stack.names_unread = true;
        }
        found
    }

    fn with_names(&self, mut names: impl FnMut(&Address) -> Vec<Call>) -> Found {
        self.found(|trace| {
            let calls = trace.calls.iter().flat_map(&mut names).collect();
            self.stack(trace, calls)
        })
    }

    fn stack(&self, trace: &Trace, calls: Vec<Call>) -> Stack {
        Stack {
            lacks_lines: lacks_lines(&calls),
            frames: trim(calls, self.target.is_task()),
            is_cut: trace.is_cut,
            names_unread: false,
        }
    }
}

/// Leaves out the quit that would cancel a future, if the stack of that future is there.
fn leave_out_quits(stacks: &mut Vec<Stack>) {
    let is_cancelled = |stack: &Stack| match &stack.frames[..] {
        [first, outer @ ..] if first.function.ends_with("::cancel_on_quit") => stacks
            .iter()
            .any(|other| other != stack && ends_with(&other.frames, outer)),
        _ => false,
    };
    let left_out: Vec<bool> = stacks.iter().map(is_cancelled).collect();
    let mut left_out = left_out.into_iter();
    stacks.retain(|_| left_out.next() == Some(false));
}

/// Whether the outermost of these calls are like those of `outer`.
fn ends_with(frames: &[Frame], outer: &[Frame]) -> bool {
    let (frames, outer) = (frames.iter().rev(), outer.iter().rev());
    frames.len() >= outer.len() && outer.zip(frames).all(|(one, other)| one.is_alike(other))
}

/// Whether the innermost call that is shown is one of the system's, whose name was left out.
fn waits_in_system(stack: &Stack) -> bool {
    stack.frames.first().is_some_and(Frame::is_systems)
}
