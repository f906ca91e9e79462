//! A snapshot with stacks shows where each thread is, and disturbs none.

#![cfg(all(
    feature = "stacks",
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(target_env = "musl"),
))]

#[macro_use]
mod common;

use std::hint;
use std::io::{Read, Write, pipe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::waits::eventually;
use common::{Event, PATIENCE};
use nix::sys::signal::SigSet;
use quitter_core::{Quitter, Snapshot, Stack, Stands, StuckRoutine};

const HANGS: u32 = line!() + 3;
#[inline(never)]
fn hangs(messages: &mpsc::Receiver<()>) {
    let _ = messages.recv();
    hint::black_box(());
}

/// Adds a routine that hangs until the sender is dropped.
fn hanging(quitter: &Quitter, name: &'static str) -> mpsc::Sender<()> {
    let (sender, messages) = mpsc::channel();
    let routine = quitter.routine(name);
    routine.add(move |_| hangs(&messages)).unwrap();
    sender
}

/// The routine of this name.
fn named<'a>(snapshot: &'a Snapshot, name: &str) -> &'a StuckRoutine {
    let mut named = snapshot.routines().filter(|routine| routine.name == name);
    named.next().expect("the routine is live")
}

fn has(stack: &Stack, function: &str) -> bool {
    let mut functions = stack.frames.iter().map(|frame| &frame.function);
    functions.any(|name| name.ends_with(function))
}

/// Takes snapshots until one is right. On a busy machine, there may be no time to find out everything.
fn until(is_right: impl Fn(&Snapshot) -> bool, take: impl Fn() -> Snapshot) -> Snapshot {
    let mut right = None;
    eventually(|| {
        right = Some(take()).filter(&is_right);
        right.is_some()
    });
    right.unwrap()
}

/// Whether a routine waits for a message in [`hangs`].
fn hangs_there(routine: &StuckRoutine) -> bool {
    let waits = matches!(&routine.stands, Some(Stands::Blocked { call, .. }) if call == "futex");
    waits && routine.stacks.iter().any(|stack| has(stack, "::hangs"))
}

/// Takes snapshots until a routine hangs in [`hangs`].
fn once_it_hangs(quitter: &Quitter, name: &str) -> Snapshot {
    let is_right = |snapshot: &Snapshot| hangs_there(named(snapshot, name));
    until(is_right, || quitter.snapshot_with_stacks())
}

#[test]
fn it_names_the_function_and_the_line_as_data_and_as_text() {
    let root = Quitter::root("main");
    let store = root.child("store").unwrap();
    let _held = hanging(&store, "flusher");
    let snapshot = once_it_hangs(&root, "flusher");
    let flusher = named(&snapshot, "flusher");
    let [stack] = &flusher.stacks[..] else {
        panic!("{snapshot}");
    };
    let frames: Vec<_> = stack
        .frames
        .iter()
        .map(|frame| &frame.function[..])
        .collect();
    assert_eq!(frames[0], "std::sync::mpsc::Receiver::recv", "{snapshot}");
    assert_eq!(frames[1], "snapshot_with_stacks::hangs", "{snapshot}");
    let text = snapshot.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[2].starts_with("   └─ flusher  running "), "{text}");
    let calls: Vec<_> = lines.iter().filter(|line| line.contains("::")).collect();
    assert_eq!(
        calls[0], &"        std::sync::mpsc::Receiver::recv",
        "{text}"
    );
    assert!(
        calls[1].starts_with("        snapshot_with_stacks::hangs "),
        "{text}"
    );
    if cfg!(debug_assertions) {
        assert_eq!(stack.frames[1].line, Some(HANGS));
        let place = format!("  {}:{HANGS}", file!());
        assert!(calls[1].ends_with(&place), "{text}");
    }
    // A plain snapshot has no stacks, and does not mark them as missing.
    let plain = root.snapshot();
    assert!(named(&plain, "flusher").stacks.is_empty());
    assert!(!plain.to_string().contains("::hangs"), "{plain}");
}

#[test]
fn threads_at_the_same_place_share_their_stack_and_lines_of_the_tree_go_on_beside_it() {
    let root = Quitter::root("main");
    let a = root.child("a").unwrap();
    let _held: Vec<_> = (0..3).map(|_| hanging(&a, "worker")).collect();
    let b = root.child("b").unwrap();
    let _other = hanging(&b, "other");
    let all_hang = |snapshot: &Snapshot| snapshot.routines().all(hangs_there);
    let snapshot = until(all_hang, || root.snapshot_with_stacks());
    let text = snapshot.to_string();
    assert!(text.contains("\n│  └─ worker ×3  "), "{text}");
    assert!(
        text.contains("\n│       std::sync::mpsc::Receiver::recv\n"),
        "{text}"
    );
    assert_eq!(text.matches("Receiver::recv").count(), 1, "{text}");
    assert!(
        text.ends_with("\n        at the same place as 'worker' of main/a"),
        "{text}"
    );
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn a_thread_that_blocks_the_signal_costs_its_stack_and_no_time() {
    let root = Quitter::root("main");
    let _held = hanging(&root, "flusher");
    let (blocked, end) = (Event::new(), Event::new());
    let (blocks, ends) = (blocked.clone(), end.clone());
    root.routine("deaf")
        .add(move |_| {
            SigSet::all().thread_block().unwrap();
            blocks.set();
            ends.wait();
        })
        .unwrap();
    blocked.wait();
    let is_right = |snapshot: &Snapshot| {
        hangs_there(named(snapshot, "flusher")) && named(snapshot, "deaf").stands.is_some()
    };
    let snapshot = until(is_right, || root.snapshot_with_stacks());
    // The names are known by now. Waiting for a thread would cost each snapshot a second.
    eventually(|| {
        let from = Instant::now();
        let _again = root.snapshot_with_stacks();
        from.elapsed() < Duration::from_millis(800)
    });
    let deaf = named(&snapshot, "deaf");
    assert!(deaf.stacks.is_empty(), "{deaf:?}");
    let text = snapshot.to_string();
    let note = "\nNo stack of 1 thread: blocks the signal";
    assert!(text.contains(note), "{text}");
    end.set();
}

#[test]
fn a_routine_that_takes_one_is_listed_without_its_own_stack() {
    let root = Quitter::root("main");
    let _held = hanging(&root, "flusher");
    once_it_hangs(&root, "flusher");
    let (tell, told) = mpsc::channel();
    root.routine("looks")
        .add(move |q| {
            let is_right = |snapshot: &Snapshot| hangs_there(named(snapshot, "flusher"));
            let snapshot = until(is_right, || q.snapshot_with_stacks());
            tell.send(snapshot).unwrap();
        })
        .unwrap();
    let snapshot = told.recv_timeout(2 * PATIENCE).unwrap();
    let looks = named(&snapshot, "looks");
    assert!(
        looks.stacks.is_empty() && looks.stands.is_none(),
        "{looks:?}"
    );
    assert!(looks.last_seen.is_some_and(|seen| seen.file() == file!()));
    let text = snapshot.to_string();
    assert!(!text.contains("No stack"), "{text}");
}

#[test]
fn those_taken_at_the_same_time_take_turns_and_all_have_stacks() {
    let root = Quitter::root("main");
    let _held = hanging(&root, "flusher");
    once_it_hangs(&root, "flusher");
    // On a busy machine, not all threads may get their turn in time.
    eventually(|| {
        let together = Arc::new(Barrier::new(4));
        let takers = [(); 4].map(|()| {
            let (root, together) = (root.clone(), Arc::clone(&together));
            thread::spawn(move || {
                together.wait();
                root.snapshot_with_stacks()
            })
        });
        let snapshots = takers.map(|taker| taker.join().unwrap());
        let has_stack = |snapshot: &Snapshot| !named(snapshot, "flusher").stacks.is_empty();
        snapshots.iter().all(has_stack)
    });
}

/// Each thread gets its event at the end, and none notices the snapshots in between.
#[test]
fn threads_that_wait_go_on_waiting_and_get_what_they_wait_for() {
    let root = Quitter::root("main");
    let (mut reader, mut writer) = pipe().unwrap();
    root.routine("reads")
        .add(move |_| {
            let mut byte = [0];
            reader.read_exact(&mut byte)?;
            assert_eq!(byte, [7]);
            std::io::Result::Ok(())
        })
        .unwrap();
    let shared = Arc::new((Mutex::new(false), Condvar::new()));
    let waits = Arc::clone(&shared);
    root.routine("waits")
        .add(move |_| {
            let is_set = waits.0.lock().unwrap();
            drop(waits.1.wait_while(is_set, |is_set| !*is_set).unwrap());
        })
        .unwrap();
    let long = Duration::from_millis(300);
    root.routine("sleeps")
        .add(move |_| {
            let from = Instant::now();
            thread::sleep(long);
            assert!(from.elapsed() >= long);
        })
        .unwrap();
    let from = Instant::now();
    while from.elapsed() < long * 2 {
        let snapshot = root.snapshot_with_stacks();
        assert_eq!(
            snapshot.routines().filter(|r| r.name != "sleeps").count(),
            2
        );
    }
    writer.write_all(&[7]).unwrap();
    *shared.0.lock().unwrap() = true;
    shared.1.notify_all();
    root.wait_done(PATIENCE).unwrap();
    assert!(root.failures().is_empty(), "{}", root.snapshot());
}

#[test]
fn quitters_and_routines_that_come_and_go_meanwhile_are_gone_afterwards() {
    let root = Quitter::root("main");
    let over = Arc::new(AtomicBool::new(false));
    let (taker, is_over) = (root.clone(), Arc::clone(&over));
    let takes = thread::spawn(move || {
        let mut taken = 0;
        while !is_over.load(Ordering::Relaxed) || taken == 0 {
            drop(taker.snapshot_with_stacks());
            taken += 1;
        }
    });
    for _ in 0..1_000 {
        let child = root.child("short").unwrap();
        child.routine("job").add(|q| drop(q.guard("part"))).unwrap();
    }
    root.wait_done(PATIENCE).unwrap();
    over.store(true, Ordering::Relaxed);
    takes.join().unwrap();
    let snapshot = root.snapshot();
    assert_eq!(snapshot.quitters.len(), 1, "{snapshot}");
}

/// A failed allocation would end the process. The caches of the names are empty at first, and most memory is
/// taken when they fill up.
fn memory_gets_short() {
    use nix::sys::resource::{Resource::RLIMIT_AS, getrlimit, setrlimit};
    const MIB: u64 = 1 << 20;

    let root = Quitter::root("root");
    let _hanging = hanging(&root, "worker");
    eventually(|| root.snapshot().to_string().contains("blocked in futex"));
    let (_, hard) = getrlimit(RLIMIT_AS).unwrap();
    let mut left = MIB;
    let mut with_names = false;
    while !with_names {
        let size = common::virtual_kib() as u64 * 1024;
        setrlimit(RLIMIT_AS, size + left, hard).unwrap();
        let shown = root.snapshot_with_stacks().to_string();
        setrlimit(RLIMIT_AS, hard, hard).unwrap();
        let says = |text| shown.contains(text);
        with_names = says("hangs");
        let says_why = says("too little memory is left") || says("for lack of time or memory");
        assert!(
            says("worker") && (with_names || says_why),
            "{left}: {shown}"
        );
        left += left / 4;
    }
    assert!(left > 8 * MIB);
}

in_own_process!(
    a_snapshot_leaves_out_what_there_is_no_memory_for,
    own_process_leaves_out_what_there_is_no_memory_for,
    memory_gets_short()
);
