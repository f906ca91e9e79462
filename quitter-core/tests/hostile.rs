//! Crowds that quit, fail, wait and start work at the same time.
//!
//! An operation whose cost is quadratic in the size of the crowd, or that waits until each thread of the crowd
//! has had its turn, does not end within [`PATIENCE`].

mod common;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use quitter_core::{OnFailure, Quitter, RoutineHandle, RoutineQuitter};

use common::{PATIENCE, in_time};

/// Starts a routine with a small stack.
fn start<F>(quitter: &Quitter, f: F) -> RoutineHandle
where
    F: FnOnce(&RoutineQuitter) -> Result<(), &'static str> + Send + 'static,
{
    let routine = quitter.routine("crowd").stack_size(64 * 1024);
    routine.add(f).unwrap()
}

#[test]
fn eight_thousand_children_whose_routines_all_fail_at_the_quit_end_in_time() {
    const CHILDREN: usize = 8_000;
    let root = Quitter::root("root");
    let children: Vec<Quitter> = (0..CHILDREN)
        .map(|_| root.child("child").unwrap())
        .collect();
    for child in &children {
        start(child, |q| {
            q.wait_quit();
            Err("the connection is closed")
        });
    }
    root.quit_and_wait(PATIENCE).unwrap();
    assert_eq!(root.failures().len(), 1000, "as many as are listed");
}

/// A quit that changes nothing visits no quitter, however many there are below.
#[test]
fn a_thousand_routines_that_keep_sending_quits_end_in_time() {
    const ROUTINES: usize = 1_000;
    let root = Quitter::root("root");
    let children: Vec<Quitter> = (0..8 * ROUTINES)
        .map(|_| root.child("child").unwrap())
        .collect();
    let listed: Vec<_> = children.iter().map(|child| child.guard("guard")).collect();
    let quits = Arc::new(AtomicUsize::new(0));
    let handles: Vec<RoutineHandle> = children[..ROUTINES]
        .iter()
        .map(|child| {
            let (root, quits) = (root.clone(), Arc::clone(&quits));
            start(child, move |q| {
                q.wait_quit();
                for _ in 0..100 {
                    root.send_quit();
                }
                quits.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        })
        .collect();
    // The thread owns the guards: a failed test that unwound them would contend with the crowd for each.
    in_time(move || {
        root.send_quit();
        for handle in &handles {
            handle.wait(Duration::MAX).unwrap();
        }
        drop(listed);
    });
    assert_eq!(quits.load(Ordering::SeqCst), ROUTINES);
}

#[test]
fn one_panic_that_drops_sixteen_thousand_guards_ends_in_time() {
    const GUARDS: usize = 16_000;
    let root = Quitter::root("root");
    let children: Vec<Quitter> = (0..GUARDS).map(|_| root.child("child").unwrap()).collect();
    let guards: Vec<_> = children.iter().map(|child| child.guard("guard")).collect();
    let root = in_time(move || {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _guards = guards;
            // Like `panic!`, but without a message on stderr.
            resume_unwind(Box::new("panic"));
        }));
        assert!(panicked.is_err());
        root
    });
    assert!(root.has_to_quit());
    root.wait_done(Duration::ZERO).unwrap();
}

/// Calls `f` while other threads call `hammer` in a loop.
fn beside_hammering<T: Send + 'static>(
    threads: usize,
    hammer: impl Fn() + Clone + Send + 'static,
    f: impl FnOnce() -> T + Send + 'static,
) -> T {
    let stop = Arc::new(AtomicBool::new(false));
    let all_run = Arc::new(Barrier::new(threads + 1));
    let hammers: Vec<_> = (0..threads)
        .map(|_| {
            let (stop, all_run, hammer) = (Arc::clone(&stop), Arc::clone(&all_run), hammer.clone());
            thread::spawn(move || {
                all_run.wait();
                while !stop.load(Ordering::Relaxed) {
                    hammer();
                }
            })
        })
        .collect();
    all_run.wait();
    let result = in_time(f);
    stop.store(true, Ordering::Relaxed);
    for hammer in hammers {
        hammer.join().unwrap();
    }
    result
}

#[test]
fn a_look_returns_beside_threads_that_make_guards_at_the_same_quitter() {
    let root = Quitter::root("root");
    let looks_at = root.clone();
    beside_hammering(
        32,
        move || drop(root.guard("guard")),
        move || {
            for _ in 0..20 {
                let _ = looks_at.wait_done(Duration::ZERO);
            }
        },
    );
}

#[test]
fn a_look_and_a_quit_return_beside_threads_that_make_guards_at_children_of_their_own() {
    let root = Quitter::root("root");
    let (below, looks_at) = (root.clone(), root.clone());
    beside_hammering(
        32,
        move || {
            if let Ok(child) = below.child("child") {
                let _guards = [child.guard("guard"), child.guard("guard")];
            }
        },
        move || {
            for _ in 0..20 {
                let _ = looks_at.wait_done(Duration::ZERO);
            }
            looks_at.quit_and_wait(PATIENCE).unwrap();
        },
    );
    root.wait_done(Duration::ZERO).unwrap();
}

/// A wait is over at any instant at which nothing is live, however short, and it leaves nothing behind that
/// would slow down later work.
#[test]
fn waits_that_time_out_beside_live_work_keep_no_hold_on_it() {
    let root = Quitter::root("root");
    root.on_failure(OnFailure::Report);
    let child = root.child("child").unwrap();
    let live = child.guard("live").unwrap();
    for _ in 0..1000 {
        assert!(root.wait_done(Duration::from_nanos(1)).is_err());
        assert!(child.wait_done(Duration::ZERO).is_err());
    }
    drop(live);
    root.wait_done(Duration::MAX).unwrap();
}

struct Hostile(fn());

impl Wake for Hostile {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// A waker is code of some executor.
#[test]
fn a_waker_that_hangs_or_panics_keeps_the_quit_from_nobody_else() {
    let hang: fn() = || {
        loop {
            thread::park();
        }
    };
    let panics: fn() = || resume_unwind(Box::new("waker"));
    for wake in [hang, panics] {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let waker = Waker::from(Arc::new(Hostile(wake)));
        let mut quitting = Box::pin(root.quitting());
        let polled = quitting.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        let handle = start(&child, |q| {
            q.wait_quit();
            Ok(())
        });
        let quits = root.clone();
        thread::spawn(move || quits.send_quit());
        handle.wait(PATIENCE).unwrap();
        root.wait_done(PATIENCE).unwrap();
    }
}
