//! `on_quit`: the quit calls the function once, on a thread on which it holds up nothing else.

use super::*;

#[test]
fn is_called_once_at_the_quit_of_a_quitter_above_and_waited_for() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let end = Event::new();
    let ends = end.clone();
    let _on_quit = child.on_quit(move || {
        ends.wait();
        called.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    root.send_quit();
    assert_eq!(
        names(&root.wait_done(Duration::ZERO).unwrap_err()),
        ["on_quit"]
    );
    end.set();
    root.wait_done(PATIENCE).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    child.send_quit();
    root.quit_and_wait(PATIENCE).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn is_no_routine_until_the_quit() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let _on_quit = child.on_quit(|| {});
    root.wait_done(Duration::ZERO).unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(poll(&mut root.done()).is_ready());
    // Nor does it hold up a wait that has begun.
    let (routine, end) = deaf(&child, "routine");
    let waiting = {
        let root = root.clone();
        asleep_in(move || root.wait_done(PATIENCE))
    };
    let _another = root.on_quit(|| {});
    end.set();
    waiting.join().unwrap().unwrap();
    routine.wait(PATIENCE).unwrap();
}

#[test]
fn of_a_quitter_that_is_gone_it_holds_up_no_wait() {
    let root = Quitter::root("root");
    let job = root.guard("job").unwrap();
    let connection = root.child("connection").unwrap();
    connection.on_quit(|| {}).detach();
    let waiting = {
        let root = root.clone();
        asleep_in(move || root.wait_done(Duration::MAX))
    };
    drop(connection);
    root.send_quit();
    drop(job);
    in_time(move || waiting.join().unwrap()).unwrap();
}

#[test]
fn taken_back_it_is_not_called_and_what_it_holds_is_dropped() {
    let root = Quitter::root("root");
    let told = Told(Event::new());
    let dropped = told.0.clone();
    let on_quit = root.on_quit(move || {
        let _told = told;
        unreachable!("it was taken back")
    });
    drop(on_quit);
    dropped.wait();
    root.quit_and_wait(PATIENCE).unwrap();
    assert!(root.failures().is_empty());
}

#[test]
fn detached_it_stays_as_long_as_its_quitter() {
    let root = Quitter::root("root");
    let calls = Arc::new(AtomicUsize::new(0));
    let count = |at: &Quitter| {
        let calls = Arc::clone(&calls);
        at.on_quit(move || _ = calls.fetch_add(1, Ordering::SeqCst))
            .detach();
    };
    count(&root);
    let child = root.child("child").unwrap();
    count(&child);
    drop(child);
    root.quit_and_wait(PATIENCE).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn keeps_its_quitter_in_the_tree() {
    let root = Quitter::root("root");
    let (calls, called) = mpsc::channel();
    let on_quit = root
        .child("child")
        .unwrap()
        .on_quit(move || calls.send(()).unwrap());
    root.send_quit();
    called.recv_timeout(PATIENCE).unwrap();
    drop(on_quit);
}

#[test]
fn of_a_quitter_that_quits_already_is_called_at_once_on_this_thread() {
    let root = Quitter::root("root");
    root.send_quit();
    let (calls, called) = mpsc::channel();
    let _on_quit = root.on_quit(move || calls.send(thread::current().id()).unwrap());
    assert_eq!(called.try_recv(), Ok(thread::current().id()));
}

#[test]
fn one_that_hangs_holds_up_neither_the_quit_nor_the_others_and_is_named() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let end = Event::new();
    let (calls, called) = mpsc::channel();
    let mut kept = Vec::new();
    for i in 0..10 {
        let (ends, calls) = (end.clone(), calls.clone());
        kept.push(child.on_quit(move || match i {
            3 => ends.wait(),
            _ => calls.send(()).unwrap(),
        }));
    }
    in_time({
        let root = root.clone();
        move || root.send_quit()
    });
    for _ in 0..9 {
        called.recv_timeout(PATIENCE).unwrap();
    }
    eventually(|| {
        root.wait_done(Duration::ZERO)
            .is_err_and(|timeouts| timeouts.len() == 1)
    });
    let timeouts = root.wait_done(SHORT).unwrap_err();
    let hangs = only(&timeouts);
    assert_eq!(
        (&hangs.name[..], hangs.spawned_at.file()),
        ("on_quit", file!())
    );
    assert!(matches!(hangs.kind, RoutineKind::Thread { .. }));
    end.set();
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn runs_as_a_routine_whose_panic_is_its_failure() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    child.on_quit(|| panic!("no such handle")).detach();
    let of_child = child.clone();
    // The function's own wait leaves the function out.
    child
        .on_quit(move || _ = of_child.wait_done(PATIENCE))
        .detach();
    root.quit_and_wait(PATIENCE).unwrap();
    let failure = failure(&root);
    assert_eq!(
        (&failure.name[..], &*failure.path),
        ("on_quit", "root/child")
    );
    assert!(failure.while_quitting);
    assert!(failure.to_string().contains("on_quit.rs"), "{failure}");
}

#[test]
fn of_a_routine_it_is_named_with_the_place_of_the_call() {
    let root = Quitter::root("root");
    let guard = root.guard("guard").unwrap();
    let end = Event::new();
    let ends = end.clone();
    let line = line!() + 1;
    let _on_quit = guard.on_quit(move || ends.wait());
    drop(guard);
    let timeouts = root.quit_and_wait(Duration::ZERO).unwrap_err();
    let place = only(&timeouts).spawned_at;
    assert_eq!((place.file(), place.line()), (file!(), line));
    end.set();
    root.wait_done(PATIENCE).unwrap();
}

/// A thread that sees the quit, and then waits, must wait for the function, too, however the threads are
/// scheduled.
#[test]
fn is_missed_by_nobody_who_waits_after_the_quit() {
    for _ in 0..200 {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let called = Arc::clone(&calls);
        let _on_quit = child.on_quit(move || {
            called.fetch_add(1, Ordering::SeqCst);
        });
        let waiting = {
            let root = root.clone();
            thread::spawn(move || {
                while !root.has_to_quit() {
                    std::hint::spin_loop();
                }
                root.wait_done(PATIENCE).unwrap();
                calls.load(Ordering::SeqCst)
            })
        };
        root.send_quit();
        assert_eq!(waiting.join().unwrap(), 1);
    }
}

#[test]
fn a_crowd_is_called_to_the_last_one() {
    let root = Quitter::root("root");
    let calls = Arc::new(AtomicUsize::new(0));
    for _ in 0..2000 {
        let calls = Arc::clone(&calls);
        root.on_quit(move || _ = calls.fetch_add(1, Ordering::SeqCst))
            .detach();
    }
    root.quit_and_wait(PATIENCE).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2000);
}

/// This is the bridge to tokio-util.
#[test]
fn cancels_a_token_of_tokio_util() {
    let root = Quitter::root("root");
    let token = tokio_util::sync::CancellationToken::new();
    let cancel = token.clone();
    let _bridge = root.on_quit(move || cancel.cancel());
    assert!(!token.is_cancelled());
    root.quit_and_wait(PATIENCE).unwrap();
    assert!(token.is_cancelled());
}

/// The system grants no thread a stack.
#[test]
#[cfg(unix)]
fn a_thread_that_the_system_refuses_is_its_failure_and_it_is_not_called() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "--test-threads=1",
            "on_quit::refused",
        ])
        .env(
            "RUST_MIN_STACK",
            (isize::MAX as usize & !0xffff).to_string(),
        )
        .env("QUITTER_TEST_OWN_PROCESS", "refused")
        .output()
        .unwrap();
    let text = common::text(&output);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[test]
#[ignore = "needs a process of its own"]
fn refused() {
    if common::is_own_process() {
        let root = Quitter::root("root");
        let held = Arc::new(());
        for _ in 0..2 {
            let held = Arc::clone(&held);
            root.on_quit(move || {
                let _held = held;
                unreachable!("there is no thread for it")
            })
            .detach();
        }
        root.quit_and_wait(PATIENCE).unwrap();
        let failures = root.failures();
        assert_eq!(failures.len(), 2, "{failures:?}");
        assert_eq!(failures[0].name, "on_quit");
        assert!(matches!(failures[0].kind, FailureKind::Error { .. }));
        // The functions are leaked, since the thread that sent the quit would have had to drop them.
        drop(root);
        assert_eq!(Arc::strong_count(&held), 3);
    }
}
