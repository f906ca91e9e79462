//! What is to be found at a node: live routines, waiting threads, quits; and all of the tree's
//! locking. Walks go over rosters, and only what has one is walked over.
//!
//! A roster has one lock. These invariants hold whenever the lock is free:
//!
//! 1. **An observer at a roster is told of every routine that starts there**, under the same lock,
//!    and is at every roster that is listed there (rule 4; see [`Roster::look`]).
//! 2. **Neither a walk down nor a way up holds two rosters' locks.** An observer's own lock is the
//!    last to be taken, the root's `telling` the first.
//! 3. **Nothing is woken, dropped or called under a lock** which could take one itself: every step
//!    hands out what is to be woken or dropped and does so after unlocking. (What a step asks its
//!    node takes no lock.)

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use once_cell::race::OnceBox;

use super::arms::Arms;
use crate::error::{Never, Quitting};
use crate::report::cause::QuitCause;
use crate::report::failure::FailureLog;
use crate::routine::record::{Record, Slot};
use crate::sync::{Condvar, Mutex, MutexGuard, Ordering, lock};

/// Who is live at a node, and who waits there.
pub(crate) struct Roster {
    /// The node's.
    id: u64,
    name: Cow<'static, str>,
    parent: Option<Arc<Roster>>,
    root: Arc<Root>,
    /// Its place in the parent's list. Only used under the parent's lock.
    slot: Slot,
    state: Mutex<State>,
    /// Told to quit. Waited on with `state`.
    told: Condvar,
    /// A routine has left the list, or the time to wait for that has changed. Waited on with
    /// `state`.
    left: Condvar,
    quit_chan: OnceLock<Receiver<Never>>,
    arms: Arms,
}

#[derive(Default)]
struct State {
    children: Vec<Arc<Roster>>,
    routines: Vec<Arc<Record>>,
    /// See invariant 1. Those that take a look right now.
    observers: Vec<Arc<Observer>>,
    /// What the node itself was told.
    quit: Option<Arc<Quit>>,
    /// How often a quit has come by: a waiter that sees another number looks at its deadline anew.
    visits: u64,
    /// Keeps the quit channel open. Only there when somebody asked for the channel.
    open: Option<Sender<Never>>,
    /// How many threads wait on `told`.
    sleepers: usize,
    /// What a sleeper that leaves is to do: see [`Roster::wake_all`].
    errand: Vec<Wake>,
    /// How many threads wait on `left` until no routine is live here.
    waiters: usize,
    /// How many threads wait on `left` for one routine of several.
    watchers: usize,
}

/// Whom a quit wakes: those who wait at a roster.
struct Wake {
    roster: Arc<Roster>,
    has_sleepers: bool,
    has_waiters: bool,
}

impl Wake {
    fn perform(self) {
        // To notify nobody is a system call all the same.
        if self.has_sleepers {
            self.roster.told.notify_all();
        }
        if self.has_waiters {
            self.roster.left.notify_all();
        }
    }
}

/// What a quitter was told.
#[derive(Clone, Debug)]
pub(crate) struct Quit {
    /// Why the node quits: that of the first quit that was told here or above.
    pub(crate) cause: QuitCause,
    /// When that quit event was.
    pub(crate) at: Instant,
    /// The earliest that was told here; `None`: no limit.
    pub(crate) deadline: Option<Instant>,
}

/// What a tree has once.
pub(super) struct Root {
    /// How long the whole tree has from the moment on that its root is told to quit.
    pub(super) quit_timeout: Option<Duration>,
    /// Held while a node is told, so that of two quits one is the first for all below.
    telling: Mutex<()>,
    gate: Gate,
    failures: std::sync::Mutex<FailureLog>,
}

/// Keeps threads that end while somebody waits for the last of them from ending at once: to tear
/// down a thread takes as long as to wake ten, and they would do it at the same time. Their
/// thread-local values live on with them, so it is not for long.
#[derive(Default)]
struct Gate {
    waits: Mutex<usize>,
    opened: Condvar,
}

impl Gate {
    /// Keeps the gate closed until what this returns is dropped.
    fn close(&self) -> Closed<'_> {
        *lock(&self.waits) += 1;
        Closed(self)
    }

    /// Blocks as long as somebody waits, but for no more than a moment: several times as long as it
    /// takes so many others to wake up and leave.
    fn pass(&self, others: usize) {
        const FOR_EACH: Duration = Duration::from_micros(100);
        const AT_MOST: Duration = Duration::from_millis(100);
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        let until = Instant::now() + FOR_EACH.saturating_mul(others).min(AT_MOST);
        let mut waits = lock(&self.waits);
        if *waits == 0 {
            return;
        }
        while *waits > 0 && !is_past(Some(until)) {
            waits = wait(&self.opened, waits, Some(until));
        }
        let is_open = *waits == 0;
        drop(waits);
        if is_open {
            // Whoever comes through first lets the others through, and not the one who waited.
            self.opened.notify_all();
        }
    }
}

/// A wait, for which the gate is closed.
struct Closed<'a>(&'a Gate);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        let mut waits = lock(&self.0.waits);
        *waits -= 1;
        let last = *waits == 0;
        drop(waits);
        if last {
            self.0.opened.notify_one();
        }
    }
}

impl Root {
    /// Returns when no node is half told, and lets none be told as long as the answer is held.
    pub(super) fn settled(&self) -> MutexGuard<'_, ()> {
        lock(&self.telling)
    }

    pub(super) fn failures(&self) -> std::sync::MutexGuard<'_, FailureLog> {
        let failures = self.failures.lock();
        failures.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The live routines of one node.
pub(crate) struct LiveAt {
    pub(crate) roster: Arc<Roster>,
    pub(crate) routines: Vec<Arc<Record>>,
}

impl LiveAt {
    /// Waits until the routine of `record`, one of these, has left.
    pub(crate) fn wait_for(&self, record: &Arc<Record>, limits: Limits) {
        let lists_it = |part: &Arc<Roster>| {
            let state = part.lock();
            state.routines.iter().any(|it| Arc::ptr_eq(it, record))
        };
        if let Some(part) = self.roster.parts().find(lists_it) {
            let _ = part.wait_for(record, limits);
        }
    }
}

/// Sees what starts behind the back of a walk over a subtree.
#[derive(Default)]
struct Observer {
    /// Never held while anything else is locked.
    started: std::sync::Mutex<Vec<LiveAt>>,
}

/// How a wait is limited.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// When the wait began.
    pub(crate) from: Instant,
    /// When the wait ends at the latest; `None`: never. The deadline of a quit may end it earlier.
    pub(crate) until: Option<Instant>,
    /// The routine that is not waited for: the waiting one itself.
    pub(crate) except: Option<u64>,
    /// The wait ends when the node is told to quit.
    pub(crate) till_quit: bool,
    /// Only `until` counts, and no deadline.
    pub(crate) beyond_deadlines: bool,
}

impl Default for Limits {
    /// A wait that begins now and is not limited by itself.
    fn default() -> Self {
        Self {
            from: Instant::now(),
            until: None,
            except: None,
            till_quit: false,
            beyond_deadlines: false,
        }
    }
}

impl Limits {
    /// For at most `timeout` from now.
    pub(crate) fn within(timeout: Duration) -> Self {
        let limits = Self::default();
        Self {
            until: limits.from.checked_add(timeout),
            ..limits
        }
    }
}

/// Whom a thread waits for at a roster.
#[derive(Clone, Copy)]
enum Whom<'a> {
    All,
    One(&'a Record),
}

impl Whom<'_> {
    fn is_gone(self, state: &State, except: Option<u64>) -> bool {
        match self {
            Self::All => state.live(except).next().is_none(),
            Self::One(record) => record.is_finished(),
        }
    }

    fn count(self, state: &mut State) -> &mut usize {
        match self {
            Self::All => &mut state.waiters,
            Self::One(_) => &mut state.watchers,
        }
    }
}

/// The earlier of two moments, of which `None` is never.
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

pub(super) fn is_past(moment: Option<Instant>) -> bool {
    moment.is_some_and(|moment| moment <= Instant::now())
}

/// Waits for a notification or until `until`, whichever is first.
fn wait<'a, T>(
    condvar: &Condvar,
    state: MutexGuard<'a, T>,
    until: Option<Instant>,
) -> MutexGuard<'a, T> {
    match until {
        None => condvar
            .wait(state)
            .unwrap_or_else(std::sync::PoisonError::into_inner),
        Some(until) => {
            let left = until.saturating_duration_since(Instant::now());
            condvar
                .wait_timeout(state, left)
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .0
        }
    }
}

impl State {
    fn live(&self, except: Option<u64>) -> impl Iterator<Item = &Arc<Record>> {
        let records = self.routines.iter();
        records.filter(move |record| Some(record.id) != except)
    }

    fn of_arms(&self) -> impl Iterator<Item = &Arc<Roster>> {
        self.children.iter().filter(|child| child.is_arm())
    }

    fn stop_observing(&mut self, observer: &Arc<Observer>) {
        self.observers.retain(|other| !Arc::ptr_eq(other, observer));
    }
}

/// Adds to a list, where each keeps its own place.
fn enter<T>(list: &mut Vec<Arc<T>>, item: Arc<T>, slot: fn(&T) -> &Slot) {
    slot(&item).store(list.len(), Ordering::Relaxed);
    list.push(item);
}

/// Takes from a list: the last one takes the free place. A list that most have left shrinks: what
/// is finished leaves nothing, and those that left since the last time pay for it.
fn leave<T>(list: &mut Vec<Arc<T>>, item: &T, slot: fn(&T) -> &Slot) -> Arc<T> {
    const KEPT: usize = 64;
    let at = slot(item).load(Ordering::Relaxed);
    let left = list.swap_remove(at);
    if let Some(moved) = list.get(at) {
        slot(moved).store(at, Ordering::Relaxed);
    }
    if list.capacity() > KEPT && list.len() < list.capacity() / 4 {
        list.shrink_to(list.len() * 2);
    }
    left
}

impl Observer {
    fn see(&self, roster: &Arc<Roster>, record: &Arc<Record>) {
        self.lock().push(LiveAt {
            roster: Arc::clone(roster),
            routines: vec![Arc::clone(record)],
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<LiveAt>> {
        let started = self.started.lock();
        started.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Roster {
    fn new(
        id: u64,
        name: Cow<'static, str>,
        parent: Option<Arc<Roster>>,
        root: Arc<Root>,
        state: State,
    ) -> Self {
        Self {
            id,
            name,
            parent,
            root,
            slot: Slot::new(0),
            state: Mutex::new(state),
            told: Condvar::new(),
            left: Condvar::new(),
            quit_chan: OnceLock::new(),
            arms: Arms::default(),
        }
    }

    pub(super) fn of_root(
        id: u64,
        name: Cow<'static, str>,
        quit_timeout: Option<Duration>,
    ) -> Self {
        let root = Root {
            quit_timeout,
            telling: Mutex::new(()),
            gate: Gate::default(),
            failures: std::sync::Mutex::default(),
        };
        Self::new(id, name, None, Arc::new(root), State::default())
    }

    /// Whether it is that of an [arm](super::arms): what is here belongs to the parent's.
    fn is_arm(&self) -> bool {
        self.id & super::ARM != 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// How many observers and children are here.
    #[cfg(all(test, loom))]
    pub(super) fn left_behind(&self) -> usize {
        let state = self.lock();
        state.observers.len() + state.children.len()
    }

    /// The roster itself, that of its node's parent, and so on up to the root's.
    fn upwards(&self) -> impl Iterator<Item = &Roster> {
        std::iter::successors(Some(self), |roster| roster.parent.as_deref())
    }

    /// The number and the name of the node, of its parent, and so on up to the root.
    pub(crate) fn lineage(&self) -> impl Iterator<Item = (u64, &Cow<'static, str>)> {
        let known = self.upwards().filter(|roster| !roster.is_arm());
        known.map(|roster| (roster.id, &roster.name))
    }

    #[inline]
    pub(super) fn arms(&self) -> &Arms {
        &self.arms
    }

    /// What the tree has once.
    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// This roster and those of its arms.
    fn parts(self: &Arc<Self>) -> impl Iterator<Item = Arc<Roster>> {
        let arms: Vec<_> = self.lock().of_arms().cloned().collect();
        std::iter::once(Arc::clone(self)).chain(arms)
    }

    /// The number of live routines here, with those at arms.
    pub(super) fn live_here(self: &Arc<Self>) -> usize {
        self.parts().map(|part| part.lock().routines.len()).sum()
    }

    /// The roster of a child, made and listed unless it is there.
    pub(super) fn list<'a>(
        self: &Arc<Self>,
        child: &'a OnceBox<Arc<Roster>>,
        id: u64,
        name: impl Fn() -> Cow<'static, str>,
    ) -> &'a Arc<Roster> {
        let mut state = self.lock();
        child.get_or_init(|| {
            let observed = State {
                observers: state.observers.clone(),
                ..State::default()
            };
            let root = Arc::clone(&self.root);
            let roster = Self::new(id, name(), Some(Arc::clone(self)), root, observed);
            let roster = Arc::new(roster);
            enter(&mut state.children, Arc::clone(&roster), |child| {
                &child.slot
            });
            Box::new(roster)
        })
    }

    /// Takes a child from the list.
    pub(super) fn forget(&self, child: &Roster) {
        let mut state = self.lock();
        let child = leave(&mut state.children, child, |child| &child.slot);
        drop(state);
        drop(child);
    }

    pub(super) fn check_in(
        self: &Arc<Self>,
        record: &Arc<Record>,
        is_quitting: impl Fn() -> bool,
    ) -> Result<(), Quitting> {
        let mut state = self.lock();
        if is_quitting() {
            return Err(Quitting);
        }
        for observer in &state.observers {
            observer.see(self, record);
        }
        enter(&mut state.routines, Arc::clone(record), |record| {
            &record.slot
        });
        Ok(())
    }

    pub(super) fn check_out(&self, record: &Record) {
        let mut state = self.lock();
        let listed = leave(&mut state.routines, record, |record| &record.slot);
        record.finish();
        // The one that may remain is a routine that itself waits for the others.
        let wake = state.watchers > 0 || (state.waiters > 0 && state.routines.len() <= 1);
        drop(state);
        drop(listed);
        if wake {
            self.left.notify_all();
        }
    }

    /// Called by a thread whose routine has left, while its node quits, and is about to end: one of a
    /// crowd lingers until the wait for the last one is over. (In loom's eyes one is a crowd.)
    pub(crate) fn linger(self: &Arc<Self>) {
        const CROWD: usize = if cfg!(loom) { 1 } else { 32 };
        let others = self.live_here();
        if others >= CROWD {
            self.root.gate.pass(others);
        }
    }

    /// Closes the gate for good: threads that linger while the process ends are not let go first.
    pub(super) fn close_gate(&self) {
        std::mem::forget(self.root.gate.close());
    }

    /// What the first node upwards was told that was told something.
    pub(super) fn nearest_quit(&self) -> Option<Arc<Quit>> {
        self.upwards().find_map(|roster| roster.lock().quit.clone())
    }

    /// Keeps what the node was told; of a second quit only its deadline, if that is earlier.
    pub(super) fn keep_quit(&self, quit: Quit) {
        let mut state = self.lock();
        match &mut state.quit {
            Some(told) => {
                let deadline = earlier(told.deadline, quit.deadline);
                Arc::make_mut(told).deadline = deadline;
            }
            told @ None => *told = Some(Arc::new(quit)),
        }
    }

    /// Wakes whoever waits for a quit, or for routines, in the subtree.
    ///
    /// To wake a thread takes microseconds. Where there are many, the caller only wakes one, which
    /// then wakes all the others, so that a quit does not keep its caller. Whoever selects over a
    /// quit channel is woken by the caller: the channel is closed when the quit returns.
    pub(super) fn wake_all(self: &Arc<Self>) {
        /// Loom is to see the errand, too.
        const FEW: usize = if cfg!(loom) { 0 } else { 16 };
        let mut wakes = Vec::new();
        let mut channels = Vec::new();
        let mut first_sleeper = None;
        let mut waiting = 0;
        let mut todo = vec![Arc::clone(self)];
        while let Some(roster) = todo.pop() {
            let mut state = roster.lock();
            todo.extend_from_slice(&state.children);
            state.visits += 1;
            channels.extend(state.open.take());
            let (sleepers, waiters) = (state.sleepers, state.waiters + state.watchers);
            drop(state);
            if sleepers > 0 && first_sleeper.is_none() {
                first_sleeper = Some(Arc::clone(&roster));
            }
            if sleepers + waiters > 0 {
                waiting += sleepers + waiters;
                wakes.push(Wake {
                    roster,
                    has_sleepers: sleepers > 0,
                    has_waiters: waiters > 0,
                });
            }
        }
        if let Some(roster) = first_sleeper.filter(|_| waiting > FEW) {
            let mut state = roster.lock();
            // It is there as long as it is counted, and then it sees the errand.
            if state.sleepers > 0 {
                state.errand.append(&mut wakes);
                drop(state);
                roster.told.notify_one();
            }
        }
        wakes.into_iter().for_each(Wake::perform);
        drop(channels);
    }

    /// Closes the quit channel of a node that is gone: somebody may hold the roster.
    pub(super) fn close_chan(&self) {
        let open = self.lock().open.take();
        drop(open);
    }

    pub(super) fn quit_chan(&self, is_quitting: impl Fn() -> bool) -> &Receiver<Never> {
        if let Some(receiver) = self.quit_chan.get() {
            return receiver;
        }
        let (sender, receiver) = bounded(0);
        let mut sender = Some(sender);
        let mut state = self.lock();
        if self.quit_chan.set(receiver).is_ok() && !is_quitting() {
            state.open = sender.take();
        }
        drop(state);
        drop(sender);
        self.quit_chan
            .get()
            .expect("set above, by this thread or another")
    }

    pub(super) fn wait_quit(&self, is_quitting: impl Fn() -> bool, until: Option<Instant>) -> bool {
        let mut state = self.lock();
        state.sleepers += 1;
        while !is_quitting() && !is_past(until) {
            state = wait(&self.told, state, until);
        }
        state.sleepers -= 1;
        let errand = std::mem::take(&mut state.errand);
        drop(state);
        errand.into_iter().for_each(Wake::perform);
        is_quitting()
    }

    pub(super) fn wait_done(self: &Arc<Self>, limits: Limits) -> Result<(), Vec<LiveAt>> {
        // Who knows of a quit may wait before it counts for those below.
        drop(self.root.settled());
        // Threads linger only where a quit gives the wait an end that can be waited for.
        let _closed = self.is_told().then(|| self.root.gate.close());
        loop {
            self.wait_each(limits);
            let is_over = is_past(self.over_at(limits));
            match self.look(limits.except) {
                // A routine was started behind the walk's back.
                Err(_) if !is_over => {}
                seen => return seen,
            }
        }
    }

    /// The earliest deadline that was told here or above: each stays where it was told.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.upwards()
            .map(Roster::deadline_here)
            .fold(None, earlier)
    }

    fn deadline_here(&self) -> Option<Instant> {
        self.lock().quit.as_ref().and_then(|quit| quit.deadline)
    }

    fn is_told(&self) -> bool {
        self.upwards().any(|roster| roster.lock().quit.is_some())
    }

    /// When a wait here is over, as things stand; `None`: never.
    ///
    /// The earliest deadline counts, of a quit told here or above. But one that was over before the
    /// wait began was the timeout of another wait: who waits again means to. Not so the deadline
    /// of the main quitter, which is the end of the program.
    fn over_at(&self, limits: Limits) -> Option<Instant> {
        if limits.till_quit && self.is_told() {
            return Some(Instant::now());
        }
        if limits.beyond_deadlines {
            return limits.until;
        }
        let counting = |roster: &Roster| {
            let is_main = roster.parent.is_none() && roster.root.quit_timeout.is_some();
            roster
                .deadline_here()
                .filter(|deadline| is_main || *deadline > limits.from)
        };
        self.upwards().map(counting).fold(limits.until, earlier)
    }

    /// Waits at each roster of the subtree until no routine is live there, one after the other.
    /// Ends early when the wait is over.
    fn wait_each(self: &Arc<Self>, limits: Limits) {
        let mut todo = vec![Arc::clone(self)];
        while let Some(roster) = todo.pop() {
            match self.wait_at(&roster, limits, Whom::All) {
                Some(state) => todo.extend_from_slice(&state.children),
                None => return,
            }
        }
    }

    /// Waits until the routine of `record`, which is one of those here, has left the list.
    pub(crate) fn wait_for(
        self: &Arc<Self>,
        record: &Arc<Record>,
        limits: Limits,
    ) -> Result<(), LiveAt> {
        match self.wait_at(self, limits, Whom::One(record)) {
            Some(_) => Ok(()),
            None => Err(LiveAt {
                roster: Arc::clone(self),
                routines: vec![Arc::clone(record)],
            }),
        }
    }

    /// Waits for those at `roster`, which is in this one's subtree. Returns what is there when they
    /// are gone; `None`: they were not within the limits.
    fn wait_at<'a>(
        &self,
        roster: &'a Roster,
        limits: Limits,
        whom: Whom<'_>,
    ) -> Option<MutexGuard<'a, State>> {
        let mut state = roster.lock();
        while !whom.is_gone(&state, limits.except) {
            let visits = state.visits;
            drop(state);
            let until = self.over_at(limits);
            if is_past(until) {
                return None;
            }
            state = roster.lock();
            // A quit that came in between may have changed the answer above.
            if state.visits == visits && !whom.is_gone(&state, limits.except) {
                *whom.count(&mut state) += 1;
                state = wait(&roster.left, state, until);
                *whom.count(&mut state) -= 1;
            }
        }
        Some(state)
    }

    /// Whether no routine of the subtree is live: one honest look, exact though it takes one lock
    /// at a time.
    ///
    /// A routine may fork its successor at a node that the walk has passed, and end before the walk
    /// reaches its own: a single walk can find nothing though something was live all the time. So
    /// the walk leaves an observer at each roster that still takes work, and an empty walk is
    /// believed if the observer has seen nothing start. Why that is enough: consider the moment at
    /// which the walk ends. Whatever was live then either was listed when the walk passed its roster,
    /// or started there, or at one listed there, after that (invariant 1).
    ///
    /// Else those are listed that were found, or those that the observer saw: each was live during
    /// this look. However much comes and goes, it is two walks.
    pub(super) fn look(self: &Arc<Self>, except: Option<u64>) -> Result<(), Vec<LiveAt>> {
        let observer = Arc::new(Observer::default());
        let live = self.survey(except, &observer);
        let started = self.take_back(&observer);
        match live.is_empty() && started.is_empty() {
            true => Ok(()),
            false => Err(if live.is_empty() { started } else { live }),
        }
    }

    /// Walks over the subtree, and leaves the observer at each roster whose node does not quit.
    fn survey(self: &Arc<Self>, except: Option<u64>, observer: &Arc<Observer>) -> Vec<LiveAt> {
        let mut live = Vec::new();
        // With each, whether it was told by the way down to it.
        let mut todo = vec![(Arc::clone(self), self.is_told())];
        while let Some((roster, mut is_told)) = todo.pop() {
            let siblings = todo.len();
            let mut routines = Vec::new();
            // With what is at its arms.
            let mut parts = vec![Arc::clone(&roster)];
            while let Some(part) = parts.pop() {
                let mut state = part.lock();
                is_told |= state.quit.is_some();
                // One that quits takes no work: what is not live there now will never be.
                if !is_told {
                    state.observers.push(Arc::clone(observer));
                }
                routines.extend(state.live(except).cloned());
                parts.extend(state.of_arms().cloned());
                let children = state.children.iter().filter(|child| !child.is_arm());
                todo.extend(children.map(|child| (Arc::clone(child), is_told)));
            }
            if !routines.is_empty() {
                routines.sort_unstable_by_key(|record| record.id);
                live.push(LiveAt { roster, routines });
            }
            // So that the walk, read backwards, lists children before parents and siblings in the
            // order of their making.
            todo[siblings..].sort_unstable_by_key(|(child, _)| child.id);
        }
        live.reverse();
        live
    }

    /// Takes the observer from the subtree, and returns what it saw.
    fn take_back(self: &Arc<Self>, observer: &Arc<Observer>) -> Vec<LiveAt> {
        // This handle, and those at rosters: none there, and none was left, if everything quits.
        if Arc::strong_count(observer) > 1 {
            let mut todo = vec![Arc::clone(self)];
            while let Some(roster) = todo.pop() {
                let mut state = roster.lock();
                state.stop_observing(observer);
                todo.extend_from_slice(&state.children);
            }
        }
        std::mem::take(&mut *observer.lock())
    }
}

impl Drop for Roster {
    /// As with nodes: nothing recurses.
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        while let Some(roster) = parent {
            parent = Arc::into_inner(roster).and_then(|mut roster| roster.parent.take());
        }
    }
}
