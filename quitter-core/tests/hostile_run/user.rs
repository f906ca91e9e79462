//! A thread that does random things to a tree, and checks the invariants after each.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, TryRecvError};
use fastrand::Rng;
use quitter_core::{RoutineGuard, RoutineHandle};

use super::other_work::OtherWork;
use super::{BATONS, FIGURES, Figures, HANG, MOST_QUITTERS, Season, Told, child};

/// One of the threads that use a tree.
pub(super) struct User {
    pub(super) season: Arc<Season>,
    pub(super) rng: Rng,
    pub(super) guards: Vec<(RoutineGuard, Arc<Told>)>,
    pub(super) handles: Vec<RoutineHandle>,
    pub(super) baton: Option<usize>,
    pub(super) other: OtherWork,
}

impl User {
    pub(super) fn step(&mut self) {
        if let Some(at) = self.baton {
            return self.pass_on(at);
        }
        match self.rng.u32(..1000) {
            0..190 => self.make_guard(),
            190..220 => self.make_task(),
            220..300 => self.poll_task(),
            300..420 => drop(self.guards.pop().map(|(guard, _)| guard)),
            420..540 => self.make_child(),
            540..600 => self.drop_handle(),
            600..640 => self.start_routine(),
            640..650 => self.panic_with_guards(),
            650..665 => self.quit(),
            665..820 => self.wait(),
            820..830 => self.have_called(),
            830..840 => self.take_snapshot(),
            840..849 => self.wait_for_data(),
            849..850 => self.start_process(),
            850..880 => self.sleep(),
            880..910 => self.ask_for_channel(),
            910..940 => self.set_status(),
            940..960 => self.two_threads_at_one_handle(),
            _ => self.wait_for_routine(),
        }
    }

    fn pass_on(&mut self, at: usize) {
        let season = Arc::clone(&self.season);
        let baton = &season.batons[at];
        let below = child(&baton.top);
        let to = below.as_ref().filter(|_| self.rng.bool());
        let goes_on = baton.pass_on(&to.unwrap_or(&baton.top).quitter);
        if !goes_on {
            self.baton = None;
        }
    }

    fn make_guard(&mut self) {
        let entry = self.season.any(&mut self.rng);
        let told = entry.told.is_told();
        match entry.quitter.guard("guard") {
            Ok(guard) => {
                assert!(!told, "admitted after a quit that had returned");
                self.guards.push((guard, entry.told));
            }
            Err(_) => assert!(entry.quitter.has_to_quit()),
        }
        if self.guards.len() > 20 {
            let at = self.rng.usize(..self.guards.len());
            drop(self.guards.swap_remove(at));
        }
    }

    fn make_child(&mut self) {
        let entry = self.season.any(&mut self.rng);
        let told = entry.told.is_told();
        let Some(made) = child(&entry) else {
            return assert!(entry.quitter.has_to_quit());
        };
        assert!(!told, "a child made after a quit that had returned");
        let mut pool = self.season.pool.write().unwrap();
        let mut replaced = None;
        if pool.len() >= MOST_QUITTERS {
            let at = self.rng.usize(1 + BATONS..pool.len());
            replaced = Some(pool.swap_remove(at));
        }
        pool.push(made);
        drop(pool);
        drop(replaced);
    }

    fn drop_handle(&mut self) {
        let mut pool = self.season.pool.write().unwrap();
        if pool.len() > 1 + BATONS {
            let at = self.rng.usize(1 + BATONS..pool.len());
            let dropped = pool.swap_remove(at);
            drop(pool);
            drop(dropped);
        }
    }

    fn start_routine(&mut self) {
        let entry = self.season.any(&mut self.rng);
        let what = self.rng.u8(..6);
        let routine = entry.quitter.routine("routine").stack_size(64 * 1024);
        let waits_for = entry.quitter.clone();
        let started = routine.add(move |q| {
            q.set_status("runs");
            match what {
                0 => return Err("failed"),
                1 => resume_unwind(Box::new("panicked")),
                2 => q.wait_quit(),
                3 => drop(q.sleep(Duration::from_micros(300))),
                // The wait leaves out the routine that calls it.
                4 => drop(waits_for.wait_done(Duration::from_micros(500))),
                _ => {
                    let below = q.child("child").map(|child| child.guard("guard"));
                    drop(below);
                }
            }
            Ok(())
        });
        self.handles.extend(started.ok());
        if self.handles.len() > 8 {
            self.handles.swap_remove(self.rng.usize(..8));
        }
    }

    fn panic_with_guards(&mut self) {
        let guards = std::mem::take(&mut self.guards);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _guards = guards;
            resume_unwind(Box::new("panicked"));
        }));
        assert!(caught.is_err());
    }

    fn quit(&mut self) {
        let entry = self.season.any(&mut self.rng);
        if self.season.is_kept(&entry) {
            return;
        }
        match self.rng.u8(..4) {
            0 => drop(entry.quitter.quit_and_wait(Duration::from_micros(500))),
            _ => entry.quitter.send_quit(),
        }
        entry.told.flag.store(true, Ordering::SeqCst);
        self.check_below(&entry.told);
    }

    fn check_below(&self, top: &Arc<Told>) {
        let pool = self.season.pool.read().unwrap().clone();
        for entry in pool.iter().filter(|entry| entry.told.is_below(top)) {
            assert!(entry.quitter.has_to_quit());
            assert!(entry.quitter.quit_cause().is_some());
            assert!(entry.quitter.child("late").is_err());
            assert!(entry.quitter.guard("late").is_err());
        }
        for (guard, told) in &self.guards {
            assert!(!told.is_below(top) || guard.has_to_quit());
        }
    }

    fn wait(&mut self) {
        let entry = self.season.any(&mut self.rng);
        let timeout = match self.rng.u8(..4) {
            0 => Duration::from_micros(self.rng.u64(..2000)),
            _ => Duration::ZERO,
        };
        let waited = entry.quitter.wait_done(timeout);
        Figures::count(&FIGURES.waits);
        let live = waited.as_ref().err();
        let live = live.into_iter().flat_map(|timeouts| timeouts.routines());
        let live: HashSet<u64> = live.map(|routine| routine.id).collect();
        // No routine is listed if the wait is done.
        self.assert_lists_own(&entry.told, &live);
        if waited.is_ok() {
            let mut batons = self.season.batons.iter();
            let baton = batons.any(|baton| {
                baton.top.told.is_below(&entry.told) && !baton.is_over.load(Ordering::SeqCst)
            });
            assert!(!baton, "done, and at each instant a baton was live");
        }
    }

    fn sleep(&mut self) {
        let entry = self.season.any(&mut self.rng);
        if self.rng.u8(..30) == 0 {
            // Blocks until this quitter, or in the end the root, is told to quit.
            entry.quitter.wait_quit();
            Figures::count(&FIGURES.wakes);
            assert!(entry.quitter.has_to_quit());
        } else {
            let slept = entry.quitter.sleep(Duration::from_micros(300));
            assert!(slept.is_ok() || entry.quitter.has_to_quit());
        }
    }

    fn ask_for_channel(&mut self) {
        let entry = self.season.any(&mut self.rng);
        let told = entry.told.is_told();
        let channel = entry.quitter.quit_chan();
        // A quit that meets another one under way does not wait until that one has closed all channels.
        let closed = match told {
            true => channel.recv_timeout(HANG) == Err(RecvTimeoutError::Disconnected),
            false => channel.try_recv() == Err(TryRecvError::Disconnected),
        };
        assert!(closed || !told, "open after a quit");
        assert!(!closed || entry.quitter.has_to_quit());
    }

    fn set_status(&mut self) {
        if let Some((guard, told)) = self.guards.last() {
            let status = self.rng.u32(..).to_string();
            guard.set_status(status.clone());
            let top = told.upwards().last().unwrap();
            assert!(Arc::ptr_eq(top, &self.season.root.told));
            if self.rng.u8(..4) == 0 {
                let timeouts = self.season.root.quitter.wait_done(Duration::ZERO);
                let timeouts = timeouts.unwrap_err();
                let mut routines = timeouts.routines();
                let own = routines.find(|routine| routine.id == guard.id()).unwrap();
                assert_eq!(own.status, Some(status));
            }
        }
    }

    /// Only this one handle keeps the quitter alive. One thread's quit meets the other thread's work at the mark.
    fn two_threads_at_one_handle(&mut self) {
        let entry = self.season.any(&mut self.rng);
        let Some(made) = child(&entry) else {
            return;
        };
        let leaf = &made.quitter;
        let what = self.rng.u8(..5);
        thread::scope(|scope| {
            let other = scope.spawn(move || match what {
                0 => Some(leaf.child("child").ok()?.has_to_quit()),
                1 => Some(leaf.guard("guard").is_ok()),
                2 => {
                    leaf.wait_quit();
                    None
                }
                3 => {
                    let child = leaf.child("child");
                    leaf.send_quit();
                    assert!(child.is_err() || child.unwrap().has_to_quit());
                    None
                }
                _ => {
                    let _ = leaf.quit_chan().recv();
                    None
                }
            });
            leaf.send_quit();
            assert!(leaf.child("late").is_err() && leaf.guard("late").is_err());
            other.join().unwrap();
        });
        leaf.wait_done(Duration::MAX).unwrap();
    }

    fn wait_for_routine(&mut self) {
        if let Some(handle) = self.handles.pop() {
            let timeout = Duration::from_micros(self.rng.u64(..1000));
            let done = handle.wait(timeout).is_ok();
            assert!(!done || handle.is_finished());
        }
    }
}
