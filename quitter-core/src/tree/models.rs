//! The tree's rules under every interleaving that loom finds. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p quitter-core --lib --release models`.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::TryRecvError;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::{DoneWait, Excluded, Limits, Node, QuitWait};
use crate::report::cause::QuitCause;
use crate::routine::record::Record;

fn model(f: impl Fn() + Sync + Send + 'static) {
    // Most faults show with two preemptions; three are still explored in seconds.
    model_within(3, f);
}

fn model_within(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

fn root() -> Arc<Node> {
    Node::root(Cow::Borrowed("root"), None)
}

fn child(of: &Arc<Node>) -> Arc<Node> {
    of.child("child".into()).expect("not told to quit yet")
}

fn record(name: &'static str) -> Record {
    Record::new(name.into(), Location::caller(), None, Duration::ZERO)
}

fn check_in(node: &Arc<Node>) -> Option<Arc<Record>> {
    let record = Arc::new(record("routine"));
    node.check_in(&record).ok().map(|()| record)
}

fn quit(node: &Arc<Node>, timeout: Option<Duration>) {
    let at = Location::caller();
    node.quit(QuitCause::SendQuit { at }, timeout);
}

fn for_ever() -> Limits {
    Limits::default()
}

#[test]
fn rule_1_a_routine_is_refused_or_seen_by_a_wait_after_the_quit() {
    model(|| {
        let root = root();
        let below = child(&root);
        let adder = thread::spawn(move || (check_in(&below).is_some(), below));
        quit(&root, None);
        let seen = root.look(None).is_err();
        let (admitted, _handle) = adder.join().unwrap();
        assert_eq!(admitted, seen);
    });
}

#[test]
fn rule_2_a_child_made_during_the_quit_is_refused_or_told() {
    model(|| {
        let root = root();
        let below = child(&root);
        let maker = thread::spawn(move || below.child("grandchild".into()));
        quit(&root, None);
        if let Ok(grandchild) = maker.join().unwrap() {
            assert!(grandchild.is_quitting());
            assert!(check_in(&grandchild).is_none());
        }
    });
}

#[test]
fn rule_2_holds_for_each_of_two_quits_at_once() {
    model(|| {
        let root = root();
        let (below, bottom) = (child(&root), child(&root));
        let of_child = Arc::clone(&below);
        let quitter = thread::spawn(move || {
            quit(&of_child, None);
            assert!(of_child.is_quitting());
        });
        quit(&root, None);
        assert!(below.is_quitting() && bottom.is_quitting());
        quitter.join().unwrap();
    });
}

/// Who polls keeps what it found, which a quit at that moment must survive.
#[test]
fn rule_2_a_poll_undoes_no_quit() {
    model(|| {
        let root = root();
        let (top, other) = (child(&root), child(&root));
        let below = child(&top);
        // So that the poll has to look.
        quit(&other, None);
        let polled = Arc::clone(&below);
        let poller = thread::spawn(move || polled.is_quitting());
        quit(&top, None);
        assert!(below.is_quitting());
        poller.join().unwrap();
        assert!(below.is_quitting() && top.is_quitting());
        assert!(!root.is_quitting());
    });
}

/// A routine at one node forks its successor at the other and ends, then the successor ends: the
/// look must not find both gone while one of them was live all the time.
fn successor_is_seen(made_first: bool) {
    model(move || {
        let root = root();
        let (first, second) = (child(&root), child(&root));
        let kept = [root.clone(), first.clone(), second.clone()];
        let (from, to) = match made_first {
            true => (first, second),
            false => (second, first),
        };
        let record = check_in(&from).unwrap();
        let ending = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&ending);
        let routine = thread::spawn(move || {
            let successor = check_in(&to).unwrap();
            from.check_out(&record);
            ends.store(true, Ordering::SeqCst);
            to.check_out(&successor);
        });
        if root.look(None).is_ok() {
            assert!(ending.load(Ordering::SeqCst));
        }
        routine.join().unwrap();
        assert!(root.look(None).is_ok());
        let [_root, first, second] = &kept;
        assert_eq!(first.roster().left_behind(), 0);
        assert_eq!(second.roster().left_behind(), 0);
    });
}

#[test]
fn rule_4_a_successor_forked_at_a_younger_quitter_is_seen() {
    successor_is_seen(true);
}

#[test]
fn rule_4_a_successor_forked_at_an_older_quitter_is_seen() {
    successor_is_seen(false);
}

#[test]
fn rule_4_a_successor_forked_at_a_child_that_comes_and_goes_is_seen() {
    model(|| {
        let root = root();
        let old = child(&root);
        let record = check_in(&old).unwrap();
        // Std's: loom does not see what the drop of the last handle makes visible.
        let ending = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let ends = Arc::clone(&ending);
        let parent = root.clone();
        let routine = thread::spawn(move || {
            let new = child(&parent);
            let successor = check_in(&new).unwrap();
            old.check_out(&record);
            drop(old);
            ends.store(true, Ordering::SeqCst);
            new.check_out(&successor);
        });
        if root.look(None).is_ok() {
            assert!(ending.load(Ordering::SeqCst));
        }
        routine.join().unwrap();
        assert!(root.look(None).is_ok());
    });
}

#[test]
fn rule_4_two_waits_at_once_both_learn_of_the_last_routine() {
    model(|| {
        let root = root();
        let below = child(&root);
        let record = check_in(&below).unwrap();
        let node = Arc::clone(&root);
        let waiter = thread::spawn(move || node.wait_done(for_ever()).is_ok());
        let routine = thread::spawn(move || below.check_out(&record));
        assert!(root.wait_done(for_ever()).is_ok());
        assert!(waiter.join().unwrap());
        routine.join().unwrap();
    });
}

#[test]
fn rule_4_a_routine_that_waits_is_left_out_and_woken() {
    model(|| {
        let root = root();
        let record = Arc::new(record("waits"));
        root.check_in(&record).unwrap();
        let other = check_in(&root).unwrap();
        let node = Arc::clone(&root);
        let routine = thread::spawn(move || node.check_out(&other));
        let excluding = Excluded {
            id: record.id,
            node: root.clone(),
        };
        let limits = Limits {
            excluding: Some(excluding),
            ..for_ever()
        };
        assert!(root.wait_done(limits).is_ok());
        root.check_out(&record);
        routine.join().unwrap();
    });
}

/// Also while the quit that it knows of is on its way.
#[test]
fn rule_1_a_wait_by_whoever_knows_of_the_quit_lets_nobody_in_behind_it() {
    model(|| {
        let root = root();
        let below = child(&root);
        let node = Arc::clone(&root);
        let quitter = thread::spawn(move || quit(&node, None));
        if root.is_quitting() {
            let done = root.wait_done(Limits::within(Duration::ZERO)).is_ok();
            assert!(!(done && check_in(&below).is_some()));
        }
        quitter.join().unwrap();
    });
}

#[test]
fn rule_5_whoever_knows_of_the_quit_knows_cause_and_deadline() {
    model(|| {
        let root = root();
        let below = child(&root);
        let node = Arc::clone(&root);
        let quitter = thread::spawn(move || quit(&node, Some(Duration::from_secs(9))));
        if below.is_quitting() {
            assert!(below.deadline().is_some());
            assert!(below.quit_info().is_some());
        }
        quitter.join().unwrap();
    });
}

#[test]
fn rule_5_a_quit_with_a_deadline_ends_a_wait_that_has_begun() {
    model(|| {
        let root = root();
        let below = child(&root);
        let _stuck = check_in(&below).unwrap();
        let node = Arc::clone(&root);
        let quitter = thread::spawn(move || quit(&node, Some(Duration::ZERO)));
        assert!(root.wait_done(for_ever()).is_err());
        quitter.join().unwrap();
    });
}

#[test]
fn rule_5_a_wait_until_the_quit_ends_with_it() {
    model(|| {
        let root = root();
        let below = child(&root);
        let _stuck = check_in(&below).unwrap();
        let node = Arc::clone(&root);
        let quitter = thread::spawn(move || quit(&node, None));
        let limits = Limits {
            until_quit: true,
            ..for_ever()
        };
        assert!(root.wait_done(limits).is_err());
        assert!(root.is_quitting());
        quitter.join().unwrap();
    });
}

#[test]
fn rule_7_a_child_leaves_the_tree_with_its_last_handle_whoever_walks_by() {
    model(|| {
        let root = root();
        let below = child(&root);
        let record = check_in(&below).unwrap();
        below.check_out(&record);
        let also = below.clone();
        let dropper = thread::spawn(move || drop(also));
        let node = Arc::clone(&root);
        let walker = thread::spawn(move || quit(&node, None));
        drop(below);
        dropper.join().unwrap();
        walker.join().unwrap();
        assert_eq!(root.roster().left_behind(), 0);
    });
}

#[test]
fn rule_9_a_sleeper_learns_of_the_quit() {
    model(|| {
        let root = root();
        let below = child(&root);
        let sleeper = thread::spawn(move || below.wait_quit(None));
        quit(&root, None);
        assert!(sleeper.join().unwrap());
    });
}

/// A quit wakes one sleeper, which wakes the others.
#[test]
fn rule_9_several_sleepers_learn_of_the_quit() {
    model_within(2, || {
        let root = root();
        let nodes = [Arc::clone(&root), child(&root)];
        let sleepers = nodes.map(|node| thread::spawn(move || node.wait_quit(None)));
        quit(&root, None);
        assert!(sleepers.map(|sleeper| sleeper.join().unwrap()) == [true; 2]);
    });
}

#[test]
fn rule_9_sleepers_of_one_node_all_learn_of_the_quit() {
    model_within(2, || {
        let root = root();
        let nodes = [Arc::clone(&root), Arc::clone(&root)];
        let sleepers = nodes.map(|node| thread::spawn(move || node.wait_quit(None)));
        quit(&root, None);
        assert!(sleepers.map(|sleeper| sleeper.join().unwrap()) == [true; 2]);
    });
}

#[test]
fn rule_9_a_quit_channel_asked_for_during_the_quit_closes() {
    model(|| {
        let root = root();
        let below = child(&root);
        let asker = thread::spawn(move || (below.quit_chan().clone(), below));
        quit(&root, None);
        // A node that is gone has closed its channel, too: keep it.
        let (receiver, _handle) = asker.join().unwrap();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    });
}

/// Also where sleepers wake each other.
#[test]
fn rule_9_the_quit_channel_is_closed_when_the_quit_has_returned() {
    model(|| {
        let root = root();
        let channel = root.quit_chan().clone();
        let node = Arc::clone(&root);
        let sleeper = thread::spawn(move || node.wait_quit(None));
        quit(&root, None);
        assert_eq!(channel.try_recv(), Err(TryRecvError::Disconnected));
        assert!(sleeper.join().unwrap());
    });
}

#[test]
fn rule_9_two_that_ask_for_the_quit_channel_get_the_same() {
    model(|| {
        let root = root();
        let node = Arc::clone(&root);
        let asker = thread::spawn(move || node.quit_chan().clone());
        let also_asked = root.quit_chan().clone();
        let asked = asker.join().unwrap();
        assert!(asked.same_channel(&also_asked));
        assert_eq!(asked.try_recv(), Err(TryRecvError::Empty));
        quit(&root, None);
        assert_eq!(asked.try_recv(), Err(TryRecvError::Disconnected));
    });
}

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
        let task = thread::spawn(move || block_on(DoneWait::new(&node, for_ever())));
        let routine = thread::spawn(move || below.check_out(&record));
        assert!(root.wait_done(for_ever()).is_ok());
        task.join().unwrap();
        routine.join().unwrap();
    });
}

/// The two meet at the same mark: the one that finds it there must not rely on the other to count.
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
                // Keeps what it found.
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

/// A routine that waits leaves itself out, and somebody else waits for it, too: one tally for both.
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
                ..for_ever()
            };
            assert!(node.wait_done(limits).is_ok());
            below.check_out(&waits);
        });
        let node = Arc::clone(&root);
        let ends = thread::spawn(move || node.check_out(&other));
        assert!(root.wait_done(for_ever()).is_ok());
        routine.join().unwrap();
        ends.join().unwrap();
    });
}

/// A wait that comes while another is over and its tally is ended.
#[test]
fn rule_4_a_wait_that_begins_as_another_ends_is_exact() {
    model_within(2, || {
        let root = root();
        let below = child(&root);
        let record = check_in(&below).unwrap();
        let node = Arc::clone(&root);
        let waiter = thread::spawn(move || node.wait_done(for_ever()).is_ok());
        below.check_out(&record);
        let successor = check_in(&below).unwrap();
        let ending = Arc::new(AtomicBool::new(false));
        let (ends, node) = (Arc::clone(&ending), Arc::clone(&below));
        let routine = thread::spawn(move || {
            ends.store(true, Ordering::SeqCst);
            node.check_out(&successor);
        });
        assert!(root.wait_done(for_ever()).is_ok());
        assert!(ending.load(Ordering::SeqCst));
        assert!(waiter.join().unwrap());
        routine.join().unwrap();
    });
}

/// A thread whose time is up is asked to wake others at that moment.
#[test]
fn rule_9_a_sleeper_whose_time_is_up_loses_no_other() {
    use super::list::List;
    use super::waiter::{Waiter, Wakes};
    use crate::sync::{Mutex, lock};

    for order in [[0, 1], [1, 0]] {
        model(move || {
            let list = Arc::new(Mutex::new(List::<Waiter>::default()));
            let waiters = [Waiter::thread(0), Waiter::thread(0)];
            for at in order {
                lock(&list).push(Arc::clone(&waiters[at]));
            }
            let [late, sleeping] = waiters;
            let of = Arc::clone(&list);
            let late = thread::spawn(move || {
                let left = lock(&of).remove(&late);
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
