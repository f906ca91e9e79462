//! Which threads are asked, and what ends a capture: other captures, the exit, and threads that end.

use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Wake, Waker};

use super::super::{MAX_THREADS, of_exit};
use super::*;

#[test]
fn of_many_threads_those_with_different_names_come_first() {
    let root = Quitter::root("root");
    let (sender, messages) = crossbeam_channel::bounded::<()>(0);
    let start = |name: String| {
        let messages = messages.clone();
        root.routine(name)
            .add(move |_| {
                let _ = messages.recv();
            })
            .unwrap()
            .id()
    };
    for _ in 0..100 {
        start("worker".to_owned());
    }
    let others: Vec<_> = (0..30).map(|n| start(format!("other {n}"))).collect();
    let records = wait_for_threads(&root);
    let until = Instant::now() + LONG;
    let mut stacks = of(&records, until);
    // On a busy machine, some threads do not run in time.
    while stacks
        .missing()
        .iter()
        .any(|(why, _)| *why == Why::NoAnswer)
    {
        assert!(Instant::now() < until, "{:?}", stacks.missing());
        stacks = of(&records, until);
    }
    assert!(
        others.iter().all(|id| stacks.by_routine.contains_key(id)),
        "{:?}",
        stacks.missing()
    );
    let captured = records
        .iter()
        .filter(|record| take(&mut stacks, record.id).is_some());
    assert_eq!(captured.count(), MAX_THREADS);
    assert_eq!(stacks.missing(), [(Why::TooMany, 130 - MAX_THREADS)]);
    drop(sender);
    root.quit_and_wait(LONG).unwrap();
}

#[test]
fn a_file_has_one_spelling_whichever_file_the_routines_are_added_in() {
    let root = Quitter::root("root");
    let lock = Arc::new(Mutex::new(0));
    let held = lock.lock().unwrap();
    let body = body_that_waits_for_a_lock(&lock);
    root.routine("from another file").add(body).unwrap();
    add_from_this_file(&root, body_that_waits_for_a_lock(&lock));
    let until = Instant::now() + LONG;
    let in_lock = |stack: &Stack| stack.frames[0].function == "std::sync::Mutex::lock";
    let stacks = loop {
        let mut stacks = capture(&root);
        let of_all = records(&root);
        let of_all = of_all.iter().map(|record| take(&mut stacks, record.id));
        let of_all: Vec<_> = of_all.flatten().collect();
        if of_all.len() == 2 && of_all.iter().all(in_lock) {
            break of_all;
        }
        assert!(Instant::now() < until, "{of_all:#?}");
    };
    assert_eq!(stacks[0], stacks[1]);
    if cfg!(debug_assertions) {
        let below = file!().replace("/captures.rs", ".rs");
        assert_eq!(stacks[0].frames[1].file, Some(below));
    }
    drop(held);
    root.quit_and_wait(LONG).unwrap();
}

#[test]
fn captures_at_the_same_time_take_turns_and_all_end() {
    let root = Quitter::root("root");
    let (sender, messages) = crossbeam_channel::bounded::<()>(0);
    root.routine("r")
        .add(move |_| {
            let _ = messages.recv();
        })
        .unwrap();
    wait_for_threads(&root);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut stacks = capture(&root);
                assert!(
                    take(&mut stacks, records(&root)[0].id).is_some(),
                    "{:?}",
                    stacks.missing()
                );
            });
        }
    });
    let from = Instant::now();
    let _in_time = of(&records(&root), Instant::now());
    assert!(from.elapsed() < TIME_LIMIT, "no time is no time");
    drop(sender);
    root.quit_and_wait(LONG).unwrap();
}

/// Runs in a process of its own: it would stop the captures of other tests.
#[test]
fn a_capture_for_others_stops_for_that_of_an_exit() {
    in_a_process("stacks::tests::captures::the_others_wait_for_a_task_when_the_exit_comes");
}

#[test]
#[ignore = "another test starts it"]
fn the_others_wait_for_a_task_when_the_exit_comes() {
    let root = Quitter::root("root");
    let (sender, messages) = mpsc::channel();
    root.routine("thread")
        .add(move |_| waits_for_a_message(&messages))
        .unwrap();
    stack_in(&root, "std::sync::mpsc::Receiver::recv");
    let (is_woken, woken) = mpsc::sync_channel(1);
    let waker = Waker::from(Arc::new(Tells(is_woken)));
    let mut task = root.routine("task").task(|_| pending::<()>()).unwrap();
    let mut poll = || {
        let polled = Pin::new(&mut task).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    };
    poll();
    let live = records(&root);
    let thread = live.iter().find(|record| record.name == "thread").unwrap();
    let innermost = |stacks: &mut Stacks| {
        let stack = take(stacks, thread.id)?;
        Some(stack.frames[0].function.clone())
    };
    let patience = Instant::now() + LONG;
    loop {
        poll();
        let of_others = thread::scope(|scope| {
            let others = scope.spawn(|| innermost(&mut capture(&root)));
            woken.recv_timeout(LONG).unwrap();
            let mut stacks = of_exit([thread], Instant::now() + LONG);
            let of_exit = innermost(&mut stacks);
            assert_eq!(
                of_exit.as_deref(),
                Some("std::sync::mpsc::Receiver::recv"),
                "{:?}",
                stacks.missing()
            );
            others.join().unwrap()
        });
        // On a busy machine the exit may come too late to stop the others.
        if of_others.as_deref() != Some("std::sync::mpsc::Receiver::recv") {
            break;
        }
        assert!(Instant::now() < patience, "the others never stop");
    }
    drop((sender, task));
    root.wait_done(LONG).unwrap();
}

/// Tells the test when it is woken.
struct Tells(mpsc::SyncSender<()>);

impl Wake for Tells {
    fn wake(self: Arc<Self>) {
        let _ = self.0.try_send(());
    }
}

/// Threads come, go, panic, allocate and block signals while stacks are captured. Runs for as long as
/// `QUITTER_STACKS_SECONDS` says.
#[test]
fn threads_that_come_and_go_survive_being_captured() {
    let seconds = std::env::var("QUITTER_STACKS_SECONDS");
    let seconds = seconds.ok().and_then(|text| text.parse().ok());
    let least = Duration::from_secs(seconds.unwrap_or(2));
    let root = Quitter::root("root");
    root.on_failure(crate::OnFailure::FailAtExit);
    let done = Arc::new(AtomicBool::new(false));
    for _ in 0..2 {
        let (own, done) = (root.clone(), Arc::clone(&done));
        root.routine("starts")
            .add(move |_| starts_short_threads(&own, &done))
            .unwrap();
    }
    wait_for_threads(&root);
    let from = Instant::now();
    let mut of_starters = 0;
    let mut of_others = 0;
    while from.elapsed() < least || of_starters == 0 {
        let live = records(&root);
        let mut stacks = of(&live, Instant::now() + LONG);
        for record in live
            .iter()
            .filter(|record| take(&mut stacks, record.id).is_some())
        {
            match &record.name[..] {
                "starts" => of_starters += 1,
                _ => of_others += 1,
            }
        }
    }
    println!("{of_starters} stacks of those that start, {of_others} of those that come and go");
    done.store(true, Ordering::Relaxed);
    root.wait_done(LONG).unwrap();
}

fn starts_short_threads(root: &Quitter, done: &AtomicBool) {
    for n in (0..5).cycle() {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let routine = root.routine("short").stack_size(64 * 1024);
        let _ = routine.add(move |_| match n {
            0 => std::panic::resume_unwind(Box::new("short")),
            1 => drop(vec![1_u8; 100_000]),
            2 => thread::yield_now(),
            3 => thread::sleep(Duration::from_millis(20)),
            _ => SigSet::all().thread_block().unwrap(),
        });
        if n == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}
