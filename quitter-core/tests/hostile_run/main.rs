//! A long run in which many threads do everything at once, for `QUITTER_HOSTILE_SECONDS`:
//! `taskset -c 0 cargo test -p quitter-core --release --all-features --test hostile_run -- --ignored --nocapture`

#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;
mod other_work;
mod user;

use std::fs;
use std::panic;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use quitter_core::{OnFailure, Quitter, RoutineGuard};

use common::resident_kib;
use other_work::OtherWork;
use user::User;

const THREADS: usize = 64;
/// Every fourth thread runs only when no other thread wants the processor.
const IDLE_EVERY: usize = 4;
/// Work that is passed on from quitter to quitter, each time by one of two threads.
const BATONS: usize = 4;
const MOST_QUITTERS: usize = 300;
/// Longer than a thread of idle priority can be starved.
const HANG: Duration = Duration::from_secs(100);

/// Counts of everything that was done in all seasons of the run.
#[derive(Debug)]
#[cfg_attr(
    not(all(feature = "stacks", feature = "io", feature = "process")),
    allow(dead_code, reason = "some work needs a feature")
)]
struct Figures {
    waits: AtomicU64,
    /// Threads, tasks and functions that a quit woke or called.
    wakes: AtomicU64,
    tasks: AtomicU64,
    snapshots: AtomicU64,
    /// The stacks in snapshots.
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

/// Whether a quit of this quitter has returned.
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

/// A guard that is dropped only after another guard, elsewhere below `top`, has replaced it.
struct Baton {
    top: Entry,
    guard: Mutex<Option<RoutineGuard>>,
    /// Set before the last guard is dropped.
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

    /// Whether a quit of this quitter would end a baton.
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
    // Goes on for some time after the end.
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
        // Counts panics in routines and tasks, too, which would only be recorded as failures.
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
