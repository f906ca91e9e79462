//! Futures that wait in the lists of threads.

use std::task::Poll;

use super::*;

/// Polls a future on this thread, which parks in between.
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
    let mut wait = DoneWait::for_subtree(node, for_ever());
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
        assert!(root.wait_done(for_ever()).is_ok());
        task.join().unwrap();
        routine.join().unwrap();
    });
}
