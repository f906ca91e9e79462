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

use super::super::{Found, MOST_THREADS, Stack, Stacks, TaskState, Why, of};
use crate::routine::record::Record;
use crate::{Quitter, RoutineQuitter, RoutineState};

#[path = "../../../tests/tasks/executors.rs"]
mod executors;

const LONG: Duration = Duration::from_secs(20);

fn several_threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

fn records(root: &Quitter) -> Vec<Arc<Record>> {
    let (live, unread) = root.node().try_look(Instant::now() + LONG);
    assert!(unread.is_empty());
    live.into_iter().flat_map(|at| at.routines).collect()
}

fn capture(root: &Quitter) -> Stacks {
    of(&records(root), Instant::now() + LONG)
}

/// What is found of the routine of this name.
fn found(root: &Quitter, name: &str) -> Option<Found> {
    let records = records(root);
    let record = records.iter().find(|record| record.name == name)?;
    of([record], Instant::now() + LONG)
        .by_routine
        .remove(&record.id)
}

/// Asks the routine of this name until it is as it should be: it may not have come to it yet.
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

/// Checks that below the innermost call there is this test's function alone, at a line after `line`.
#[track_caller]
fn check(stack: &Stack, function: &str, line: u32) {
    let frames = &stack.frames;
    assert!(!stack.is_cut, "{stack:#?}");
    let own = format!("quitter_core::stacks::tasks::tests::{function}");
    assert_eq!(frames.len(), 2, "{frames:#?}");
    assert_eq!(frames[1].function, own, "{frames:#?}");
    if cfg!(debug_assertions) {
        assert_eq!(frames[1].file.as_deref(), Some(file!()), "{frames:#?}");
        let at = frames[1].line.unwrap();
        assert!(
            (line..line + 8).contains(&at),
            "{at} is not shortly after {line}"
        );
    }
}

/// Starts a task that awaits, checks where it is found to, and lets it end.
macro_rules! awaits {
    ($call:literal, $function:literal, $line:expr, $await:expr, $end:expr) => {{
        let root = Quitter::root("root");
        let runtime = several_threads();
        let line = $line;
        let task = root.routine("task").on(runtime.handle());
        task.add_task($await).unwrap();
        for _ in 0..2 {
            let found = until_it_awaits(&root, "task", &[$call]);
            check(&found.stacks[0], $function, line);
        }
        $end;
        // The wake comes to the task although it was polled in between.
        root.wait_done(LONG).unwrap();
    }};
}

#[test]
fn a_lock() {
    let lock = Arc::new(tokio::sync::Mutex::new(()));
    let held = lock.try_lock().unwrap();
    let theirs = Arc::clone(&lock);
    awaits!(
        "tokio::sync::Mutex::lock",
        "a_lock",
        line!(),
        |_| async move { drop(theirs.lock().await) },
        drop(held)
    );
}

#[test]
fn a_semaphore() {
    let semaphore = Arc::new(Semaphore::new(0));
    let theirs = Arc::clone(&semaphore);
    awaits!(
        "tokio::sync::Semaphore::acquire",
        "a_semaphore",
        line!(),
        |_| async move { drop(theirs.acquire().await) },
        semaphore.add_permits(1)
    );
}

#[test]
fn channels() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<u8>(1);
    awaits!(
        "tokio::sync::mpsc::Receiver::recv",
        "channels",
        line!(),
        |_| async move { assert_eq!(receiver.recv().await, None) },
        drop(sender)
    );
    let (sender, receiver) = oneshot::channel::<u8>();
    awaits!(
        "tokio::sync::oneshot::Receiver",
        "channels",
        line!(),
        |_| async move { drop(receiver.await) },
        drop(sender)
    );
    let (sender, mut receiver) = tokio::sync::watch::channel(1);
    awaits!(
        "tokio::sync::watch::Receiver::changed",
        "channels",
        line!(),
        |_| async move { drop(receiver.changed().await) },
        drop(sender)
    );
}

#[test]
fn a_sleep() {
    let root = Quitter::root("root");
    let runtime = several_threads();
    let line = line!();
    let sleep = |_| async { tokio::time::sleep(LONG * 10).await };
    let task = root.routine("task").on(runtime.handle());
    let task = task.add_task(sleep).unwrap();
    let found = until_it_awaits(&root, "task", &["tokio::time::sleep"]);
    check(&found.stacks[0], "a_sleep", line);
    task.abort();
    root.wait_done(LONG).unwrap();
}

#[test]
fn a_client() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let line = line!();
    let accepts = |_| async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        drop(listener.accept().await);
    };
    awaits!(
        "tokio::net::TcpListener::accept",
        "a_client",
        line,
        accepts,
        std::net::TcpStream::connect(address).unwrap()
    );
}

#[test]
fn a_task() {
    let (sender, receiver) = oneshot::channel::<()>();
    let line = line!();
    let joins = |_: RoutineQuitter| async { drop(tokio::spawn(receiver).await) };
    awaits!(
        "tokio::task::JoinHandle",
        "a_task",
        line,
        joins,
        drop(sender)
    );
}

#[test]
fn a_notification() {
    let notify = Arc::new(Notify::new());
    let theirs = Arc::clone(&notify);
    awaits!(
        "tokio::sync::Notify::notified",
        "a_notification",
        line!(),
        |_| async move { theirs.notified().await },
        notify.notify_one()
    );
}

#[test]
fn a_quit() {
    let root = Quitter::root("root");
    let runtime = several_threads();
    let line = line!();
    let quits = |q: RoutineQuitter| async move { q.quitting().await };
    let task = root.routine("task").on(runtime.handle());
    task.add_task(quits).unwrap();
    let found = until_it_awaits(&root, "task", &["quitter::Quitter::quitting"]);
    check(&found.stacks[0], "a_quit", line);
    root.quit_and_wait(LONG).unwrap();
}

#[test]
fn a_limited_wait_is_both_the_wait_and_the_limit() {
    let root = Quitter::root("root");
    let runtime = several_threads();
    let notify = Arc::new(Notify::new());
    let theirs = Arc::clone(&notify);
    let line = line!();
    let waits = |_| async move {
        drop(tokio::time::timeout(LONG * 10, theirs.notified()).await);
    };
    let task = root.routine("task").on(runtime.handle());
    task.add_task(waits).unwrap();
    let both = ["tokio::sync::Notify::notified", "tokio::time::timeout"];
    let found = until_it_awaits(&root, "task", &both);
    for stack in &found.stacks {
        check(stack, "a_limited_wait_is_both_the_wait_and_the_limit", line);
    }
    notify.notify_one();
    root.wait_done(LONG).unwrap();
}

async fn waits_for(notify: &Notify) {
    notify.notified().await;
}

#[test]
fn of_join_and_of_select_each_future_is_shown() {
    let root = Quitter::root("root");
    let runtime = several_threads();
    let notify = Arc::new(Notify::new());
    let (one, other) = (Arc::clone(&notify), Arc::clone(&notify));
    let (sender, receiver) = oneshot::channel::<()>();
    let joins = |_| async move {
        drop(tokio::join!(waits_for(&one), receiver));
    };
    let selects = |_| async move {
        tokio::select! {
            () = waits_for(&other) => {}
            () = tokio::time::sleep(LONG * 10) => {}
        }
    };
    root.routine("joins")
        .on(runtime.handle())
        .add_task(joins)
        .unwrap();
    root.routine("selects")
        .on(runtime.handle())
        .add_task(selects)
        .unwrap();
    let both = [
        "tokio::sync::Notify::notified",
        "tokio::sync::oneshot::Receiver",
    ];
    let joins = until_it_awaits(&root, "joins", &both);
    let both = ["tokio::sync::Notify::notified", "tokio::time::sleep"];
    let selects = until_it_awaits(&root, "selects", &both);
    for found in [joins, selects] {
        let waits_for = |stack: &&Stack| innermost(stack).ends_with("notified");
        let stack = found.stacks.iter().find(waits_for).unwrap();
        let calls: Vec<_> = stack
            .frames
            .iter()
            .map(|frame| &frame.function[..])
            .collect();
        let of_test = "quitter_core::stacks::tasks::tests::";
        let names = ["waits_for", "of_join_and_of_select_each_future_is_shown"];
        assert_eq!(
            calls[1..],
            names.map(|name| format!("{of_test}{name}")),
            "{calls:#?}"
        );
    }
    notify.notify_waiters();
    drop(sender);
    root.wait_done(LONG).unwrap();
}

#[test]
fn a_future_that_the_quit_cancels_is_shown_beside_the_quit() {
    let root = Quitter::root("root");
    let runtime = several_threads();
    let borrows = |q: RoutineQuitter| async move {
        let notify = Notify::new();
        let _quitting = q.cancel_on_quit(waits_for(&notify)).await;
    };
    root.routine("task")
        .on(runtime.handle())
        .add_task(borrows)
        .unwrap();
    let both = [
        "quitter::Quitter::cancel_on_quit",
        "tokio::sync::Notify::notified",
    ];
    until_it_awaits(&root, "task", &both);
    root.quit_and_wait(LONG).unwrap();
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
    // No routine of quitter's.
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
    // The time counts from the first wake that nobody has followed.
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

/// Ready, or whatever `then` says, at the first poll that comes after one that was pending.
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

/// Has a task polled for a report, and waits until it is done.
fn ends_by_being_asked(root: &Quitter) {
    let until = Instant::now() + LONG;
    while root.wait_done(Duration::ZERO).is_err() {
        assert!(Instant::now() < until);
        assert!(
            capture(root)
                .by_routine
                .values()
                .all(|found| found.stacks.is_empty())
        );
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
    let stacks = capture(&root);
    assert!(
        others.iter().all(|id| stacks.by_routine.contains_key(id)),
        "{:?}",
        stacks.missing()
    );
    assert_eq!(stacks.by_routine.len(), MOST_THREADS);
    assert_eq!(stacks.missing(), [(Why::TooManyTasks, 1030 - MOST_THREADS)]);
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
    // Both at the same time.
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
    // A later one does not wait for the first, either.
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

async fn awaits_a_message(messages: oneshot::Receiver<()>) {
    drop(messages.await);
}

#[test]
fn on_every_executor_a_task_shows_what_it_awaits() {
    executors::on_each(|executor| {
        let root = Quitter::root("root");
        let (sender, messages) = oneshot::channel();
        let task = root
            .routine("task")
            .task(|_| awaits_a_message(messages))
            .unwrap();
        executor.spawn(Box::pin(task));
        let found = until_it_awaits(&root, "task", &["tokio::sync::oneshot::Receiver"]);
        let calls: Vec<_> = found.stacks[0]
            .frames
            .iter()
            .map(|frame| &frame.function[..])
            .collect();
        assert_eq!(
            calls[1..],
            ["quitter_core::stacks::tasks::tests::awaits_a_message"]
        );
        drop(sender);
        root.wait_done(LONG).unwrap();
    });
}

/// Tasks are polled, end, panic and are aborted while they are asked.
#[test]
fn tasks_that_come_and_go_survive_being_asked() {
    let root = Quitter::root("root");
    root.on_failure(crate::OnFailure::FailAtExit);
    let runtime = several_threads();
    let done = Arc::new(AtomicBool::new(false));
    let asked = Instant::now() + Duration::from_secs(1);
    let (starter, is_done, handle) = (root.clone(), Arc::clone(&done), runtime.handle().clone());
    root.routine("starts")
        .add(move |_| {
            let mut n = 0;
            while !is_done.load(Ordering::Relaxed) {
                n += 1;
                let task = starter.routine("short").on(&handle);
                let task = task.add_task(move |_| async move {
                    match n % 4 {
                        0 => std::panic::resume_unwind(Box::new("short")),
                        1 => tokio::task::yield_now().await,
                        2 => tokio::time::sleep(Duration::from_millis(5)).await,
                        _ => pending().await,
                    }
                });
                if n % 4 == 3
                    && let Ok(task) = task
                {
                    thread::sleep(Duration::from_micros(300));
                    task.abort();
                }
            }
        })
        .unwrap();
    let mut answers = 0;
    while Instant::now() < asked {
        let stacks = capture(&root);
        answers += stacks
            .by_routine
            .values()
            .filter(|found| found.task.is_some())
            .count();
    }
    println!("{answers} answers");
    done.store(true, Ordering::Relaxed);
    root.wait_done(LONG).unwrap();
    assert!(
        root.snapshot()
            .routines()
            .all(|routine| routine.state != RoutineState::Failed)
    );
}
