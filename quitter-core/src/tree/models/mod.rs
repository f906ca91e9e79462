//! The tree's rules under every interleaving that loom finds. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p quitter-core --lib --release models`.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::TryRecvError;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::{Calling, DoneWait, Excluded, Hook, Limits, Node, QuitWait, Step};
use crate::report::cause::QuitCause;
use crate::routine::kind::Work;
use crate::routine::record::Record;

mod futures;
mod hooks;
mod one_handle;

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
    Record::new(
        Work::Guard,
        name.into(),
        Location::caller(),
        None,
        Duration::ZERO,
    )
}

fn check_in(node: &Arc<Node>) -> Option<Arc<Record>> {
    let record = Arc::new(record("routine"));
    node.check_in(&record).ok().map(|()| record)
}

fn quit(node: &Arc<Node>, timeout: Option<Duration>) {
    let at = Location::caller();
    node.quit(QuitCause::SendQuit { at }, timeout);
}

fn no_limits() -> Limits {
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

/// A poll stores its answer, which must not overwrite a concurrent quit.
#[test]
fn rule_2_a_poll_undoes_no_quit() {
    model(|| {
        let root = root();
        let (top, other) = (child(&root), child(&root));
        let below = child(&top);
        // Moves the epoch on, so that the poll has to look up.
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

/// A routine at one node starts its successor at the other and ends, then the successor ends: a look must
/// not find both gone while one of them was always live.
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
        // Std's atomic: loom does not see what the drop of the last handle makes visible.
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
        let waiter = thread::spawn(move || node.wait_done(no_limits()).is_ok());
        let routine = thread::spawn(move || below.check_out(&record));
        assert!(root.wait_done(no_limits()).is_ok());
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
            ..no_limits()
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
        assert!(root.wait_done(no_limits()).is_err());
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
            ..no_limits()
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
        // The handle is kept, since a node that is dropped closes its channel, too.
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
