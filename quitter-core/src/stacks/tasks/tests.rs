//! Real tasks that hang, on real executors.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, Semaphore, oneshot};

use super::super::limit::Limit;
use super::super::tests::{LONG, capture, in_a_process, records, while_nobody_can_read_names};
use super::super::worker::work;
use super::super::{Found, MAX_THREADS, Stack, Stacks, TIME_LIMIT, Target, TaskState, Why, of};
use crate::{Quitter, RoutineQuitter, RoutineState};

mod awaits;
mod everywhere;

fn several_threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// Captures the stacks of the routine with this name.
fn found(root: &Quitter, name: &str) -> Option<Found> {
    let records = records(root);
    let record = records.iter().find(|record| record.name == name)?;
    of([record], Instant::now() + LONG)
        .by_routine
        .remove(&record.id)
}

/// Asks the routine with this name until its answer is right: the routine may not be there yet.
#[track_caller]
fn until(root: &Quitter, name: &str, is_right: impl Fn(&Found) -> bool) -> Found {
    let until = Instant::now() + LONG;
    loop {
        let found = found(root, name);
        if let Some(found) = found.as_ref().filter(|found| is_right(found)) {
            return found.clone();
        }
        assert!(Instant::now() < until, "{found:#?}");
        thread::yield_now();
    }
}

async fn waits_for(notify: &Notify) {
    notify.notified().await;
}

fn innermost(stack: &Stack) -> &str {
    &stack.frames[0].function
}

/// Asks until the task awaits exactly these calls of tokio.
#[track_caller]
fn until_it_awaits(root: &Quitter, name: &str, calls: &[&str]) -> Found {
    until(root, name, |found| {
        let mut innermost: Vec<_> = found.stacks.iter().map(innermost).collect();
        innermost.sort_unstable();
        found.task == Some(TaskState::Awaiting) && innermost == calls
    })
}

#[test]
fn a_task_that_nothing_can_wake_is_said_to_be_one() {
    let root = Quitter::root("root");
    let runtime = several_threads();
    let task = root.routine("task").on(runtime.handle());
    let task = task.add_task(|_| pending::<()>()).unwrap();
    let found = until(&root, "task", |found| {
        found.task == Some(TaskState::AwaitingNothing)
    });
    assert!(found.stacks.is_empty());
    task.abort();
    root.wait_done(LONG).unwrap();
}

#[inline(never)]
fn blocks(messages: &mpsc::Receiver<()>) {
    let _closed = messages.recv();
    std::hint::black_box(());
}

#[test]
fn a_task_that_blocks_holds_up_its_thread_whose_stack_is_shown() {
    let root = Quitter::root("root");
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime
        .worker_threads(1)
        .thread_name("worker 7")
        .build()
        .unwrap();
    let (sender, messages) = mpsc::channel();
    let task = root.routine("task").on(runtime.handle());
    task.add_task(|_| async move { blocks(&messages) }).unwrap();
    let found = until(&root, "task", |found| {
        matches!(&found.task, Some(TaskState::InPoll { thread, .. }) if thread == "worker 7")
            && innermost(&found.stacks[0]) == "std::sync::mpsc::Receiver::recv"
    });
    let own = "quitter_core::stacks::tasks::tests::";
    let calls: Vec<_> = found.stacks[0]
        .frames
        .iter()
        .map(|frame| &frame.function[..])
        .collect();
    let test = "a_task_that_blocks_holds_up_its_thread_whose_stack_is_shown";
    assert_eq!(
        calls[1..],
        [format!("{own}blocks"), format!("{own}{test}")],
        "{calls:#?}"
    );
    drop(sender);
    root.wait_done(LONG).unwrap();
}

#[test]
fn a_task_that_no_thread_polls_shows_the_thread_that_should() {
    let root = Quitter::root("root");
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).build().unwrap();
    let (release, messages) = mpsc::channel();
    let notify = Arc::new(Notify::new());
    let theirs = Arc::clone(&notify);
    let task = root.routine("task").on(runtime.handle());
    task.add_task(|_| async move { waits_for(&theirs).await })
        .unwrap();
    until_it_awaits(&root, "task", &["tokio::sync::Notify::notified"]);
    // A task that is not a routine of quitter's.
    runtime.spawn(async move { blocks(&messages) });
    let late = root.routine("late").on(runtime.handle());
    late.add_task(|_| async {}).unwrap();
    let found = until(&root, "task", |found| {
        let calls = found.stacks.iter().flat_map(|stack| &stack.frames);
        let mut calls = calls.map(|frame| &frame.function[..]);
        matches!(found.task, Some(TaskState::NotPolled { .. }))
            && calls.any(|call| call.ends_with("tests::blocks"))
    });
    let Some(TaskState::NotPolled { woken: first }) = found.task else {
        panic!("{found:?}");
    };
    // The time counts from the first wake-up that was not followed by a poll.
    let again = self::found(&root, "task").unwrap();
    let Some(TaskState::NotPolled { woken }) = again.task else {
        panic!("{again:?}");
    };
    assert!(
        woken >= first + Duration::from_millis(250),
        "{woken:?}, {first:?}"
    );
    assert_eq!(
        self::found(&root, "late").unwrap().task,
        Some(TaskState::NeverPolled)
    );
    release.send(()).unwrap();
    until_it_awaits(&root, "task", &["tokio::sync::Notify::notified"]);
    notify.notify_one();
    root.wait_done(LONG).unwrap();
}

/// Adds "task", which is not polled because "culprit" blocks the only thread. Returns once both are in that
/// state.
fn add_one_that_another_holds_up(
    root: &Quitter,
    runtime: &Runtime,
    messages: mpsc::Receiver<()>,
) -> Arc<Notify> {
    let notify = Arc::new(Notify::new());
    let theirs = Arc::clone(&notify);
    let task = root.routine("task").on(runtime.handle());
    task.add_task(|_| async move { waits_for(&theirs).await })
        .unwrap();
    until_it_awaits(root, "task", &["tokio::sync::Notify::notified"]);
    let culprit = root.routine("culprit").on(runtime.handle());
    culprit
        .add_task(|_| async move { blocks(&messages) })
        .unwrap();
    until(root, "culprit", |found| {
        matches!(found.task, Some(TaskState::InPoll { .. }))
            && innermost(&found.stacks[0]) == "std::sync::mpsc::Receiver::recv"
    });
    until(root, "task", |found| {
        matches!(found.task, Some(TaskState::NotPolled { .. }))
    });
    notify
}

fn one_thread() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).build().unwrap()
}

/// Runs in a process where no other test reads names.
#[test]
fn without_names_a_task_that_is_not_polled_is_where_the_one_is_that_holds_up_its_thread() {
    in_a_process("stacks::tasks::tests::both_are_at_the_same_place_while_nobody_can_read_names");
}

#[test]
#[ignore = "another test starts it"]
fn both_are_at_the_same_place_while_nobody_can_read_names() {
    let root = Quitter::root("root");
    let runtime = one_thread();
    let (release, messages) = mpsc::channel();
    let notify = add_one_that_another_holds_up(&root, &runtime, messages);
    let until = Instant::now() + LONG;
    loop {
        let mut stacks = Stacks::default();
        let records = records(&root);
        while_nobody_can_read_names(|| {
            stacks = of(&records, Instant::now() + TIME_LIMIT);
        });
        let found = records.iter().map(|record| stacks.take(record.id));
        let found: Vec<_> = found.flatten().flat_map(|found| found.stacks).collect();
        // The machine may be too busy to unwind the stack in that time.
        if found.len() == 2 && found.iter().all(|stack| stack.names_unread) {
            assert_eq!(found[0], found[1]);
            break;
        }
        assert!(Instant::now() < until, "{found:#?}");
    }
    release.send(()).unwrap();
    notify.notify_one();
    root.wait_done(LONG).unwrap();
}

#[test]
fn who_holds_up_a_thread_gets_names_before_those_that_are_not_polled() {
    let root = Quitter::root("root");
    let runtime = one_thread();
    let (release, messages) = mpsc::channel();
    let notify = add_one_that_another_holds_up(&root, &runtime, messages);
    let records = records(&root);
    let names = ["task", "culprit"];
    let targets = names.map(|name| {
        let record = records.iter().find(|record| record.name == name);
        Target::of(record.unwrap())
    });
    let (updates, received) = crossbeam_channel::unbounded();
    work(&targets, Limit::of_exit(Instant::now() + LONG), &updates);
    drop(updates);
    let is_named = |found: &Found| {
        found
            .stacks
            .iter()
            .all(|stack| !stack.frames[0].is_unnamed())
    };
    let named = received
        .iter()
        .filter(|(_, found)| found.as_ref().is_ok_and(is_named));
    let named: Vec<_> = named.map(|(at, _)| names[at]).collect();
    assert_eq!(named, ["culprit", "task"]);
    release.send(()).unwrap();
    notify.notify_one();
    root.wait_done(LONG).unwrap();
}

/// A future that is pending once. At the next poll it returns what `then` returns.
fn at_the_next_poll<T>(mut then: impl FnMut() -> Poll<T>) -> impl Future<Output = T> {
    let mut kept = None;
    poll_fn(move |cx| match kept {
        None => {
            kept = Some(cx.waker().clone());
            Poll::Pending
        }
        Some(_) => then(),
    })
}

/// Has a task polled for a report, and waits until the task is done.
fn ends_by_being_asked(root: &Quitter) {
    let until = Instant::now() + LONG;
    while root.wait_done(Duration::ZERO).is_err() {
        assert!(Instant::now() < until);
        // During the poll, the task has the stack of the thread that polls it.
        let is_shown =
            |found: &Found| found.task == Some(TaskState::Awaiting) && !found.stacks.is_empty();
        assert!(!capture(root).by_routine.values().any(is_shown));
    }
}

#[test]
fn a_panic_in_the_extra_poll_is_the_tasks_failure() {
    let root = Quitter::root("root");
    root.on_failure(crate::OnFailure::FailAtExit);
    let runtime = several_threads();
    let panics = |_| at_the_next_poll(|| -> Poll<()> { panic!("polled once more") });
    root.routine("task")
        .on(runtime.handle())
        .add_task(panics)
        .unwrap();
    ends_by_being_asked(&root);
    let failure = &root.failures()[0];
    assert!(
        failure.kind.to_string().contains("polled once more"),
        "{failure:?}"
    );
}

#[test]
fn a_task_may_end_in_the_extra_poll() {
    let root = Quitter::root("root");
    let runtime = several_threads();
    let ends = |_| at_the_next_poll(|| Poll::Ready(()));
    root.routine("task")
        .on(runtime.handle())
        .add_task(ends)
        .unwrap();
    ends_by_being_asked(&root);
    assert!(root.failures().is_empty());
}

#[test]
fn a_task_may_be_aborted_in_the_extra_poll() {
    let root = Quitter::root("root");
    let runtime = several_threads();
    let (tell, handle) = mpsc::channel::<crate::RoutineHandle>();
    let aborts = |_| {
        at_the_next_poll(move || {
            handle.try_iter().for_each(|handle| assert!(handle.abort()));
            Poll::<()>::Pending
        })
    };
    let task = root.routine("task").on(runtime.handle());
    let task = task.add_task(aborts).unwrap();
    tell.send(task).unwrap();
    ends_by_being_asked(&root);
    assert!(root.failures().is_empty());
}

#[test]
fn a_task_that_ends_leaves_its_waker_to_nobody() {
    struct Counted;
    impl Wake for Counted {
        fn wake(self: Arc<Self>) {}
    }
    let root = Quitter::root("root");
    let counted = Arc::new(Counted);
    let waker = Waker::from(Arc::clone(&counted));
    let mut task = root.routine("task").task(|_| pending::<()>()).unwrap();
    let poll = Pin::new(&mut task).poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    let record = records(&root).remove(0);
    assert_eq!(Arc::strong_count(&counted), 3, "the task has kept one");
    drop(task);
    assert_eq!(Arc::strong_count(&counted), 2);
    assert!(record.is_finished());
    root.wait_done(Duration::ZERO).unwrap();
}

#[test]
fn only_who_asks_for_stacks_has_tasks_polled_and_a_task_can_be_left_out() {
    let root = Quitter::root("root");
    let runtime = several_threads();
    let polls = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let notify = Arc::new(Notify::new());
    for (name, polls) in ["asked", "left out"].iter().zip(&polls) {
        let (notify, polls) = (Arc::clone(&notify), Arc::clone(polls));
        let task = root.routine(*name).on(runtime.handle());
        let task = task.extra_poll(*name == "asked");
        task.add_task(|_| async move {
            let mut notified = pin!(notify.notified());
            poll_fn(|cx| {
                polls.fetch_add(1, Ordering::SeqCst);
                notified.as_mut().poll(cx)
            })
            .await;
        })
        .unwrap();
    }
    let count = || [0, 1].map(|at| polls[at].load(Ordering::SeqCst));
    let patience = Instant::now() + LONG;
    while count() != [1, 1] {
        assert!(Instant::now() < patience);
    }
    drop(root.snapshot().to_string());
    root.wait_done(Duration::from_millis(20)).unwrap_err();
    assert_eq!(count(), [1, 1]);
    let stacks = capture(&root);
    assert_eq!(stacks.missing(), [(Why::LeftOut, 1)]);
    assert_eq!(stacks.by_routine.len(), 1);
    assert_eq!(count(), [2, 1]);
    notify.notify_waiters();
    root.wait_done(LONG).unwrap();
}

#[test]
fn of_many_tasks_those_with_different_names_are_asked() {
    let root = Quitter::root("root");
    let runtime = several_threads();
    let notify = Arc::new(Notify::new());
    let start = |name: String| {
        let notify = Arc::clone(&notify);
        let task = root.routine(name).on(runtime.handle());
        task.add_task(|_| async move { notify.notified().await })
            .unwrap()
            .id()
    };
    for _ in 0..1000 {
        start("connection".to_owned());
    }
    let others: Vec<_> = (0..30).map(|n| start(format!("other {n}"))).collect();
    // Tasks that are polled for the first time meanwhile are not asked.
    let patience = Instant::now() + LONG;
    let stacks = loop {
        let stacks = capture(&root);
        let left_out = [(Why::TooManyTasks, 1030 - MAX_THREADS)];
        if stacks.by_routine.len() == MAX_THREADS && stacks.missing() == left_out {
            break stacks;
        }
        assert!(Instant::now() < patience, "{:?}", stacks.missing());
    };
    assert!(others.iter().all(|id| stacks.by_routine.contains_key(id)));
    let until = Instant::now() + LONG;
    while root.wait_done(Duration::ZERO).is_err() {
        assert!(Instant::now() < until);
        notify.notify_waiters();
    }
}

#[test]
fn a_task_in_a_task_is_one_of_the_futures_that_the_outer_one_awaits() {
    let root = Quitter::root("root");
    let runtime = several_threads();
    let notify = Arc::new(Notify::new());
    let theirs = Arc::clone(&notify);
    let inner = root
        .routine("inner")
        .task(|_| async move { waits_for(&theirs).await });
    let outer = |_| async move { inner.unwrap().await };
    root.routine("outer")
        .on(runtime.handle())
        .add_task(outer)
        .unwrap();
    let test = "a_task_in_a_task_is_one_of_the_futures_that_the_outer_one_awaits";
    for name in ["inner", "outer"] {
        let found = until_it_awaits(&root, name, &["tokio::sync::Notify::notified"]);
        let of_test = |name| format!("quitter_core::stacks::tasks::tests::{name}");
        let calls: Vec<_> = found.stacks[0]
            .frames
            .iter()
            .map(|frame| &frame.function[..])
            .collect();
        assert_eq!(calls[1], of_test("waits_for"));
        assert_eq!(
            calls[2..],
            vec![of_test(test); calls.len() - 2],
            "{calls:?}"
        );
    }
    // Both tasks at the same time.
    let mut stacks = capture(&root);
    for record in records(&root) {
        let found = stacks.by_routine.remove(&record.id).unwrap();
        assert_eq!(found.stacks.len(), 1, "{found:#?}");
    }
    notify.notify_one();
    root.wait_done(LONG).unwrap();
}

/// Hangs when it is woken, until it is released.
struct Hangs {
    wakes: mpsc::SyncSender<()>,
    released: Mutex<mpsc::Receiver<()>>,
}

impl Wake for Hangs {
    fn wake(self: Arc<Self>) {
        self.wakes.send(()).unwrap();
        let _closed = self.released.lock().unwrap().recv();
    }
}

#[test]
fn a_waker_that_hangs_costs_only_the_stacks_of_tasks() {
    let root = Quitter::root("root");
    let ((wakes, woken), (release, released)) = (mpsc::sync_channel(9), mpsc::channel());
    let waker = Hangs {
        wakes,
        released: Mutex::new(released),
    };
    let waker = Waker::from(Arc::new(waker));
    let mut first = root.routine("first").task(|_| pending::<()>()).unwrap();
    let mut second = root.routine("second").task(|_| pending::<()>()).unwrap();
    for task in [&mut first, &mut second] {
        assert!(
            Pin::new(task)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    let (sender, messages) = mpsc::channel();
    root.routine("thread")
        .add(move |_| blocks(&messages))
        .unwrap();
    let found = |stacks: &Stacks, name: &str| {
        let records = records(&root);
        let record = records.iter().find(|record| record.name == name).unwrap();
        stacks.by_routine.get(&record.id).cloned()
    };
    let patience = Instant::now() + LONG;
    // A later capture does not wait for the first task, either.
    for _ in 0..2 {
        loop {
            let stacks = capture(&root);
            assert!(Instant::now() < patience);
            let thread = found(&stacks, "thread");
            if thread.is_some_and(|found| {
                innermost(&found.stacks[0]) == "std::sync::mpsc::Receiver::recv"
            }) {
                let first = found(&stacks, "first").unwrap();
                assert!(
                    matches!(first.task, Some(TaskState::NotPolled { .. })),
                    "{first:?}"
                );
                assert!(found(&stacks, "second").is_none());
                assert_eq!(stacks.missing().last(), Some(&(Why::NotWoken, 1)));
                break;
            }
        }
    }
    woken.recv().unwrap();
    assert!(woken.try_recv().is_err(), "one thread hangs, and no more");
    drop((sender, release, first, second));
    root.wait_done(LONG).unwrap();
}
