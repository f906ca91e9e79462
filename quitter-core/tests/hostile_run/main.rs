//! A long run in which many threads do everything at once. Run it for `QUITTER_HOSTILE_SECONDS`:
//! `taskset -c 0 cargo test -p quitter-core --release --all-features --test hostile_run -- --ignored --nocapture`

#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;
mod other_work;

use std::collections::HashSet;
use std::fs;
use std::panic::{self, AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, TryRecvError};
use fastrand::Rng;
use quitter_core::{OnFailure, Quitter, RoutineGuard, RoutineHandle};

use common::resident_kib;
use other_work::OtherWork;

const THREADS: usize = 64;
/// Every fourth thread runs only when nobody else wants to.
const IDLE_EVERY: usize = 4;
/// Work that is passed on from quitter to quitter, each time by one of two threads.
const BATONS: usize = 4;
const MOST_QUITTERS: usize = 300;
/// Longer than a thread that is only idle can be kept out.
const HANG: Duration = Duration::from_secs(100);

/// What was done in all seasons.
#[derive(Debug)]
struct Figures {
    waits: AtomicU64,
    /// Threads, tasks and functions that a quit woke or called.
    wakes: AtomicU64,
    tasks: AtomicU64,
    snapshots: AtomicU64,
    /// Stacks in snapshots.
    stacks: AtomicU64,
    io: AtomicU64,
    processes: AtomicU64,
    /// Assertions that failed.
    wrong: AtomicU64,
}

static FIGURES: Figures = Figures {
    waits: AtomicU64::new(0),
    wakes: AtomicU64::new(0),
    tasks: AtomicU64::new(0),
    snapshots: AtomicU64::new(0),
    stacks: AtomicU64::new(0),
    io: AtomicU64::new(0),
    processes: AtomicU64::new(0),
    wrong: AtomicU64::new(0),
};

impl Figures {
    fn count(what: &AtomicU64) {
        what.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether a quit of one quitter has returned.
struct Told {
    above: Option<Arc<Told>>,
    flag: AtomicBool,
}

impl Told {
    fn new(above: Option<&Arc<Told>>) -> Arc<Self> {
        Arc::new(Self {
            above: above.cloned(),
            flag: AtomicBool::new(false),
        })
    }

    fn upwards(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Told>> {
        std::iter::successors(Some(self), |told| told.above.as_ref())
    }

    fn is_told(self: &Arc<Self>) -> bool {
        self.upwards().any(|told| told.flag.load(Ordering::SeqCst))
    }

    fn is_below(self: &Arc<Self>, top: &Arc<Told>) -> bool {
        self.upwards().any(|told| Arc::ptr_eq(told, top))
    }
}

#[derive(Clone)]
struct Entry {
    quitter: Quitter,
    told: Arc<Told>,
}

/// A guard that is replaced by another, elsewhere below `top`, before it goes.
struct Baton {
    top: Entry,
    guard: Mutex<Option<RoutineGuard>>,
    /// Set before the last one goes.
    is_over: AtomicBool,
}

struct Season {
    root: Entry,
    pool: RwLock<Vec<Entry>>,
    batons: Vec<Baton>,
}

impl Season {
    fn new() -> Arc<Self> {
        let quitter = Quitter::root("root");
        quitter.on_failure(OnFailure::FailAtExit);
        let root = Entry {
            quitter,
            told: Told::new(None),
        };
        let batons: Vec<Baton> = (0..BATONS).map(|_| Baton::new(&root)).collect();
        let mut pool = vec![root.clone()];
        pool.extend(batons.iter().map(|baton| baton.top.clone()));
        Arc::new(Self {
            root,
            pool: RwLock::new(pool),
            batons,
        })
    }

    /// A quitter that is not the root and not above a baton.
    fn any(&self, rng: &mut Rng) -> Entry {
        let pool = self.pool.read().unwrap();
        pool[rng.usize(..pool.len())].clone()
    }

    /// Whether a quit here would end a baton.
    fn is_kept(&self, entry: &Entry) -> bool {
        self.batons
            .iter()
            .any(|baton| baton.top.told.is_below(&entry.told))
    }
}

impl Baton {
    fn new(root: &Entry) -> Self {
        let top = child(root).unwrap();
        let guard = top.quitter.guard("baton").unwrap();
        Self {
            top,
            guard: Mutex::new(Some(guard)),
            is_over: AtomicBool::new(false),
        }
    }

    fn pass_on(&self, to: &Quitter) -> bool {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        let next = to.guard("baton").ok();
        if next.is_none() {
            assert!(to.has_to_quit());
            self.is_over.store(true, Ordering::SeqCst);
        }
        *guard = next;
        guard.is_some()
    }
}

fn child(of: &Entry) -> Option<Entry> {
    let quitter = of.quitter.child("child").ok()?;
    let told = Told::new(Some(&of.told));
    Some(Entry { quitter, told })
}

struct User {
    season: Arc<Season>,
    rng: Rng,
    guards: Vec<(RoutineGuard, Arc<Told>)>,
    handles: Vec<RoutineHandle>,
    baton: Option<usize>,
    other: OtherWork,
}

impl User {
    fn step(&mut self) {
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
                // Leaves itself out.
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
        // None if it is done.
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
            // Until it, or in the end the root, is told to quit.
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
        // A quit that found another on its way does not wait for what that one has to close.
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

    /// Nothing but this one handle holds the quitter: its quit meets the other's work at the mark.
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

fn make_idle() {
    let thread = fs::read_link("/proc/thread-self").unwrap();
    let id = thread.file_name().unwrap();
    let done = Command::new("chrt")
        .args(["-i", "-p", "0"])
        .arg(id)
        .status();
    assert!(done.is_ok_and(|status| status.success()));
}

fn play(season: &Arc<Season>, at: usize, seed: u64, counts: &[AtomicU64]) -> OtherWork {
    if at.is_multiple_of(IDLE_EVERY) {
        make_idle();
    }
    let mut user = User {
        season: Arc::clone(season),
        rng: Rng::with_seed(seed ^ (at as u64) << 48),
        guards: Vec::new(),
        handles: Vec::new(),
        baton: (1..=2 * BATONS).contains(&at).then_some(at % BATONS),
        other: OtherWork::default(),
    };
    // Some time after the end, too.
    let mut after = 0;
    while after < 50 {
        user.step();
        counts[at].fetch_add(1, Ordering::Relaxed);
        after += usize::from(season.root.quitter.has_to_quit());
    }
    user.other.end_tasks();
    user.other
}

#[test]
#[ignore = "takes as long as it is told to"]
fn a_tree_keeps_its_promises_in_a_long_hostile_run() {
    let number = |key: &str| std::env::var(key).ok()?.parse::<u64>().ok();
    let seconds = number("QUITTER_HOSTILE_SECONDS").unwrap_or(60);
    let seed = number("QUITTER_HOSTILE_SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("QUITTER_HOSTILE_SECONDS={seconds} QUITTER_HOSTILE_SEED={seed}");
    panic::set_hook(Box::new(|info| {
        // Also in routines and tasks, where a panic is a failure of theirs.
        Figures::count(&FIGURES.wrong);
        eprintln!("{info}");
    }));
    let mut rng = Rng::with_seed(seed);
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut seasons, mut ops, mut longest) = (0, 0, Duration::ZERO);
    let mut resident = Vec::new();
    while Instant::now() < until {
        let season = Season::new();
        let counts: Arc<Vec<AtomicU64>> =
            Arc::new((0..THREADS).map(|_| AtomicU64::new(0)).collect());
        let seed = rng.u64(..);
        let users: Vec<_> = (0..THREADS)
            .map(|at| {
                let (season, counts) = (Arc::clone(&season), Arc::clone(&counts));
                thread::spawn(move || play(&season, at, seed, &counts))
            })
            .collect();
        thread::sleep(Duration::from_millis(rng.u64(200..4000)));
        let from = Instant::now();
        season.root.quitter.send_quit();
        season.root.told.flag.store(true, Ordering::SeqCst);
        let told_in = from.elapsed();
        longest = longest.max(told_in);
        while users.iter().any(|user| !user.is_finished()) {
            let counts: Vec<_> = counts.iter().collect();
            assert!(from.elapsed() < HANG, "hangs, steps of each: {counts:?}");
            thread::sleep(Duration::from_millis(5));
        }
        let left: Vec<OtherWork> = users.into_iter().map(|user| user.join().unwrap()).collect();
        season.root.quitter.wait_done(HANG).unwrap();
        season.root.quitter.wait_done(Duration::ZERO).unwrap();
        left.iter().for_each(OtherWork::assert_has_ended);
        drop(left);
        seasons += 1;
        ops += counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum::<u64>();
        drop(season);
        resident.push(resident_kib());
        if seasons % 20 == 0 {
            eprintln!(
                "{seasons} seasons, {ops} steps, {} KiB, quit {longest:?}, {FIGURES:?}",
                resident_kib()
            );
        }
    }
    let (early, late) = resident.split_at(resident.len() / 2);
    let (early, late) = (early.iter().max(), late.iter().max());
    eprintln!(
        "{seasons} seasons, {ops} steps, {FIGURES:?}, longest send_quit of the root {longest:?}; resident: \
         at most {early:?} KiB in the first half, {late:?} in the second"
    );
    assert_eq!(FIGURES.wrong.load(Ordering::Relaxed), 0);
}
