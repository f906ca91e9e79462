//! Real threads that hang, and their stacks.

use std::hint;
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;

use super::{Stack, Stacks, TIME_LIMIT, Why, of};
use crate::report::notice::Notice;
use crate::routine::record::Record;
use crate::{Quitter, RoutineQuitter};

mod captures;
mod waits;

pub(super) const LONG: Duration = Duration::from_secs(20);

pub(super) fn records(root: &Quitter) -> Vec<Arc<Record>> {
    let (live, unread) = root.node().try_look(Instant::now() + LONG);
    assert!(unread.is_empty());
    live.into_iter().flat_map(|at| at.routines).collect()
}

pub(super) fn capture(root: &Quitter) -> Stacks {
    of(&records(root), Instant::now() + LONG)
}

/// Takes the stack of a routine out.
fn take(stacks: &mut Stacks, routine: u64) -> Option<Stack> {
    stacks.by_routine.remove(&routine)?.stacks.pop()
}

/// The functions and lines of a stack.
fn shown(stack: &Stack) -> Vec<String> {
    stack.frames.iter().map(ToString::to_string).collect()
}

/// Waits until all routines run on their threads.
fn wait_for_threads(root: &Quitter) -> Vec<Arc<Record>> {
    let until = Instant::now() + LONG;
    loop {
        let records = records(root);
        if records.iter().all(|record| record.stack_mark() != 0) {
            return records;
        }
        assert!(Instant::now() < until);
        thread::yield_now();
    }
}

/// Captures the only routine until its innermost call is this one: the routine may not be there yet.
fn stack_in(root: &Quitter, innermost: &str) -> Stack {
    let until = Instant::now() + LONG;
    loop {
        let id = records(root)[0].id;
        let mut stacks = capture(root);
        let stack = take(&mut stacks, id);
        let is_there = |stack: &&Stack| {
            stack
                .frames
                .first()
                .is_some_and(|frame| frame.function.contains(innermost))
        };
        if let Some(stack) = stack.as_ref().filter(is_there) {
            return stack.clone();
        }
        assert!(
            Instant::now() < until,
            "{innermost} is not the innermost call in {stack:?}, {:?}",
            stacks.missing()
        );
    }
}

/// Checks that the calls are `innermost`, then `function` of this file, at a line after `line`.
#[track_caller]
fn check(stack: &Stack, innermost: &str, function: &str, line: u32) {
    let frames = &stack.frames;
    assert!(frames[0].function.ends_with(innermost), "{frames:#?}");
    let own = format!("quitter_core::stacks::tests::{function}");
    assert_eq!(frames[1].function, own, "{frames:#?}");
    if cfg!(debug_assertions) {
        assert_eq!(frames[1].file.as_deref(), Some(file!()), "{frames:#?}");
        let at = frames[1].line.unwrap();
        assert!((line + 1..line + 10).contains(&at), "{at}, {line}");
    }
    assert!(!stack.is_cut, "{stack:#?}");
    let runtime = [
        "quitter_core::routine",
        "std::thread::Builder",
        "std::sys",
        "call_once",
    ];
    for frame in frames {
        let is_runtimes = |name: &&str| frame.function.contains(*name);
        assert!(!runtime.iter().any(is_runtimes), "{frames:#?}");
    }
}

const WAITS_FOR_A_LOCK: u32 = line!();
#[inline(never)]
fn waits_for_a_lock(lock: &Mutex<u8>) {
    drop(lock.lock());
    hint::black_box(());
}

/// All of it is in this file, wherever it is added.
fn body_that_waits_for_a_lock(lock: &Arc<Mutex<u8>>) -> impl FnOnce(&RoutineQuitter) + use<> {
    let lock = Arc::clone(lock);
    move |_| waits_for_a_lock(&lock)
}

fn add_from_this_file(root: &Quitter, body: impl FnOnce(&RoutineQuitter) + Send + 'static) {
    root.routine("from this file").add(body).unwrap();
}

#[test]
fn a_thread_that_waits_for_a_lock_shows_the_line_that_does() {
    let root = Quitter::root("root");
    let lock = Arc::new(Mutex::new(0));
    let held = lock.lock().unwrap();
    let routines = Arc::clone(&lock);
    root.routine("r")
        .add(move |_| waits_for_a_lock(&routines))
        .unwrap();
    let stack = stack_in(&root, "lock");
    check(
        &stack,
        "std::sync::Mutex::lock",
        "waits_for_a_lock",
        WAITS_FOR_A_LOCK,
    );
    drop(held);
    root.quit_and_wait(LONG).unwrap();
}

/// Runs in a process where no other test reads names.
#[test]
fn a_report_says_that_names_were_not_read_in_time_and_how_to_read_them() {
    in_a_process("stacks::tests::a_report_has_a_note_while_nobody_can_read_names");
}

#[test]
#[ignore = "another test starts it"]
fn a_report_has_a_note_while_nobody_can_read_names() {
    let root = Quitter::root("root");
    let lock = Arc::new(Mutex::new(0));
    let held = lock.lock().unwrap();
    let routines = Arc::clone(&lock);
    root.routine("r")
        .add(move |_| waits_for_a_lock(&routines))
        .unwrap();
    let named = stack_in(&root, "lock");
    assert!(!named.names_unread, "{named:#?}");
    let records = records(&root);
    let until = Instant::now() + LONG;
    let unread = loop {
        let mut timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        while_nobody_can_read_names(|| {
            timeouts.add_stacks(of(&records, Instant::now() + TIME_LIMIT));
        });
        let routine = timeouts.routines().next().unwrap();
        if routine.stacks.iter().any(|stack| stack.names_unread) {
            break timeouts;
        }
        // The machine was too busy to unwind the stack in that time.
        assert!(Instant::now() < until, "{timeouts}");
    };
    let text = Notice::Stacks { routines: unread }.to_string();
    let note = "\nNot all names of calls were read, for lack of time or memory. To read more:\n  addr2line -f -C -e ";
    assert_eq!(text.matches(note).count(), 1, "{text}");
    // The offset is that of the call that has a name by now.
    let offset = format!("+{:#x}\n", named.frames[1].offset);
    assert!(text.contains(&offset), "{text}");
    drop(held);
    root.quit_and_wait(LONG).unwrap();
}

/// Calls `f` while another thread holds the lock for reading names.
pub(super) fn while_nobody_can_read_names(f: impl FnOnce()) {
    let (reads, is_reading) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let reader = thread::spawn(move || {
        // `resolve` looks up the byte before.
        let inside = waits_for_a_lock as *const () as usize + 1;
        backtrace::resolve(inside as *mut _, |_| {
            reads.send(()).unwrap();
            let _ = released.recv();
        });
    });
    is_reading.recv_timeout(LONG).unwrap();
    f();
    drop(release);
    reader.join().unwrap();
}

const WAITS_FOR_A_MESSAGE: u32 = line!();
#[inline(never)]
fn waits_for_a_message(messages: &mpsc::Receiver<u8>) {
    let _ = messages.recv();
    hint::black_box(());
}

#[test]
fn a_thread_that_waits_for_a_message_shows_the_line_that_does() {
    let root = Quitter::root("root");
    let (sender, messages) = mpsc::channel();
    root.routine("r")
        .add(move |_| waits_for_a_message(&messages))
        .unwrap();
    let stack = stack_in(&root, "recv");
    check(
        &stack,
        "std::sync::mpsc::Receiver::recv",
        "waits_for_a_message",
        WAITS_FOR_A_MESSAGE,
    );
    drop(sender);
    root.quit_and_wait(LONG).unwrap();
}

const ACCEPTS: u32 = line!();
#[inline(never)]
fn accepts(listener: &TcpListener) {
    let _ = listener.accept();
    hint::black_box(());
}

#[test]
fn a_thread_that_waits_for_a_client_shows_the_line_that_does_and_goes_on_waiting() {
    let root = Quitter::root("root");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    root.routine("r").add(move |_| accepts(&listener)).unwrap();
    for _ in 0..3 {
        let stack = stack_in(&root, "accept");
        check(&stack, "std::net::TcpListener::accept", "accepts", ACCEPTS);
    }
    std::net::TcpStream::connect(address).unwrap();
    root.quit_and_wait(LONG).unwrap();
}

const SLEEPS: u32 = line!();
#[inline(never)]
fn sleeps(long_enough: &AtomicBool) {
    while !long_enough.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn a_thread_that_sleeps_shows_the_line_that_does() {
    let root = Quitter::root("root");
    let done = Arc::new(AtomicBool::new(false));
    let routines = Arc::clone(&done);
    root.routine("r").add(move |_| sleeps(&routines)).unwrap();
    let stack = stack_in(&root, "sleep");
    check(&stack, "std::thread::sleep", "sleeps", SLEEPS);
    done.store(true, Ordering::Relaxed);
    root.quit_and_wait(LONG).unwrap();
}

#[inline(never)]
fn spins(done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        hint::black_box(());
    }
}

#[inline(never)]
fn calls_what_spins(done: &AtomicBool) {
    spins(done);
    hint::black_box(());
}

#[test]
fn a_thread_that_spins_shows_the_function_that_does_and_its_callers() {
    let root = Quitter::root("root");
    let done = Arc::new(AtomicBool::new(false));
    let routines = Arc::clone(&done);
    root.routine("r")
        .add(move |_| calls_what_spins(&routines))
        .unwrap();
    let until = Instant::now() + LONG;
    loop {
        let stack = stack_in(&root, "");
        let calls = shown(&stack);
        let at = |name| calls.iter().position(|call| call.contains(name));
        if let (Some(inner), Some(outer)) = (at("tests::spins"), at("tests::calls_what_spins")) {
            assert_eq!(inner + 1, outer, "{calls:?}");
            break;
        }
        assert!(Instant::now() < until, "{calls:?}");
    }
    done.store(true, Ordering::Relaxed);
    root.quit_and_wait(LONG).unwrap();
}

#[test]
fn a_thread_that_blocks_the_signal_is_left_alone() {
    let root = Quitter::root("root");
    let (blocked, is_blocked) = mpsc::channel();
    let (sender, messages) = mpsc::channel::<()>();
    let block = move |_: &_| {
        SigSet::all().thread_block().unwrap();
        blocked.send(()).unwrap();
        let _ = messages.recv();
    };
    root.routine("r").add(block).unwrap();
    is_blocked.recv().unwrap();
    let from = Instant::now();
    let mut stacks = capture(&root);
    assert!(take(&mut stacks, records(&root)[0].id).is_none());
    assert_eq!(stacks.missing(), [(Why::Blocks, 1)]);
    assert!(from.elapsed() < LONG, "nobody was waited for");
    drop(sender);
    root.quit_and_wait(LONG).unwrap();
}

#[inline(never)]
fn recurses(depth: u32, messages: &mpsc::Receiver<()>) -> u8 {
    let large = hint::black_box([0; 1024]);
    match depth {
        0 => drop(messages.recv()),
        _ => {
            recurses(depth - 1, messages);
        }
    }
    large[hint::black_box(0)]
}

#[test]
fn a_deep_recursion_is_cut() {
    let root = Quitter::root("root");
    let (sender, messages) = mpsc::channel();
    let routine = root.routine("r").stack_size(32 << 20);
    routine
        .add(move |_| {
            recurses(5_000, &messages);
        })
        .unwrap();
    let stack = stack_in(&root, "recv");
    assert!(stack.is_cut);
    assert!(
        stack.frames.len() > 50 && stack.frames.len() < 1_000,
        "{}",
        stack.frames.len()
    );
    assert!(
        stack.frames[1].function.ends_with("::recurses"),
        "{stack:?}"
    );
    drop(sender);
    root.quit_and_wait(LONG).unwrap();
}

/// Runs an ignored test alone.
#[track_caller]
pub(super) fn in_a_process(story: &str) {
    let mut alone = Command::new(std::env::current_exe().unwrap());
    let ended = alone
        .args(["--exact", story, "--ignored"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&ended.stdout);
    assert!(text.contains("1 passed"), "{text}");
}
