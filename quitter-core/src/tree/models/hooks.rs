//! Hooks: functions that are called at a quit.

use std::sync::atomic::AtomicUsize;

use super::*;

/// Adds a hook that counts its calls, and ends as a routine does. Returns `None` if the node is quitting.
fn add(node: &Arc<Node>, calls: &Arc<AtomicUsize>) -> Option<Arc<Hook>> {
    let calls = Arc::clone(calls);
    let call = move |calling: Calling<'_>| {
        if let Calling::Routine(node, record) = calling {
            calls.fetch_add(1, Ordering::Relaxed);
            node.check_out(&record);
        }
    };
    let hook = Hook::new(Location::caller(), Box::new(call));
    node.add_hook(&hook).ok().map(|()| hook)
}

fn calls() -> Arc<AtomicUsize> {
    Arc::default()
}

#[test]
fn rule_4_a_wait_that_sees_the_quit_does_not_miss_a_hook() {
    model(|| {
        let root = root();
        let below = child(&root);
        let called = calls();
        let hook = add(&below, &called);
        let (node, calls) = (Arc::clone(&root), Arc::clone(&called));
        let waiting = thread::spawn(move || {
            if node.is_quitting() && node.wait_done(no_limits()).is_ok() {
                assert_eq!(calls.load(Ordering::Relaxed), 1);
            }
        });
        quit(&root, None);
        waiting.join().unwrap();
        assert_eq!(called.load(Ordering::Relaxed), 1);
        drop(hook);
    });
}

#[test]
fn rule_4_a_look_that_sees_the_quit_does_not_miss_a_hook() {
    model(|| {
        let root = root();
        let below = child(&root);
        let called = calls();
        let hook = add(&below, &called);
        let (node, calls) = (Arc::clone(&root), Arc::clone(&called));
        let looking = thread::spawn(move || {
            if node.is_quitting() && node.look(None).is_ok() {
                assert_eq!(calls.load(Ordering::Relaxed), 1);
            }
        });
        quit(&root, None);
        looking.join().unwrap();
        drop(hook);
    });
}

#[test]
fn rule_2_a_hook_that_is_added_during_the_quit_is_refused_or_called() {
    model(|| {
        let root = root();
        let below = child(&root);
        let called = calls();
        let (node, calls) = (Arc::clone(&below), Arc::clone(&called));
        let adding = thread::spawn(move || add(&node, &calls));
        quit(&root, None);
        let added = adding.join().unwrap().is_some();
        assert_eq!(called.load(Ordering::Relaxed), usize::from(added));
        assert_eq!(below.roster().left_behind(), 0);
    });
}

/// The quit has to wake the waiting thread when the hook is gone.
#[test]
fn rule_9_a_wait_ends_though_a_hook_is_taken_back_during_the_quit() {
    model_within(2, || {
        let root = root();
        let called = calls();
        let hook = add(&root, &called).unwrap();
        let node = Arc::clone(&root);
        let waiting = thread::spawn(move || assert!(node.wait_done(no_limits()).is_ok()));
        let node = Arc::clone(&root);
        let taking = thread::spawn(move || node.remove_hook(&hook));
        quit(&root, None);
        taking.join().unwrap();
        waiting.join().unwrap();
        assert!(called.load(Ordering::Relaxed) <= 1);
        assert_eq!(root.roster().left_behind(), 0);
    });
}

#[test]
fn rule_4_hooks_that_are_idle_hold_up_no_wait() {
    model_within(2, || {
        let root = root();
        let called = calls();
        let hook = add(&root, &called);
        let record = check_in(&root).unwrap();
        let node = Arc::clone(&root);
        let routine = thread::spawn(move || node.check_out(&record));
        assert!(root.wait_done(no_limits()).is_ok());
        routine.join().unwrap();
        assert_eq!(called.load(Ordering::Relaxed), 0);
        drop(hook);
    });
}

/// The wait is at a quitter that does not quit.
#[test]
fn rule_4_a_wait_above_a_quit_that_it_sees_does_not_miss_a_hook() {
    model_within(2, || {
        let root = root();
        let quits = child(&root);
        let below = child(&quits);
        let called = calls();
        let hook = add(&below, &called);
        let (top, node, calls) = (Arc::clone(&root), Arc::clone(&quits), Arc::clone(&called));
        let waiting = thread::spawn(move || {
            if node.is_quitting() && top.wait_done(no_limits()).is_ok() {
                assert_eq!(calls.load(Ordering::Relaxed), 1);
            }
        });
        quit(&quits, None);
        waiting.join().unwrap();
        drop(hook);
    });
}
