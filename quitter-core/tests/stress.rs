//! Random operations from several threads against a simple model.
//!
//! Each check must hold in every interleaving. So the model sets each flag on the safe side of its
//! operation: `told` once a quit has returned, `ending` before a routine's end begins, `gone` once it is
//! over. Each check is an implication between flags.
//!
//! `QUITTER_STRESS_SEED` repeats a run, as far as the scheduler allows; `QUITTER_STRESS_OPS` is the
//! number of operations.

mod common;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use quitter_core::{OnFailure, Quitter, RoutineGuard, RoutineHandle, Timeouts};

use common::PATIENCE;

const THREADS: usize = 4;
/// Operations on one tree. They cause fewer than a thousand failures, which is how many a tree lists.
const OPS_OF_A_TREE: usize = 5_000;
/// With this many children, a new one replaces another.
const MOST_QUITTERS: usize = 100;
/// With this many guards, a thread ends one before it makes another.
const MOST_GUARDS: usize = 20;

/// A quitter in the model. It outlives the real one.
struct Place {
    above: Option<Arc<Place>>,
    /// Whether a quit of this quitter itself has returned.
    told: AtomicBool,
}

impl Place {
    fn is_below(&self, top: &Arc<Place>) -> bool {
        self.upwards()
            .any(|place| std::ptr::eq(place, &raw const **top))
    }

    /// Whether the quitter must quit by now.
    fn is_told(&self) -> bool {
        self.upwards()
            .any(|place| place.told.load(Ordering::SeqCst))
    }

    fn upwards(&self) -> impl Iterator<Item = &Place> {
        std::iter::successors(Some(self), |place| place.above.as_deref())
    }
}

/// A real quitter and its model.
#[derive(Clone)]
struct Both {
    quitter: Quitter,
    place: Arc<Place>,
}

/// A routine or guard in the model.
struct Job {
    at: Arc<Place>,
    id: u64,
    flags: Arc<Flags>,
}

#[derive(Default)]
struct Flags {
    ran: AtomicUsize,
    ending: AtomicBool,
    /// When the job was gone, by [`Tree::clock`]; zero until then.
    gone: AtomicU64,
}

impl Flags {
    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }
}

struct OwnGuard {
    guard: RoutineGuard,
    job: Arc<Job>,
}

struct OwnRoutine {
    handle: RoutineHandle,
    flags: Arc<Flags>,
}

/// One tree and its model.
struct Tree {
    root: Both,
    quitters: RwLock<Vec<Both>>,
    jobs: Mutex<Vec<Arc<Job>>>,
    clock: AtomicU64,
    failures: AtomicUsize,
    /// The routines that reports have listed: the top of the wait, the start of the wait, the routine.
    listed: Mutex<Vec<(Arc<Place>, u64, u64)>>,
}

impl Tree {
    fn new() -> Self {
        let place = Arc::new(Place {
            above: None,
            told: AtomicBool::new(false),
        });
        let root = Both {
            quitter: Quitter::root("root"),
            place,
        };
        Self {
            quitters: RwLock::new(vec![root.clone()]),
            root,
            jobs: Mutex::default(),
            clock: AtomicU64::new(1),
            failures: AtomicUsize::new(0),
            listed: Mutex::default(),
        }
    }

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn any(&self, rng: &mut Rng) -> Both {
        let quitters = self.quitters.read().unwrap();
        quitters[rng.usize(..quitters.len())].clone()
    }

    fn add_job(&self, at: &Arc<Place>, id: u64, flags: Arc<Flags>) -> Arc<Job> {
        let at = Arc::clone(at);
        let job = Arc::new(Job { at, id, flags });
        self.jobs.lock().unwrap().push(Arc::clone(&job));
        job
    }

    /// The jobs below `top` that were admitted and whose end has not begun.
    fn live_below(&self, top: &Arc<Place>) -> Vec<Arc<Job>> {
        let jobs = self.jobs.lock().unwrap();
        let live = jobs
            .iter()
            .filter(|job| !job.flags.is_ending() && job.at.is_below(top));
        live.cloned().collect()
    }
}

/// One of the threads that use a tree.
struct User<'a> {
    tree: &'a Tree,
    rng: Rng,
    guards: Vec<OwnGuard>,
    routines: Vec<OwnRoutine>,
}

impl User<'_> {
    fn step(&mut self) {
        match self.rng.u32(..1000) {
            0..350 => self.make_guard(),
            350..600 => self.end_guard(),
            600..640 => self.fork(),
            640..650 => self.fail(),
            650..660 => self.panic_with_guard(),
            660..780 => self.make_child(),
            780..830 => self.drop_handle(),
            830..836 => self.quit(),
            836..837 => self.quit_and_wait(),
            837..940 => self.wait(Duration::ZERO),
            940..945 => self.wait(Duration::from_micros(300)),
            945..980 => self.look_at_status(),
            _ => self.wait_for_routine(),
        }
    }

    /// `admitted` is the answer of the real quitter; `told` is what the model said before that.
    fn check_answer(both: &Both, told: bool, admitted: bool) {
        if admitted {
            assert!(!told, "admitted after a quit that had returned");
        } else {
            assert!(both.quitter.has_to_quit(), "refused by a quitter that runs");
        }
    }

    fn make_guard(&mut self) {
        if self.guards.len() >= MOST_GUARDS {
            self.end_guard();
        }
        let both = self.tree.any(&mut self.rng);
        let told = both.place.is_told();
        let guard = both.quitter.guard("guard");
        Self::check_answer(&both, told, guard.is_ok());
        if let Ok(guard) = guard {
            let job = self.tree.add_job(&both.place, guard.id(), Arc::default());
            self.guards.push(OwnGuard { guard, job });
        }
    }

    fn end_guard(&mut self) {
        if self.guards.is_empty() {
            return;
        }
        let at = self.rng.usize(..self.guards.len());
        let OwnGuard { guard, job } = self.guards.swap_remove(at);
        assert_eq!(guard.id(), job.id);
        job.flags.ending.store(true, Ordering::SeqCst);
        drop(guard);
        job.flags.gone.store(self.tree.now(), Ordering::SeqCst);
    }

    /// Starts a real routine, which sometimes sleeps a little.
    fn fork(&mut self) {
        let both = self.tree.any(&mut self.rng);
        let told = both.place.is_told();
        let flags = Arc::new(Flags::default());
        let inside = Arc::clone(&flags);
        let waits = self.rng.u8(..4) == 0;
        let added = both.quitter.routine("routine").add(move |q| {
            inside.ran.fetch_add(1, Ordering::SeqCst);
            q.set_status("running");
            if waits {
                let _ = q.sleep(Duration::from_micros(200));
            }
            inside.ending.store(true, Ordering::SeqCst);
        });
        Self::check_answer(&both, told, added.is_ok());
        if let Ok(handle) = added {
            self.tree
                .add_job(&both.place, handle.id(), Arc::clone(&flags));
            self.routines.push(OwnRoutine { handle, flags });
        }
    }

    /// Starts a routine that fails in one way or another.
    fn fail(&mut self) {
        let both = self.tree.any(&mut self.rng);
        let told = both.place.is_told();
        let flags = Arc::new(Flags::default());
        let inside = Arc::clone(&flags);
        let by_panic = self.rng.bool();
        let own = both.place.above.is_some() && self.rng.u8(..10) == 0;
        let on_failure = if own {
            OnFailure::QuitOwn
        } else {
            OnFailure::FailAtExit
        };
        let fails = both.quitter.routine("fails").on_failure(on_failure);
        let added = fails.add(move |_| {
            inside.ran.fetch_add(1, Ordering::SeqCst);
            inside.ending.store(true, Ordering::SeqCst);
            if by_panic {
                // Like `panic!`, but without a message on stderr.
                resume_unwind(Box::new("panic"));
            }
            Err::<(), _>("error")
        });
        Self::check_answer(&both, told, added.is_ok());
        if let Ok(handle) = added {
            self.tree.failures.fetch_add(1, Ordering::SeqCst);
            self.tree
                .add_job(&both.place, handle.id(), Arc::clone(&flags));
            if own {
                wait_for(&handle);
                assert!(both.quitter.has_to_quit());
                both.place.told.store(true, Ordering::SeqCst);
            }
            self.routines.push(OwnRoutine { handle, flags });
        }
    }

    fn panic_with_guard(&mut self) {
        let both = self.tree.any(&mut self.rng);
        let told = both.place.is_told();
        let guard = both
            .quitter
            .routine("guard")
            .on_failure(OnFailure::FailAtExit)
            .guard();
        Self::check_answer(&both, told, guard.is_ok());
        if let Ok(guard) = guard {
            self.tree.failures.fetch_add(1, Ordering::SeqCst);
            let job = self.tree.add_job(&both.place, guard.id(), Arc::default());
            let ending = &job.flags.ending;
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _guard = guard;
                ending.store(true, Ordering::SeqCst);
                resume_unwind(Box::new("panic"));
            }));
            assert!(panicked.is_err());
            job.flags.gone.store(self.tree.now(), Ordering::SeqCst);
        }
    }

    fn make_child(&mut self) {
        let both = self.tree.any(&mut self.rng);
        let told = both.place.is_told();
        let child = both.quitter.child("child");
        Self::check_answer(&both, told, child.is_ok());
        if let Ok(quitter) = child {
            let place = Arc::new(Place {
                above: Some(both.place),
                told: AtomicBool::new(false),
            });
            let mut quitters = self.tree.quitters.write().unwrap();
            if quitters.len() >= MOST_QUITTERS {
                let at = self.rng.usize(1..quitters.len());
                quitters.swap_remove(at);
            }
            quitters.push(Both { quitter, place });
        }
    }

    fn drop_handle(&mut self) {
        let mut quitters = self.tree.quitters.write().unwrap();
        if quitters.len() > 1 {
            let at = self.rng.usize(1..quitters.len());
            let dropped = quitters.swap_remove(at);
            drop(quitters);
            drop(dropped);
        }
    }

    /// Tells a quitter to quit: rarely one near the root, and never the root itself, which would end all work.
    fn quit(&mut self) {
        let both = self.tree.any(&mut self.rng);
        let depth = both.place.upwards().count();
        if depth == 1 || (depth < 4 && self.rng.u8(..20) > 0) {
            return;
        }
        both.quitter.send_quit();
        both.place.told.store(true, Ordering::SeqCst);
        self.check_below(&both.place);
    }

    /// Checks that every quitter below one that was told quits and refuses work, for this thread's guards, too.
    fn check_below(&self, top: &Arc<Place>) {
        let quitters = self.tree.quitters.read().unwrap().clone();
        for both in quitters.iter().filter(|both| both.place.is_below(top)) {
            assert!(both.quitter.has_to_quit());
            assert!(both.quitter.quit_cause().is_some());
            assert!(both.quitter.child("late").is_err());
            assert!(both.quitter.guard("late").is_err());
        }
        for own in self.guards.iter().filter(|own| own.job.at.is_below(top)) {
            assert!(own.guard.has_to_quit());
        }
    }

    fn quit_and_wait(&mut self) {
        let both = self.tree.any(&mut self.rng);
        if both.place.above.is_none() {
            return;
        }
        let began = self.tree.now();
        let live = self.tree.live_below(&both.place);
        let done = both.quitter.quit_and_wait(Duration::from_micros(300));
        both.place.told.store(true, Ordering::SeqCst);
        assert!(both.quitter.deadline().is_some());
        self.check_wait(&both.place, began, &live, done);
        // From here on, nothing can start below this quitter.
        self.check_below(&both.place);
    }

    fn wait(&mut self, timeout: Duration) {
        let both = self.tree.any(&mut self.rng);
        let began = self.tree.now();
        let live = self.tree.live_below(&both.place);
        let done = both.quitter.wait_done(timeout);
        self.check_wait(&both.place, began, &live, done);
    }

    /// `live` are the jobs that were live when the wait began.
    fn check_wait(
        &self,
        top: &Arc<Place>,
        began: u64,
        live: &[Arc<Job>],
        done: Result<(), Timeouts>,
    ) {
        let own = self.guards.iter().filter(|own| own.job.at.is_below(top));
        let own: HashSet<u64> = own.map(|own| own.job.id).collect();
        let Err(timeouts) = done else {
            assert!(own.is_empty(), "done, and this thread holds guards");
            assert!(
                live.iter().all(|job| job.flags.is_ending()),
                "done, and one is live"
            );
            return;
        };
        let ids = common::ids(&timeouts);
        let unique: HashSet<u64> = ids.iter().copied().collect();
        assert!(!ids.is_empty(), "a list of nobody");
        assert_eq!(ids.len(), unique.len(), "listed twice");
        assert!(
            own.is_subset(&unique),
            "a guard that was live all the time is not listed"
        );
        let mut listed = self.tree.listed.lock().unwrap();
        listed.extend(ids.into_iter().map(|id| (Arc::clone(top), began, id)));
    }

    fn look_at_status(&mut self) {
        if self.guards.is_empty() {
            return;
        }
        let own = &self.guards[self.rng.usize(..self.guards.len())];
        let status = self.rng.u32(..).to_string();
        own.guard.set_status(status.clone());
        let root = &self.tree.root.quitter;
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        let stuck = timeouts.routines().find(|routine| routine.id == own.job.id);
        let stuck = stuck.expect("own guards are listed");
        assert_eq!(stuck.status, Some(status));
        assert!(stuck.last_seen.is_some());
    }

    fn wait_for_routine(&mut self) {
        if let Some(routine) = self.routines.pop() {
            wait_for(&routine.handle);
            assert!(routine.handle.is_finished());
            assert_eq!(routine.flags.ran.load(Ordering::SeqCst), 1);
            routine.flags.gone.store(self.tree.now(), Ordering::SeqCst);
        }
    }

    /// Ends this thread's guards, and half of its routines.
    fn finish(mut self) {
        while !self.guards.is_empty() {
            self.end_guard();
        }
        self.routines.truncate(self.routines.len() / 2);
        while !self.routines.is_empty() {
            self.wait_for_routine();
        }
    }
}

/// Waits until the routine has returned. Waits again if another thread's quit with a deadline ends the
/// wait (rule 5).
fn wait_for(handle: &RoutineHandle) {
    let until = Instant::now() + PATIENCE;
    while handle.wait(PATIENCE).is_err() {
        assert!(Instant::now() < until, "{handle:?}");
    }
}

fn use_tree(seed: u64, ops: usize) {
    let tree = Tree::new();
    thread::scope(|scope| {
        for user in 0..THREADS {
            let tree = &tree;
            let mut user = User {
                tree,
                rng: Rng::with_seed(seed ^ (user as u64) << 56),
                guards: Vec::new(),
                routines: Vec::new(),
            };
            scope.spawn(move || {
                for _ in 0..ops / THREADS {
                    user.step();
                }
                user.finish();
            });
        }
    });
    check_end(tree);
}

/// Ends everything that is left once the threads are done, and checks the final counts.
fn check_end(tree: Tree) {
    let root = &tree.root.quitter;
    root.quit_and_wait(PATIENCE).unwrap();
    root.wait_done(Duration::ZERO).unwrap();
    let jobs = tree.jobs.into_inner().unwrap();
    let by_id: HashMap<u64, &Arc<Job>> = jobs.iter().map(|job| (job.id, job)).collect();
    assert_eq!(by_id.len(), jobs.len(), "an id was given twice");
    for job in &jobs {
        assert!(job.flags.is_ending(), "done, and one is live");
        assert!(job.flags.ran.load(Ordering::SeqCst) <= 1);
    }
    for (top, began, id) in tree.listed.into_inner().unwrap() {
        let job = by_id
            .get(&id)
            .expect("nobody is listed who was not admitted");
        assert!(job.at.is_below(&top), "listed by a wait elsewhere");
        let gone = job.flags.gone.load(Ordering::SeqCst);
        assert!(
            gone == 0 || gone > began,
            "listed by a wait that began after its end"
        );
    }
    let failures = root.failures();
    assert_eq!(failures.len(), tree.failures.into_inner());
    assert!(
        failures
            .iter()
            .all(|failure| by_id.contains_key(&failure.id))
    );
}

fn from_env(key: &str) -> Option<u64> {
    let text = std::env::var(key).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{key} is a number, and not '{text}'")),
    )
}

#[test]
fn a_tree_keeps_its_promises_whatever_several_threads_do_to_it() {
    let seed = from_env("QUITTER_STRESS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let ops = from_env("QUITTER_STRESS_OPS").unwrap_or(20_000);
    let ops = usize::try_from(ops).unwrap();
    // Shown when the test fails.
    eprintln!("QUITTER_STRESS_SEED={seed} QUITTER_STRESS_OPS={ops}");
    let mut seeds = Rng::with_seed(seed);
    for _ in 0..ops.div_ceil(OPS_OF_A_TREE) {
        use_tree(seeds.u64(..), OPS_OF_A_TREE);
    }
}

/// Quits the root while other threads still work, again and again.
#[test]
fn a_tree_keeps_its_promises_when_it_is_quit_amid_the_work() {
    let seed = from_env("QUITTER_STRESS_SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("QUITTER_STRESS_SEED={seed}");
    let mut seeds = Rng::with_seed(seed);
    for _ in 0..50 {
        let tree = Tree::new();
        let seed = seeds.u64(..);
        let quit_after = seeds.usize(..300);
        thread::scope(|scope| {
            let tree = &tree;
            for at in 0..THREADS {
                let mut user = User {
                    tree,
                    rng: Rng::with_seed(seed ^ (at as u64) << 56),
                    guards: Vec::new(),
                    routines: Vec::new(),
                };
                scope.spawn(move || {
                    for step in 0..300 {
                        if at == 0 && step == quit_after {
                            tree.root.quitter.send_quit();
                            tree.root.place.told.store(true, Ordering::SeqCst);
                            user.check_below(&tree.root.place);
                        }
                        user.step();
                    }
                    user.finish();
                });
            }
        });
        check_end(tree);
    }
}
