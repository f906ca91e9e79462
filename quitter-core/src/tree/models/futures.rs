//! Futures that wait in the lists of threads.

use std::task::Poll;

use super::*;

/// Polls a future on this thread, which parks between polls.
fn block_on(mut future: impl Future<Output = ()> + Unpin) {
    struct Unpark(thread::Thread);

    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Arc::new(Unpark(thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    while std::pin::Pin::new(&mut future).poll(&mut cx).is_pending() {
        thread::park();
    }
}

fn done(node: &Arc<Node>) -> impl Future<Output = ()> + use<> {
    let mut wait = DoneWait::for_subtree(node, no_limits());
    std::future::poll_fn(move |cx| match wait.step(cx) {
        Step::Done => Poll::Ready(()),
        Step::TimeUp | Step::Pending(_) => Poll::Pending,
    })
}

#[test]
fn rule_9_a_future_learns_of_the_quit() {
    model(|| {
        let root = root();
        let below = child(&root);
        let task = thread::spawn(move || {
            block_on(QuitWait::new(&below));
            assert!(below.is_quitting());
        });
        quit(&root, None);
        task.join().unwrap();
    });
}

/// A thread may be the one that wakes the future.
#[test]
fn rule_9_a_future_beside_a_thread_learns_of_the_quit() {
    model_within(2, || {
        let root = root();
        let (node, below) = (Arc::clone(&root), child(&root));
        let sleeper = thread::spawn(move || node.wait_quit(None));
        let task = thread::spawn(move || block_on(QuitWait::new(&below)));
        quit(&root, None);
        assert!(sleeper.join().unwrap());
        task.join().unwrap();
    });
}

#[test]
fn rule_7_a_future_that_is_dropped_during_the_quit_leaves_nothing() {
    model(|| {
        let root = root();
        let node = Arc::clone(&root);
        let task = thread::spawn(move || {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            let mut future = QuitWait::new(&node);
            let _ = std::pin::Pin::new(&mut future).poll(&mut cx);
        });
        quit(&root, None);
        task.join().unwrap();
        assert_eq!(root.roster().left_behind(), 0);
    });
}

#[test]
fn rule_4_a_future_and_a_thread_both_learn_of_the_last_routine() {
    model_within(2, || {
        let root = root();
        let below = child(&root);
        let record = check_in(&below).unwrap();
        let node = Arc::clone(&root);
        let task = thread::spawn(move || block_on(done(&node)));
        let routine = thread::spawn(move || below.check_out(&record));
        assert!(root.wait_done(no_limits()).is_ok());
        task.join().unwrap();
        routine.join().unwrap();
    });
}

/// A future that is pending at `node`.
fn pending(node: &Arc<Node>) -> QuitWait {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut future = QuitWait::new(node);
    assert!(std::pin::Pin::new(&mut future).poll(&mut cx).is_pending());
    future
}

/// The future holds the node as a child does, and is dropped while the holders are counted.
#[test]
fn rule_2_a_child_beside_a_future_that_goes_during_the_quit_is_told() {
    model(|| {
        let root = root();
        let leaf = child(&root);
        let future = pending(&leaf);
        let below = child(&leaf);
        assert!(!below.is_quitting());
        let dropper = thread::spawn(move || drop(future));
        quit(&leaf, None);
        assert!(below.is_quitting());
        dropper.join().unwrap();
        assert_eq!(leaf.roster().left_behind(), 0);
    });
}

#[test]
fn rule_2_a_child_made_through_the_same_handle_beside_a_future_is_refused_or_told() {
    model_within(2, || {
        let root = root();
        let leaf = Arc::new(child(&root));
        let future = pending(&leaf);
        let same = Arc::clone(&leaf);
        let maker = thread::spawn(move || {
            let made = same.child("grandchild".into());
            made.inspect(|made| {
                // Stores its answer in the node.
                made.is_quitting();
            })
        });
        let dropper = thread::spawn(move || drop(future));
        quit(&leaf, None);
        if let Ok(grandchild) = maker.join().unwrap() {
            assert!(grandchild.is_quitting());
            assert!(check_in(&grandchild).is_none());
        }
        dropper.join().unwrap();
    });
}

/// Each of the two quits may have to settle the one that the other has marked.
#[test]
fn rule_2_two_quits_of_a_node_with_a_future_both_tell_a_child() {
    model_within(2, || {
        let root = root();
        let leaf = Arc::new(child(&root));
        let future = pending(&leaf);
        let same = Arc::clone(&leaf);
        let maker = thread::spawn(move || {
            let made = same.child("grandchild".into());
            let made = made.inspect(|made| {
                made.is_quitting();
            });
            quit(&same, None);
            drop(future);
            if let Ok(made) = made {
                assert!(made.is_quitting());
            }
        });
        quit(&leaf, None);
        maker.join().unwrap();
    });
}

#[test]
fn rule_9_a_future_made_at_the_same_handle_during_the_quit_learns_of_it() {
    model(|| {
        let root = root();
        let leaf = Arc::new(child(&root));
        let _first = pending(&leaf);
        let same = Arc::clone(&leaf);
        let task = thread::spawn(move || block_on(QuitWait::new(&same)));
        quit(&leaf, None);
        task.join().unwrap();
        assert_eq!(leaf.roster().left_behind(), 0);
    });
}

/// The later waker replaces the first.
#[test]
fn rule_9_a_future_that_moves_to_another_task_during_the_quit_learns_of_it() {
    model(|| {
        let root = root();
        let mut future = pending(&root);
        let task = thread::spawn(move || block_on(std::pin::Pin::new(&mut future)));
        quit(&root, None);
        task.join().unwrap();
        assert_eq!(root.roster().left_behind(), 0);
    });
}
