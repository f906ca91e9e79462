//! Tasks that the test polls itself.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::*;

#[test]
fn a_task_is_live_from_its_making_to_its_end_and_refused_by_a_quitter_that_quits() {
    let root = Quitter::root("root");
    let mut task = Box::pin(
        root.routine("task")
            .task(|q| async move { q.quitting().await })
            .unwrap(),
    );
    assert_eq!(
        names(&root.wait_done(Duration::ZERO).unwrap_err()),
        ["task"]
    );
    assert!(poll(&mut task).is_pending());
    root.send_quit();
    assert_eq!(poll(&mut task), Poll::Ready(()));
    root.wait_done(Duration::ZERO).unwrap();
    assert_eq!(poll(&mut task), Poll::Ready(()));
    let refused = root.routine("late").task(|_| async { unreachable!() });
    assert_eq!(refused.unwrap_err(), Quitting);
}

#[test]
fn a_task_that_is_dropped_is_done_without_a_failure() {
    let root = Quitter::root("root");
    let mut task = Box::pin(root.routine("task").task(|_| pending::<()>()).unwrap());
    assert!(poll(&mut task).is_pending());
    drop(task);
    root.wait_done(Duration::ZERO).unwrap();
    assert!(root.failures().is_empty() && !root.has_to_quit());
}

#[test]
fn a_report_says_of_a_task_whose_values_hang_in_their_drop_that_it_was_dropped_unfinished() {
    struct Hangs(Event, Event);
    impl Drop for Hangs {
        fn drop(&mut self) {
            self.0.set();
            self.1.wait();
        }
    }
    let root = Quitter::root("root");
    let (drops, end) = (Event::new(), Event::new());
    let hangs = Hangs(drops.clone(), end.clone());
    let mut task = Box::pin(
        root.routine("task")
            .task(|_| async move {
                let _hangs = hangs;
                pending::<()>().await;
            })
            .unwrap(),
    );
    assert!(poll(&mut task).is_pending());
    let dropping = thread::spawn(move || drop(task));
    drops.wait();
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    assert!(only(&timeouts).cancelled);
    assert!(
        timeouts.to_string().contains("dropped unfinished"),
        "{timeouts}"
    );
    end.set();
    dropping.join().unwrap();
    root.wait_done(Duration::ZERO).unwrap();
}

#[test]
fn panics_are_the_tasks_failures_wherever_they_come_from_and_go_no_further() {
    let root = Quitter::root("root");
    root.on_failure(OnFailure::FailAtExit);
    // The function that makes the future.
    fn makes(_: RoutineQuitter) -> std::future::Ready<()> {
        panic!("while made")
    }
    let mut task = Box::pin(root.routine("made").task(makes).unwrap());
    assert_eq!(poll(&mut task), Poll::Ready(()));
    // A value that is dropped when the future is done.
    let bomb = Bomb("while dropped");
    let mut task = Box::pin(
        root.routine("done")
            .task(|_| async move {
                let _bomb = bomb;
            })
            .unwrap(),
    );
    assert_eq!(poll(&mut task), Poll::Ready(()));
    // A value that is dropped with the task.
    let bomb = Bomb("while cancelled");
    let task = root.routine("cancelled").task(|_| async move {
        let _bomb = bomb;
        pending::<()>().await;
    });
    drop(task.unwrap());
    let failures = root.failures();
    let texts: Vec<_> = failures
        .iter()
        .map(|failure| failure.kind.text_of_panic())
        .collect();
    assert_eq!(texts, ["while made", "while dropped", "while cancelled"]);
    root.wait_done(Duration::ZERO).unwrap();
}

trait TextOfPanic {
    fn text_of_panic(&self) -> &str;
}

impl TextOfPanic for FailureKind {
    #[track_caller]
    fn text_of_panic(&self) -> &str {
        match self {
            Self::Panic { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }
}

/// A panic that unwinds the owner of a task is not a failure of the task.
#[test]
fn a_task_that_a_panic_drops_is_cancelled_and_has_not_failed() {
    let root = Quitter::root("root");
    let task = root.routine("task").task(|_| pending::<()>()).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _task = task;
        panic!("of the owner");
    }));
    assert!(panicked.is_err());
    root.wait_done(Duration::ZERO).unwrap();
    assert!(root.failures().is_empty());
}

#[test]
fn a_task_may_be_polled_within_another_and_each_waits_for_all_but_itself() {
    let root = Quitter::root("root");
    let (of_outer, of_inner) = (root.clone(), root.clone());
    let listed = |root: &Quitter| {
        let timeouts = root.wait_done(Duration::ZERO);
        timeouts.map_or_else(|timeouts| names(&timeouts).join(" "), |()| String::new())
    };
    let outer = root
        .routine("outer")
        .task(move |_| async move {
            let inner = of_outer.routine("inner").task(move |_| async move {
                assert_eq!(listed(&of_inner), "outer");
            });
            inner.unwrap().await;
            assert_eq!(listed(&of_outer), "");
            let _guard = of_outer.guard("guard").unwrap();
            assert_eq!(listed(&of_outer), "guard");
        })
        .unwrap();
    assert!(poll(&mut Box::pin(outer)).is_ready());
    assert!(root.failures().is_empty(), "{:?}", root.failures());
    // Outside of a poll, the task is waited for on this thread, too.
    let task = root.routine("task").task(|_| pending::<()>()).unwrap();
    assert_eq!(listed(&root), "task");
    drop(task);
}

#[test]
fn a_task_needs_neither_send_nor_static() {
    let root = Quitter::root("root");
    let (count, borrowed) = (Rc::new(Cell::new(0)), String::from("borrowed"));
    let mut task = Box::pin(
        root.routine("task")
            .task(|_| async { count.set(borrowed.len()) })
            .unwrap(),
    );
    assert!(poll(&mut task).is_ready());
    drop(task);
    assert_eq!(count.get(), 8);
}

#[test]
fn what_a_task_awaits_gets_the_executors_own_waker() {
    let root = Quitter::root("root");
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let task = root.routine("task").task(|_| {
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        })
    });
    let mut task = pin!(task.unwrap());
    for polls in 1..=3 {
        assert!(
            task.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        assert_eq!(wakes.count(), polls);
    }
}

#[test]
fn a_task_can_move_between_threads_and_keeps_its_failures_and_places() {
    let root = Quitter::root("root");
    root.on_failure(OnFailure::FailAtExit);
    let mut polls = 0;
    let mut task = Box::pin(
        root.routine("task")
            .task(move |q| {
                poll_fn(move |_| {
                    polls += 1;
                    q.set_status(format!("poll {polls}"));
                    assert!(polls < 3, "the third poll");
                    Poll::<()>::Pending
                })
            })
            .unwrap(),
    );
    for polls in 1..=3 {
        task = thread::spawn(move || {
            assert_eq!(poll(&mut task).is_ready(), polls == 3);
            task
        })
        .join()
        .unwrap();
        if polls < 3 {
            let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
            assert_eq!(only(&timeouts).status, Some(format!("poll {polls}")));
        }
    }
    assert_eq!(failure(&root).kind.text_of_panic(), "the third poll");
}

/// A hundred thousand dropped futures leave no waker.
#[test]
fn futures_that_are_dropped_leave_nothing() {
    let root = Quitter::root("root");
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let cx = &mut Context::from_waker(&waker);
    let guard = root.guard("guard").unwrap();
    for _ in 0..10_000 {
        let mut quitting = root.quitting();
        let mut cancelled = root.cancel_on_quit(pending::<()>());
        let mut done = root.done();
        assert!(Pin::new(&mut quitting).poll(cx).is_pending());
        assert!(Pin::new(&mut cancelled).poll(cx).is_pending());
        assert!(Pin::new(&mut done).poll(cx).is_pending());
    }
    assert_eq!(Arc::strong_count(&wakes), 2);
    drop(guard);
    root.quit_and_wait(PATIENCE).unwrap();
    assert_eq!(wakes.count(), 0);
}

/// This happens with a runtime that a thread-local owns.
#[test]
fn a_task_may_be_dropped_while_a_thread_drops_its_thread_local_values() {
    thread_local! {
        static KEPT: Cell<Option<executors::Work>> = const { Cell::new(None) };
    }
    let root = Quitter::root("root");
    for _ in 0..2 {
        let told = Told(Event::new());
        let dropped = told.0.clone();
        let task = root.routine("task").task(|_| async move {
            let _told = told;
            pending::<()>().await;
        });
        let mut task = Box::pin(task.unwrap());
        thread::spawn(move || {
            // Thread-locals are dropped in an order that depends on the order of their first use.
            KEPT.set(None);
            assert!(poll(&mut task).is_pending());
            KEPT.set(Some(task));
        })
        .join()
        .unwrap();
        dropped.wait();
    }
    root.wait_done(PATIENCE).unwrap();
    assert!(root.failures().is_empty());
}
