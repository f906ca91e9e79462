//! Everything that lives in a tree at one moment, as data.

#[cfg(feature = "color")]
mod color;
mod graph;
mod rows;
mod taken;
mod text;

pub(crate) use taken::Taken;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::report::cause::QuitCause;
use crate::report::failure::RoutineFailure;
use crate::report::path::{Paths, QuitterPath};
use crate::report::timeouts::StuckRoutine;
#[cfg(feature = "stacks")]
use crate::stacks::{Stacks, Why};
use crate::tree::{Found, Node, Quit};

/// Everything that lives at a quitter and below it. Returned by
/// [`Quitter::snapshot`](crate::Quitter::snapshot).
///
/// It lists the quitter itself, and every quitter below it that has, in itself or further below, a live
/// routine, a thread that waits, or a quit that it was told. Idle quitters are left out. So is a quitter
/// that was told to quit when it had only one handle, and had never had a routine or a child.
///
/// **Guarantees.** Taking a snapshot stops no routine: it copies the lists of one quitter at a time, and
/// the others go on. So it does not show one instant of the whole tree. A routine that is live both before
/// and after the call is listed, exactly once. A routine that starts or ends during the call may be listed
/// or not. One that starts its successor and ends may be missing together with the successor. The state,
/// status and location of a routine were true at one moment during the call, or when the routine ended.
/// What a routine [stands on](StuckRoutine::stands) is only listed if the routine has not ended by then. A
/// quitter below one that quits is listed as quitting.
///
/// The [`Display`](std::fmt::Display) form is a tree for people, of bounded length and without colours.
/// Routines of one quitter that differ only in their times, or in the objects of the call that they are
/// blocked in, share a line, such as `worker ×997`. So does a chain of quitters with nothing else in them,
/// such as `net/http/connections`. If there are more than a hundred lines, each quitter shows its first
/// ten, and the others are counted. Names, paths and statuses are escaped, so that they cannot forge a
/// line or control the terminal, and long ones are shortened. The fields hold the text unchanged.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// let root = quitter::Quitter::root("main");
/// let db = root.child("db").unwrap();
/// let idle = root.child("idle").unwrap();
/// let flusher = db.guard("flusher").unwrap();
/// flusher.set_status("flushing 3/10");
///
/// let snapshot = root.snapshot();
/// assert_eq!(snapshot.quitters.len(), 2); // "idle" has nothing in it.
/// assert_eq!(snapshot.quitters[1].path, "main/db");
/// assert_eq!(snapshot.quitters[1].routines[0].name, "flusher");
///
/// // main
/// // └─ db
/// //    └─ flusher  running 0.0 s, spawned at src/main.rs:4, last seen at src/main.rs:5,
/// //                status "flushing 3/10"
/// println!("{snapshot}");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// The quitters: first the one that the snapshot was taken of, and each before those below it. Quitters
    /// with the same parent are in the order of their ids.
    pub quitters: Vec<LiveQuitter>,
    /// The failures of the whole tree so far, as [`Quitter::failures`](crate::Quitter::failures) lists
    /// them.
    pub failures: Vec<RoutineFailure>,
    /// The number of further failures.
    pub unlisted_failures: u64,
    /// Why routines have no stacks, each reason with the number of routines.
    #[cfg(feature = "stacks")]
    pub(super) stackless: Vec<(Why, usize)>,
}

/// A quitter in a [`Snapshot`].
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::QuitCause;
///
/// let root = quitter::Quitter::root("main");
/// let db = root.child("db").unwrap();
/// let _flusher = db.guard("flusher").unwrap();
/// db.send_quit();
///
/// let snapshot = root.snapshot();
/// let [main, db] = &snapshot.quitters[..] else { panic!() };
/// assert!(main.quit.is_none());
/// assert_eq!((db.name.as_str(), db.parent), ("db", Some(0)));
/// let quit = db.quit.as_ref().unwrap();
/// assert!(matches!(*quit.cause, QuitCause::SendQuit { .. }));
/// assert_eq!(quit.time_left, None); // No timeout was given.
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LiveQuitter {
    /// The quitter's number, unique in this process. Quitters may share a name and a path.
    pub id: u64,
    /// The quitter's name.
    pub name: String,
    /// The quitter's path, such as `main/childQuitter`.
    pub path: QuitterPath,
    /// The index of the quitter above this one in [`Snapshot::quitters`]; `None` for the first one.
    pub parent: Option<usize>,
    /// The quitter's quit, if it quits.
    pub quit: Option<QuitState>,
    /// The number of threads and futures that wait at this quitter, for its quit or for routines. Those of
    /// its own routines count, too: one that sleeps waits for the quit. The exit of the main quitter does
    /// not count. The text shows the number if the quitter has no routine itself.
    pub waiting: usize,
    /// The quitter's live routines, in the order of their ids.
    pub routines: Vec<StuckRoutine>,
}

/// The quit of a quitter in a [`Snapshot`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QuitState {
    /// Why the quitter quits. If it quits because the one above it does, both share the cause.
    pub cause: Arc<QuitCause>,
    /// Whether the quitter was not told to quit itself, but quits because the one above it in the snapshot
    /// does.
    pub inherited: bool,
    /// How long ago the quit began.
    pub told_for: Duration,
    /// How much time was left until the [`deadline`](crate::Quitter::deadline): zero after it, and `None`
    /// if there is none.
    pub time_left: Option<Duration>,
}

impl Snapshot {
    /// Makes a snapshot of what was found at `node` and below it.
    fn of(node: &Arc<Node>, found: &[Found]) -> Self {
        let mut moment = Moment {
            now: Instant::now(),
            quits: Vec::with_capacity(found.len()),
            paths: Paths::default(),
        };
        let quitters = found.iter().enumerate();
        let quitters = quitters.map(|(at, found)| moment.quitter(at, found));
        let quitters = quitters.collect();
        let failures = node.failures();
        Self {
            quitters,
            failures: failures.listed,
            unlisted_failures: failures.unlisted,
            #[cfg(feature = "stacks")]
            stackless: Vec::new(),
        }
    }

    #[cfg(feature = "stacks")]
    fn add_stacks(&mut self, mut stacks: Stacks) {
        for routine in self.quitters.iter_mut().flat_map(|at| &mut at.routines) {
            routine.add_stacks(&mut stacks);
        }
        self.stackless = stacks.missing().to_vec();
    }

    /// Iterates over the live routines, without their quitters.
    pub fn routines(&self) -> impl Iterator<Item = &StuckRoutine> {
        self.quitters.iter().flat_map(|at| &at.routines)
    }
}

/// Makes the quitters of a snapshot, from the first one down.
struct Moment {
    now: Instant,
    quits: Vec<Option<FoundQuit>>,
    paths: Paths,
}

/// Why a quitter quits, found from the top down. To look upwards from each quitter would take time quadratic
/// in the depth, and might find a quit at a quitter that is already listed as running.
#[derive(Clone)]
struct FoundQuit {
    cause: Arc<QuitCause>,
    inherited: bool,
    at: Instant,
    deadline: Option<Instant>,
}

impl FoundQuit {
    /// The quit of a quitter that was told to quit itself.
    fn of(quit: &Quit, deadline: Option<Instant>) -> Self {
        Self {
            cause: Arc::new(quit.cause.clone()),
            inherited: false,
            at: quit.at,
            deadline,
        }
    }
}

impl Moment {
    fn quitter(&mut self, at: usize, found: &Found) -> LiveQuitter {
        let node = &found.node;
        let parent = (at > 0).then_some(found.above);
        let quit = match parent {
            Some(parent) => self.quit_below(self.quits[parent].as_ref(), node),
            None => node
                .quit_info()
                .map(|quit| FoundQuit::of(quit, node.deadline())),
        };
        let state = quit.as_ref().map(|quit| self.state(quit));
        self.quits.push(quit);
        let routines = found.routines.iter();
        LiveQuitter {
            id: node.id(),
            name: node.name().to_owned(),
            path: self.paths.of(node.lineage()),
            parent,
            quit: state,
            waiting: found.waiting,
            routines: routines
                .map(|record| StuckRoutine::new(record, None))
                .collect(),
        }
    }

    fn quit_below(&self, above: Option<&FoundQuit>, node: &Node) -> Option<FoundQuit> {
        let own = node.own_quit().map(|quit| FoundQuit::of(quit, None));
        let inherited = above.map(|above| FoundQuit {
            inherited: true,
            ..above.clone()
        });
        let quit = own.or(inherited)?;
        let deadlines = [above.and_then(|above| above.deadline), node.own_deadline()];
        Some(FoundQuit {
            deadline: deadlines.into_iter().flatten().min(),
            ..quit
        })
    }

    fn state(&self, quit: &FoundQuit) -> QuitState {
        let left = |deadline: Instant| deadline.saturating_duration_since(self.now);
        QuitState {
            cause: Arc::clone(&quit.cause),
            inherited: quit.inherited,
            told_for: self.now.saturating_duration_since(quit.at),
            time_left: quit.deadline.map(left),
        }
    }
}
