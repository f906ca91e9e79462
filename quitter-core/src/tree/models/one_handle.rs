//! Threads that use one handle of a quitter at the same time, where a quit of a node that nothing else
//! holds is not counted; and waits that share a tally.

use super::*;

/// Both quits set the same mark: the one that finds it set must not rely on the other to count.
#[test]
fn rule_2_each_of_two_quits_of_one_node_has_told_everything_below_when_it_returns() {
    model(|| {
        let root = root();
        let below = child(&root);
        assert!(!below.is_quitting());
        let (node, at_bottom) = (Arc::clone(&root), Arc::clone(&below));
        let quitter = thread::spawn(move || {
            quit(&node, None);
            assert!(at_bottom.is_quitting());
        });
        quit(&root, None);
        assert!(below.is_quitting());
        quitter.join().unwrap();
    });
}

/// A node that has one handle, which two threads share.
fn shared_leaf() -> (Arc<Node>, Arc<Arc<Node>>) {
    let root = root();
    let leaf = child(&root);
    assert!(!leaf.is_quitting());
    (root, Arc::new(leaf))
}

#[test]
fn rule_2_a_child_made_through_the_same_handle_during_the_quit_is_refused_or_told() {
    model(|| {
        let (_root, leaf) = shared_leaf();
        let same = Arc::clone(&leaf);
        let maker = thread::spawn(move || {
            let made = same.child("grandchild".into());
            if let Ok(made) = &made {
                // Stores its answer in the node.
                made.is_quitting();
            }
            made
        });
        quit(&leaf, None);
        if let Ok(grandchild) = maker.join().unwrap() {
            assert!(grandchild.is_quitting());
            assert!(check_in(&grandchild).is_none());
        }
    });
}

#[test]
fn rule_2_two_quits_through_the_same_handle_tell_a_child_that_one_of_them_has_made() {
    model(|| {
        let (_root, leaf) = shared_leaf();
        let same = Arc::clone(&leaf);
        let maker = thread::spawn(move || {
            let made = same.child("grandchild".into());
            let made = made.inspect(|made| {
                made.is_quitting();
            });
            quit(&same, None);
            if let Ok(made) = made {
                assert!(made.is_quitting());
            }
        });
        quit(&leaf, None);
        maker.join().unwrap();
    });
}

#[test]
fn rule_1_a_routine_started_through_the_same_handle_is_refused_or_seen() {
    model(|| {
        let (_root, leaf) = shared_leaf();
        let same = Arc::clone(&leaf);
        let adder = thread::spawn(move || check_in(&same).is_some());
        quit(&leaf, None);
        let seen = leaf.look(None).is_err();
        assert_eq!(adder.join().unwrap(), seen);
    });
}

#[test]
fn rule_9_a_sleeper_at_the_same_handle_learns_of_the_quit() {
    model(|| {
        let (_root, leaf) = shared_leaf();
        let same = Arc::clone(&leaf);
        let sleeper = thread::spawn(move || same.wait_quit(None));
        quit(&leaf, None);
        assert!(sleeper.join().unwrap());
    });
}

#[test]
fn rule_9_a_quit_channel_asked_for_at_the_same_handle_closes() {
    model(|| {
        let (_root, leaf) = shared_leaf();
        let same = Arc::clone(&leaf);
        let asker = thread::spawn(move || same.quit_chan().clone());
        quit(&leaf, None);
        let receiver = asker.join().unwrap();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    });
}

/// A waiting routine leaves itself out, and another thread waits for that routine, too: both share a tally.
#[test]
fn rule_4_a_wait_that_leaves_one_out_and_one_that_does_not_share_a_tally() {
    model_within(2, || {
        let root = root();
        let below = child(&root);
        let waits = Arc::new(record("waits"));
        below.check_in(&waits).unwrap();
        let other = check_in(&root).unwrap();
        let node = Arc::clone(&root);
        let routine = thread::spawn(move || {
            let excluding = Excluded {
                id: waits.id,
                node: below.clone(),
            };
            let limits = Limits {
                excluding: Some(excluding),
                ..no_limits()
            };
            assert!(node.wait_done(limits).is_ok());
            below.check_out(&waits);
        });
        let node = Arc::clone(&root);
        let ends = thread::spawn(move || node.check_out(&other));
        assert!(root.wait_done(no_limits()).is_ok());
        routine.join().unwrap();
        ends.join().unwrap();
    });
}

/// A wait starts while another is over and ends its tally.
#[test]
fn rule_4_a_wait_that_begins_as_another_ends_is_exact() {
    model_within(2, || {
        let root = root();
        let below = child(&root);
        let record = check_in(&below).unwrap();
        let node = Arc::clone(&root);
        let waiter = thread::spawn(move || node.wait_done(no_limits()).is_ok());
        below.check_out(&record);
        let successor = check_in(&below).unwrap();
        let ending = Arc::new(AtomicBool::new(false));
        let (ends, node) = (Arc::clone(&ending), Arc::clone(&below));
        let routine = thread::spawn(move || {
            ends.store(true, Ordering::SeqCst);
            node.check_out(&successor);
        });
        assert!(root.wait_done(no_limits()).is_ok());
        assert!(ending.load(Ordering::SeqCst));
        assert!(waiter.join().unwrap());
        routine.join().unwrap();
    });
}

/// A thread is asked to wake others at the moment when its time is up.
#[test]
fn rule_9_a_sleeper_whose_time_is_up_loses_no_other() {
    use crate::sync::{Mutex, lock};
    use crate::tree::waiter::{Parker, Waiter, Wakes};
    use crate::tree::waiters::Waiters;

    for order in [[0, 1], [1, 0]] {
        model(move || {
            let list = Arc::new(Mutex::new(Waiters::default()));
            let parkers = [Parker::new(), Parker::new()];
            let keys = order.map(|at| {
                let waiter = Waiter::Thread(Arc::clone(&parkers[at]));
                lock(&list).enter(waiter, 0)
            });
            let key = keys[order[0]];
            let [late, sleeping] = parkers;
            let of = Arc::clone(&list);
            let late = thread::spawn(move || {
                let left = lock(&of).remove(key);
                drop(left);
                late.leave();
            });
            let sleeper = thread::spawn(move || {
                sleeping.park(None);
                sleeping.leave();
            });
            let mut wakes = Wakes::default();
            wakes.add_all(&mut lock(&list));
            wakes.perform();
            late.join().unwrap();
            sleeper.join().unwrap();
        });
    }
}
