//! Finished work leaves nothing behind (rule 7): neither a byte of heap nor a thread.
//!
//! The counters cover the whole process, so the tests run one at a time, in a binary of their own.

// The interface of a global allocator is unsafe.
#![allow(unsafe_code)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quitter_core::{OnFailure, Quitter, RoutineHandle, RoutineQuitter};

use common::PATIENCE;

/// The number of bytes of heap in use.
static IN_USE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

fn count(layout: Layout) -> isize {
    isize::try_from(layout.size()).expect("a layout's size fits by its contract")
}

// SAFETY: each call is forwarded unchanged to `System`, which keeps the contract. The counter is an atomic
// and allocates nothing. `realloc` and `alloc_zeroed` are the trait's defaults, which call these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(count(layout), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which `System` shares.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(count(layout), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, and `at` came from `System.alloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How much the test harness may allocate beside the test. Each test repeats its work so often that keeping
/// a single byte each time, or a single large object, would exceed this.
const SLACK: isize = 8 * 1024;

/// The right to use the counters.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` once to warm up, with a tenth of the repetitions, and then checks that it leaves neither memory
/// nor threads behind.
#[track_caller]
fn leaves_nothing(repetitions: usize, work: impl Fn(usize)) {
    let _alone = alone();
    work(repetitions / 10);
    settle();
    let (threads, before) = (os_threads(), IN_USE.load(Ordering::Relaxed));
    work(repetitions);
    settle();
    let kept = IN_USE.load(Ordering::Relaxed) - before;
    assert!(kept.abs() < SLACK, "{kept} bytes are kept");
    // Libtest may have started the thread of the next test.
    assert!(
        os_threads() < threads + 10,
        "{} threads more",
        os_threads() - threads
    );
}

/// Waits until the threads of finished routines are gone. A routine ends before its thread does.
fn settle() {
    #[cfg(target_os = "linux")]
    {
        let routine_threads = || {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap();
            let names = tasks
                .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
            names.filter(|name| name.starts_with("routine")).count()
        };
        common::waits::eventually(|| routine_threads() == 0);
    }
}

#[cfg(target_os = "linux")]
fn os_threads() -> usize {
    common::os_threads()
}

#[cfg(not(target_os = "linux"))]
fn os_threads() -> usize {
    0
}

#[test]
fn a_million_short_lived_children_leave_nothing() {
    let root = Quitter::root("root");
    leaves_nothing(1_000_000, |count| {
        for _ in 0..count {
            drop(root.child("child").unwrap());
        }
    });
}

#[test]
fn a_million_guards_leave_nothing() {
    let root = Quitter::root("root");
    leaves_nothing(1_000_000, |count| {
        for at in 0..count {
            let guard = root.guard("guard").unwrap();
            if at % 1000 == 0 {
                guard.set_status(format!("{at} of {count}"));
            }
        }
        root.wait_done(Duration::ZERO).unwrap();
    });
}

#[test]
fn guards_of_short_lived_children_whose_handles_go_first_leave_nothing() {
    let root = Quitter::root("root");
    leaves_nothing(200_000, |count| {
        for _ in 0..count {
            let guard = root
                .child("a")
                .unwrap()
                .child("b")
                .unwrap()
                .guard("guard")
                .unwrap();
            let clone: RoutineQuitter = (*guard).clone();
            drop(guard);
            assert!(!clone.has_to_quit());
        }
    });
}

#[test]
fn twenty_thousand_short_lived_routines_leave_neither_memory_nor_threads() {
    let root = Quitter::root("root");
    leaves_nothing(20_000, |count| {
        for at in 0..count {
            let handle = root.routine("routine").add(|_| {}).unwrap();
            if at % 100 == 0 {
                handle.wait(PATIENCE).unwrap();
            }
        }
        root.wait_done(PATIENCE).unwrap();
    });
}

#[test]
fn a_million_children_alive_at_once_return_their_memory() {
    let root = Quitter::root("root");
    leaves_nothing(1_000_000, |count| {
        let children: Vec<_> = (0..count).map(|_| root.child("child").unwrap()).collect();
        assert_eq!(children.len(), count);
    });
}

#[test]
fn many_guards_alive_at_once_return_their_memory() {
    let root = Quitter::root("root");
    leaves_nothing(300_000, |count| {
        let guards: Vec<_> = (0..count).map(|_| root.guard("guard").unwrap()).collect();
        assert_eq!(
            root.wait_done(Duration::ZERO).unwrap_err().len(),
            guards.len()
        );
    });
}

#[test]
fn quitters_that_several_threads_use_often_leave_nothing() {
    let root = Quitter::root("root");
    leaves_nothing(200, |count| {
        for _ in 0..count {
            let child = root.child("child").unwrap();
            let use_often = || {
                for _ in 0..100 {
                    drop(child.child("below").unwrap().guard("below").unwrap());
                    drop(child.guard("guard").unwrap());
                }
                child.guard("guard").unwrap()
            };
            let guards = std::thread::scope(|scope| {
                let threads = [(); 3].map(|()| scope.spawn(use_often));
                threads.map(|thread| thread.join().unwrap())
            });
            // Either the handle or the guards may keep the child alive last.
            drop(child);
            drop(guards);
        }
    });
}

/// One child and one routine live on while a burst of connections comes and goes, as in a server.
#[test]
fn a_burst_beside_what_lives_on_returns_its_memory() {
    let root = Quitter::root("root");
    leaves_nothing(300_000, |count| {
        let children: Vec<_> = (0..count).map(|_| root.child("child").unwrap()).collect();
        let guards: Vec<_> = (0..count).map(|_| root.guard("guard").unwrap()).collect();
        let stays = (root.child("stays").unwrap(), root.guard("stays").unwrap());
        drop((children, guards));
        let kept = IN_USE.load(Ordering::Relaxed);
        drop(stays);
        let kept = kept - IN_USE.load(Ordering::Relaxed);
        assert!(kept < SLACK, "{kept} bytes are kept for two that live on");
    });
}

#[test]
fn quit_channels_and_waits_leave_nothing() {
    let root = Quitter::root("root");
    leaves_nothing(50_000, |count| {
        for _ in 0..count {
            let child = root.child("child").unwrap();
            let guard = child.guard("guard").unwrap();
            assert!(guard.quit_chan().try_recv().is_err());
            assert!(child.quit_and_wait(Duration::ZERO).is_err());
            drop(guard);
            child.wait_done(Duration::ZERO).unwrap();
        }
    });
}

#[test]
fn handles_of_finished_routines_leave_nothing_once_they_are_dropped() {
    let root = Quitter::root("root");
    leaves_nothing(20_000, |count| {
        let add = |_| {
            root.child("child")
                .unwrap()
                .routine("routine")
                .add(|_| {})
                .unwrap()
        };
        let handles: Vec<RoutineHandle> = (0..count).map(add).collect();
        for handle in &handles {
            handle.wait(PATIENCE).unwrap();
        }
    });
}

/// The first thousand failures are always kept, so the warm-up causes that many.
#[test]
fn a_routine_that_fails_again_and_again_does_not_fill_the_memory() {
    let root = Quitter::root("root");
    leaves_nothing(20_000, |count| {
        for _ in 0..count {
            let fails = root.routine("routine").on_failure(OnFailure::FailAtExit);
            fails.add(|_| Err::<(), _>("again")).unwrap();
        }
        root.wait_done(PATIENCE).unwrap();
        assert_eq!(root.failures().len(), 1000);
    });
}

#[test]
fn whole_trees_leave_nothing() {
    leaves_nothing(20_000, |count| {
        for _ in 0..count {
            let root = Quitter::root("root");
            let children = ["a", "b"].map(|name| root.child(name).unwrap());
            let guards = children
                .each_ref()
                .map(|child| child.guard("guard").unwrap());
            assert_eq!(root.quit_and_wait(Duration::ZERO).unwrap_err().len(), 2);
            drop((root, guards));
        }
    });
}

#[test]
fn the_list_of_a_deep_chain_shares_its_paths_and_its_text_is_bounded() {
    const LEVELS: usize = 20_000;
    let _alone = alone();
    let mut all = vec![Quitter::root("main")];
    for level in 1..LEVELS {
        all.push(all[level - 1].child(format!("level {level}")).unwrap());
    }
    let _guards: Vec<_> = all.iter().map(|at| at.guard("stuck").unwrap()).collect();
    let before = IN_USE.load(Ordering::Relaxed);
    let timeouts = all[0].wait_done(Duration::ZERO).unwrap_err();
    let text = timeouts.to_string();
    let kept = IN_USE.load(Ordering::Relaxed) - before;
    assert!(kept < 8_000_000, "{kept} bytes for {LEVELS} levels");
    assert!(text.len() < 20_000, "{} bytes of text", text.len());
    assert!(text.ends_with(" and 19950 more"), "{text}");
    let deepest = timeouts.iter().next().unwrap();
    assert_eq!(deepest.quitter, all[LEVELS - 1].path());
}

#[test]
fn refused_work_leaves_nothing() {
    let root = Quitter::root("root");
    root.send_quit();
    leaves_nothing(100_000, |count| {
        for _ in 0..count {
            let captured = vec![0_u8; 64];
            let refused = root.routine("routine").add(move |_| drop(captured));
            assert!(refused.is_err() && root.child("child").is_err());
            assert!(root.guard("guard").is_err());
        }
    });
}
