//! A quitter that several threads use often keeps their routines in separate shards. That must not be
//! visible: each test does from several threads what other tests do from one.

mod common;

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use quitter_core::{OnFailure, Quitter, RoutineGuard};

use common::{PATIENCE, ids, in_time, paths};

const THREADS: usize = 4;

/// More operations than it takes until the quitter gets shards.
const OFTEN: usize = 200;

/// Uses a quitter often, from several threads.
fn used_by_several(quitter: &Quitter) -> &Quitter {
    by_several(|_| {
        for _ in 0..OFTEN {
            drop(quitter.child("short-lived").unwrap());
            drop(quitter.guard("short-lived").unwrap());
        }
    });
    quitter
}

/// Calls `f` on several threads at once.
fn by_several<T: Send>(f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        let spawn = |at| {
            let (start, f) = (&start, &f);
            scope.spawn(move || {
                start.wait();
                f(at)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(spawn).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

fn guards(quitter: &Quitter) -> Vec<RoutineGuard> {
    by_several(|_| quitter.guard("guard").unwrap())
}

#[test]
fn routines_of_all_threads_are_listed_at_the_one_quitter_in_order() {
    let root = Quitter::root("main");
    let db = root.child("db").unwrap();
    let guards = guards(used_by_several(&db));
    let below = by_several(|_| db.child("table").unwrap().guard("below").unwrap());
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    assert_eq!(timeouts.len(), guards.len() + below.len());
    let tables = ["main/db/table"; THREADS];
    assert_eq!(paths(&timeouts), [&tables[..], &["main/db"]].concat());
    let last = timeouts.iter().last().unwrap();
    assert_eq!(last.routines.len(), THREADS);
    assert_eq!(db.live_routines(), timeouts.len());
    assert!(last.routines.is_sorted_by_key(|routine| routine.id));
    let again = root.wait_done(Duration::ZERO).unwrap_err();
    assert_eq!(ids(&again), ids(&timeouts));
}

#[test]
fn what_several_threads_have_made_knows_its_path_and_its_quitter() {
    let root = Quitter::root("main");
    let children = by_several(|_| used_by_several(&root).child("child").unwrap());
    for child in &children {
        assert_eq!(child.path(), "main/child");
    }
    for guard in guards(&root) {
        assert_eq!(guard.path(), "main");
        let below = guard.child("below").unwrap();
        assert_eq!(below.path(), "main/below");
    }
    let _guards = guards(&root);
    assert!(format!("{root:?}").contains(&format!("live_routines: {THREADS}")));
}

#[test]
fn a_quit_reaches_all_that_several_threads_have_made_and_refuses_more() {
    let root = Quitter::root("main");
    let quitter = root.child("child").unwrap();
    used_by_several(&quitter);
    let children = by_several(|_| quitter.child("below").unwrap());
    let guards = guards(&quitter);
    let sleeper = quitter.clone();
    let sleeps = thread::spawn(move || sleeper.wait_quit());
    quitter.send_quit();
    assert!(children.iter().all(Quitter::has_to_quit));
    assert!(guards.iter().all(|guard| guard.has_to_quit()));
    assert!(guards.iter().all(|guard| guard.quit_chan().recv().is_err()));
    assert!(guards.iter().all(|guard| guard.quit_cause().is_some()));
    by_several(|_| assert!(quitter.child("late").is_err() && quitter.guard("late").is_err()));
    in_time(move || sleeps.join().unwrap());
    assert!(!root.has_to_quit());
}

#[test]
fn a_wait_is_for_the_routines_of_all_threads() {
    let root = Quitter::root("main");
    let handles = by_several(|_| {
        let add = |_| {
            used_by_several(&root)
                .add_routine(|q| q.wait_quit())
                .unwrap()
        };
        (0..10).map(add).collect::<Vec<_>>()
    });
    assert!(root.wait_done(Duration::ZERO).is_err());
    root.quit_and_wait(PATIENCE).unwrap();
    assert!(handles.iter().flatten().all(|handle| handle.is_finished()));
    for handle in handles.iter().flatten() {
        handle.wait(Duration::ZERO).unwrap();
    }
}

#[test]
fn a_failure_quits_the_quitter_and_not_only_a_part() {
    let root = Quitter::root("main");
    let own = root.child("own").unwrap();
    used_by_several(&own);
    let fails = by_several(|_| {
        let routine = own.routine("fails").on_failure(OnFailure::QuitOwn);
        routine.add(|_| Err::<(), _>("no such device"))
    });
    // The first routine may have failed before the others were added.
    let handle = fails.into_iter().find_map(Result::ok).unwrap();
    handle.wait(PATIENCE).unwrap();
    assert!(own.has_to_quit() && !root.has_to_quit());
    assert_eq!(root.failures()[0].path, "main/own");
}

#[test]
fn what_was_made_stays_when_the_last_quitter_is_dropped() {
    let root = Quitter::root("main");
    let quitter = root.child("child").unwrap();
    used_by_several(&quitter);
    let guards = guards(&quitter);
    drop(quitter);
    let more = by_several(|at| guards[at].guard("more").unwrap());
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    assert_eq!(timeouts.len(), guards.len() + more.len());
    let shown = format!("{:?}", *guards[0]);
    let live = format!("live_routines: {}", timeouts.len());
    assert!(shown.contains(&live), "{shown}");
    drop(guards);
    drop(more);
    root.wait_done(Duration::ZERO).unwrap();
}
