//! The rules, for tasks, on each executor.

use super::executors::{Spawn, on_each};
use super::*;

#[test]
fn tasks_learn_of_the_quit_and_are_waited_for() {
    on_each(|executor| {
        let root = Quitter::root("root");
        let events: [Event; 50] = std::array::from_fn(|_| Event::new());
        for (i, begins) in events.clone().into_iter().enumerate() {
            let at = if i % 2 == 0 {
                root.clone()
            } else {
                root.child("child").unwrap()
            };
            let task = at
                .routine("task")
                .task(|q| async move { telling(q.quitting(), || begins.set()).await });
            executor.spawn(Box::pin(task.unwrap()));
        }
        assert_eq!(root.wait_done(Duration::ZERO).unwrap_err().len(), 50);
        events.iter().for_each(Event::wait);
        root.quit_and_wait(PATIENCE).unwrap();
        assert!(root.failures().is_empty());
    });
}

/// The quit comes at a random moment while a task begins to wait.
#[test]
fn no_wake_is_lost_when_the_quit_comes_as_the_tasks_begin_to_wait() {
    on_each(|executor| {
        for _ in 0..100 {
            let root = Quitter::root("root");
            for _ in 0..4 {
                let task = root
                    .routine("task")
                    .task(|q| async move { q.cancel_on_quit(std::future::pending::<()>()).await });
                executor.spawn(Box::pin(task.unwrap()));
            }
            root.quit_and_wait(PATIENCE).unwrap();
        }
    });
}

#[test]
fn a_task_that_hangs_is_listed_with_name_kind_place_and_status() {
    on_each(|executor| {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let (end, ends) = tokio::sync::oneshot::channel::<()>();
        let started = Event::new();
        let has_started = started.clone();
        let here = line!() + 1;
        let task = child.routine("hangs").task(move |q| async move {
            q.set_status("reading");
            has_started.set();
            let _ = ends.await;
        });
        executor.spawn(Box::pin(task.unwrap()));
        started.wait();
        let timeouts = root.quit_and_wait(SHORT).unwrap_err();
        assert_eq!(timeouts.iter().next().unwrap().quitter, "root/child");
        let hangs = only(&timeouts);
        assert_eq!((&hangs.name[..], hangs.kind), ("hangs", RoutineKind::Task));
        assert_eq!(
            (hangs.spawned_at.file(), hangs.spawned_at.line()),
            (file!(), here)
        );
        assert_eq!(hangs.status.as_deref(), Some("reading"));
        assert_eq!(hangs.last_seen.unwrap().line(), here + 1);
        assert!(!hangs.cancelled);
        end.send(()).unwrap();
        root.wait_done(PATIENCE).unwrap();
    });
}

#[test]
fn a_panic_is_a_failure_with_message_and_place_and_quits_the_tree() {
    on_each(|executor| {
        let root = Quitter::root("root");
        let (go, goes) = tokio::sync::oneshot::channel::<()>();
        let task = root.routine("panics").task(|_| async move {
            let _ = goes.await;
            panic!("no such table");
        });
        executor.spawn(Box::pin(task.unwrap()));
        go.send(()).unwrap();
        root.wait_done(PATIENCE).unwrap();
        assert!(matches!(
            root.quit_cause(),
            Some(QuitCause::RoutineFailed { name, .. }) if name == "panics"
        ));
        let FailureKind::Panic { message, place } = failure(&root).kind else {
            panic!("{:?}", root.failures());
        };
        assert_eq!(message, "no such table");
        assert!(place.unwrap().contains("on_every_executor.rs"));
    });
}

#[test]
fn an_error_is_a_failure_and_quitting_is_none() {
    on_each(|executor| {
        let root = Quitter::root("root");
        let fails = root
            .routine("fails")
            .on_failure(OnFailure::FailAtExit)
            .task(|_| async { Err::<(), _>("disk full") });
        executor.spawn(Box::pin(fails.unwrap()));
        root.wait_done(PATIENCE).unwrap();
        let quits = root.routine("quits").task(|q| async move {
            q.cancel_on_quit(std::future::pending::<()>()).await?;
            Ok::<_, Quitting>(())
        });
        executor.spawn(Box::pin(quits.unwrap()));
        assert!(!root.has_to_quit());
        root.quit_and_wait(PATIENCE).unwrap();
        assert_eq!(
            failure(&root).to_string(),
            "routine 'fails' of root failed: disk full"
        );
    });
}

/// Each task forks its successors and ends, while another thread waits (rule 4).
#[test]
fn tasks_that_tasks_fork_are_waited_for() {
    on_each(|executor| {
        let root = Quitter::root("root");
        let ran = Arc::new(AtomicUsize::new(0));
        // The forked tasks come through a channel, since the executor stays on this thread.
        let (fork, forks) = mpsc::channel::<executors::Work>();
        grow(&root, 6, &fork, &ran);
        drop(fork);
        let waiting = {
            let root = root.clone();
            thread::spawn(move || root.wait_done(PATIENCE))
        };
        for work in forks {
            executor.spawn(work);
        }
        waiting.join().unwrap().unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), (1 << 7) - 1);
    });
}

fn grow(at: &Quitter, depth: u32, fork: &mpsc::Sender<executors::Work>, ran: &Arc<AtomicUsize>) {
    let below = at.child("child").unwrap();
    let (next, ran) = (fork.clone(), Arc::clone(ran));
    let task = at.routine("grows").task(move |_| async move {
        for _ in 0..2 * u32::from(depth > 0) {
            grow(&below, depth - 1, &next, &ran);
        }
        ran.fetch_add(1, Ordering::SeqCst);
    });
    fork.send(Box::pin(task.unwrap())).unwrap();
}

#[test]
fn a_task_that_awaits_the_others_is_left_out() {
    on_each(|executor| {
        let root = Quitter::root("root");
        let (routine, end) = deaf(&root, "thread");
        let of_task = root.clone();
        let (waiting, done) = (Event::new(), Event::new());
        let (waits, is_done) = (waiting.clone(), done.clone());
        let task = root.routine("awaits").task(move |_| async move {
            telling(of_task.done(), || waits.set()).await;
            is_done.set();
        });
        executor.spawn(Box::pin(task.unwrap()));
        waiting.wait();
        end.set();
        done.wait();
        root.wait_done(PATIENCE).unwrap();
        routine.wait(PATIENCE).unwrap();
    });
}

#[test]
fn the_future_of_a_task_is_dropped_before_the_task_is_done() {
    on_each(|executor: &dyn Spawn| {
        let root = Quitter::root("root");
        let told = Told(Event::new());
        let dropped = told.0.clone();
        let task = root.routine("task").task(|_| async move { drop(told) });
        executor.spawn(Box::pin(task.unwrap()));
        root.wait_done(PATIENCE).unwrap();
        dropped.wait();
    });
}
