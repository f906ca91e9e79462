//! Each kind of call that a task awaits is named, with the line of the await.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::*;

/// Checks that the only call below the innermost one is this test's function, shortly after `line`.
#[track_caller]
fn check(stack: &Stack, function: &str, line: u32) {
    let frames = &stack.frames;
    assert!(!stack.is_cut, "{stack:#?}");
    let own = format!("quitter_core::stacks::tasks::tests::awaits::{function}");
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

/// Starts a task that awaits, checks that it is found awaiting there, and lets it end.
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
        // The wake-up reaches the task although it was polled in between.
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
        let names = [
            "waits_for",
            "awaits::of_join_and_of_select_each_future_is_shown",
        ];
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
fn of_a_future_that_the_quit_cancels_and_the_quit_the_future_is_shown() {
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
    root.routine("forever")
        .on(runtime.handle())
        .add_task(|q| async move { q.cancel_on_quit(pending::<()>()).await })
        .unwrap();
    until_it_awaits(&root, "task", &["tokio::sync::Notify::notified"]);
    until_it_awaits(&root, "forever", &["quitter::Quitter::cancel_on_quit"]);
    root.quit_and_wait(LONG).unwrap();
}

/// A collection polls only woken futures, so the extra poll ends at the collection.
#[test]
fn a_collection_of_futures() {
    let (sender, receiver) = oneshot::channel::<()>();
    let line = line!();
    let collects = |_: RoutineQuitter| async move {
        let mut collection = FuturesUnordered::from_iter([receiver]);
        while collection.next().await.is_some() {}
    };
    awaits!(
        "futures_util::stream::futures_unordered::FuturesUnordered::poll_next",
        "a_collection_of_futures",
        line,
        collects,
        drop(sender)
    );
}
