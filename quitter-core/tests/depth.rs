//! A deep tree is no problem (rule 8): a chain of a million quitters is created, quit, waited for, printed
//! and dropped on threads with a small stack.

mod common;

use std::thread;
use std::time::Duration;

use quitter_core::{Quitter, Quitting, RoutineQuitter};

use common::PATIENCE;

const LEVELS: usize = 1_000_000;

/// Runs `f` on a thread with the size of stack that is std's default, whatever the environment says.
fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(2 << 20).spawn(f);
    thread.unwrap().join().unwrap();
}

/// The quitters of a chain, the root first.
fn chain() -> Vec<Quitter> {
    let mut all = Vec::with_capacity(LEVELS);
    all.push(Quitter::root("n"));
    for level in 1..LEVELS {
        all.push(all[level - 1].child("n").unwrap());
    }
    all
}

/// The leaf of a chain. Only this handle keeps the chain alive.
fn leaf() -> Quitter {
    let mut leaf = Quitter::root("n");
    for _ in 1..LEVELS {
        leaf = leaf.child("n").unwrap();
    }
    leaf
}

#[test]
fn a_chain_is_quit_waited_for_and_dropped_from_the_root_down() {
    on_a_small_stack(|| {
        let all = chain();
        let (root, leaf) = (&all[0], &all[LEVELS - 1]);
        root.wait_done(Duration::ZERO).unwrap();
        root.quit_and_wait(PATIENCE).unwrap();
        assert!(all.iter().all(Quitter::has_to_quit));
        assert!(leaf.deadline().is_some());
        assert!(leaf.quit_cause().is_some());
        assert_eq!(leaf.child("late").unwrap_err(), Quitting);
        // Drops the root's handle first. The other handles keep its node alive.
        all.into_iter().for_each(drop);
    });
}

#[test]
fn a_chain_is_dropped_from_the_leaf_up() {
    on_a_small_stack(|| {
        let mut all = chain();
        while all.len() > 1 {
            drop(all.pop());
        }
        all[0].quit_and_wait(Duration::ZERO).unwrap();
    });
}

#[test]
fn a_stuck_guard_at_the_bottom_of_a_chain_is_found_and_printed() {
    on_a_small_stack(|| {
        let leaf = leaf();
        let path = leaf.path();
        assert_eq!(path.len(), 2 * LEVELS - 1);
        let guard = leaf.guard("stuck").unwrap();
        let timeouts = leaf.quit_and_wait(Duration::ZERO).unwrap_err();
        let text = timeouts.to_string();
        assert!(text.contains("\n  n/…/n/n/") && text.contains("    stuck  running "));
        assert!(text.len() < 500);
        assert_eq!(timeouts.iter().next().unwrap().quitter, path);
        assert_eq!(format!("{timeouts:?}"), text);
        assert!(format!("{leaf:?}").contains(&path));
        assert!(format!("{guard:?}").contains(&path));
    });
}

#[test]
fn a_wait_on_the_root_of_a_chain_finds_the_stuck_guard_at_its_bottom() {
    on_a_small_stack(|| {
        let all = chain();
        let guard = all[LEVELS - 1].guard("stuck").unwrap();
        let timeouts = all[0].quit_and_wait(Duration::from_millis(1)).unwrap_err();
        assert!(guard.has_to_quit());
        let stuck: Vec<_> = timeouts.routines().map(|routine| routine.id).collect();
        assert_eq!(stuck, [guard.id()]);
        drop(all);
        // Only the guard keeps the chain alive, so this drops both.
        drop(guard);
    });
}

#[test]
fn a_failure_at_the_bottom_of_a_chain_reaches_its_root() {
    on_a_small_stack(|| {
        let all = chain();
        let fails = all[LEVELS - 1].routine("fails");
        let handle = fails.add(|_| Err::<(), _>("error")).unwrap();
        handle.wait(PATIENCE).unwrap();
        assert!(all[0].has_to_quit());
        assert_eq!(all[0].failures().len(), 1);
        // The handle of the finished routine keeps memory, but no node in the tree. Dropping it last frees
        // the whole chain.
        drop(all);
        assert_eq!(handle.name(), "fails");
        drop(handle);
    });
}

#[test]
fn a_chain_goes_with_the_last_clone_that_a_routine_gave_away() {
    on_a_small_stack(|| {
        let clone: RoutineQuitter = {
            let guard = leaf().guard("guard").unwrap();
            (*guard).clone()
        };
        assert!(!clone.has_to_quit());
        drop(clone);
    });
}
