//! Awaited waits, polled by hand. `at_the_deadline.rs` tests that tasks which only wait are not reported.

use super::*;

#[test]
fn a_wait_leaves_out_the_task_that_polls_it_whoever_made_it() {
    let root = Quitter::root("root");
    let made_outside = root.done();
    let of_task = root.clone();
    let mut task = Box::pin(
        root.routine("task")
            .task(move |_| async move {
                made_outside.await;
                of_task.done().await;
            })
            .unwrap(),
    );
    assert!(poll(&mut task).is_ready());
}

#[test]
fn a_task_that_keeps_a_wait_which_is_over_waits_no_more() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let guard = child.guard("guard").unwrap();
    let mut task = Box::pin(
        root.routine("task")
            .task(move |q| async move {
                let mut done = child.done();
                (&mut done).await;
                q.quitting().await;
                drop(done);
            })
            .unwrap(),
    );
    let state = || {
        let list = root.wait_done(Duration::ZERO).unwrap_err();
        let mut routines = list.routines();
        routines.find(|one| one.name == "task").unwrap().state
    };
    assert!(poll(&mut task).is_pending());
    assert_eq!(state(), RoutineState::Waiting);
    drop(guard);
    assert!(poll(&mut task).is_pending());
    assert_eq!(state(), RoutineState::Running);
    root.send_quit();
    assert!(poll(&mut task).is_ready());
}

#[test]
fn a_wait_that_nobody_polls_yet_leaves_out_nobody() {
    let root = Quitter::root("root");
    let (send, made) = mpsc::channel();
    let of_task = root.clone();
    let mut task = Box::pin(
        root.routine("task")
            .task(move |q| async move {
                send.send(of_task.done()).unwrap();
                q.quitting().await;
            })
            .unwrap(),
    );
    assert!(poll(&mut task).is_pending());
    let mut done = made.recv().unwrap();
    // Polled outside of the task, the wait includes the task.
    assert!(poll(&mut done).is_pending());
    root.send_quit();
    assert!(poll(&mut done).is_pending());
    assert!(poll(&mut task).is_ready());
    assert!(poll(&mut done).is_ready());
}

#[test]
fn a_wait_leaves_out_the_routine_that_polls_it_now() {
    let root = Quitter::root("root");
    let mut done = Box::pin(root.done());
    let first = root.guard("first").unwrap();
    let other = root.guard("other").unwrap();
    first.run(|_| assert!(poll(&mut done).is_pending()));
    // The first routine has ended, and the other one is live.
    assert!(poll(&mut done).is_pending());
    let mut task = Box::pin(root.routine("task").task(move |_| done).unwrap());
    assert!(poll(&mut task).is_pending());
    drop(other);
    assert!(poll(&mut task).is_ready());
}

#[test]
fn a_task_that_awaits_several_waits_as_long_as_one_of_them_is_pending() {
    let root = Quitter::root("root");
    let [a, b] = ["a", "b"].map(|name| root.child(name).unwrap());
    let guards = [&a, &b].map(|child| child.guard("guard").unwrap());
    let looks_at = b.clone();
    let mut task = Box::pin(
        root.routine("task")
            .task(move |_| async move {
                let mut waits = (pin!(a.done()), pin!(b.done()));
                poll_fn(|cx| {
                    // A look that blocks waits only as long as it takes.
                    let _ = looks_at.wait_done(Duration::ZERO);
                    let all = [waits.0.as_mut().poll(cx), waits.1.as_mut().poll(cx)];
                    if all.iter().all(Poll::is_ready) {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
            })
            .unwrap(),
    );
    let state = || {
        let list = root.wait_done(Duration::ZERO).unwrap_err();
        let mut routines = list.routines();
        routines.find(|one| one.name == "task").map(|one| one.state)
    };
    assert!(poll(&mut task).is_pending());
    assert_eq!(state(), Some(RoutineState::Waiting));
    let [of_a, of_b] = guards;
    drop(of_a);
    assert!(poll(&mut task).is_pending());
    assert_eq!(state(), Some(RoutineState::Waiting));
    drop(of_b);
    assert!(poll(&mut task).is_ready());
}
