//! The nodes of the tree, and all of its locking.
//!
//! A node has one lock. These invariants hold whenever the lock is free; the numbers of the rules
//! are those of `ARCHITECTURE.md`.
//!
//! 1. **The flag is set under the lock, and never cleared.** Whoever adds a routine or a child does
//!    so under the same lock and looks at the flag first. So a routine or child is either refused,
//!    or in the list that the quit walks over (rules 1 and 2).
//! 2. **A child is in its parent's list from its making until its last handle is gone.** Handles
//!    are quitters, live routines and children. A handle is only ever made from another one, so
//!    the last one is final, and nothing but the list and passing walks know the node then
//!    (rule 7).
//! 3. **An observer at a node is told of every routine that starts there**, under the same lock, and
//!    is at every child that is made there (rule 4; see [`Node::look`]).
//! 4. **A quit walks down, a handle's end walks up; neither holds two nodes' locks.** The top of a
//!    quit is flagged before anything below it. An observer's own lock is the last to be taken.
//! 5. **Nothing is woken, dropped or called under a lock** which could take one itself: every step
//!    hands out what is to be woken or dropped and does so after unlocking.
//! 6. **Nothing recurses** (rule 8), not even the drop of a chain of nodes.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use slab::Slab;

use crate::cause::QuitCause;
use crate::error::{Never, Quitting};
use crate::failure::{Failures, RoutineFailure};
use crate::record::{Record, Slot, next_id};
use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, lock};

#[cfg(all(test, loom))]
mod models;

/// A node of the tree. Reached through a [`NodeRef`].
pub(crate) struct Node {
    id: u64,
    name: Cow<'static, str>,
    parent: Option<Arc<Node>>,
    /// The node's place in its parent's list. Only used under the parent's lock.
    slot: Slot,
    quitting: AtomicBool,
    handles: AtomicUsize,
    state: Mutex<State>,
    /// Told to quit. Waited on with `state`.
    told: Condvar,
    /// A routine has left the list, or the time to wait for that has changed. Waited on with
    /// `state`.
    left: Condvar,
    quit_chan: OnceLock<Receiver<Never>>,
    /// What only the root has.
    root: Option<Root>,
}

#[derive(Default)]
struct State {
    children: Slab<Arc<Node>>,
    routines: Slab<Arc<Record>>,
    /// See invariant 3. Those that take a look right now.
    observers: Vec<Arc<Observer>>,
    quit: Option<Arc<Quit>>,
    /// How often a quit has come by: a waiter that sees another number looks at its deadline anew.
    visits: u64,
    /// Keeps the quit channel open. Only there when somebody asked for the channel.
    open: Option<Sender<Never>>,
    /// How many threads wait on `told`.
    sleepers: usize,
    /// How many threads wait on `left` until no routine is live here.
    waiters: usize,
    /// How many threads wait on `left` for one routine of several.
    watchers: usize,
}

/// What a quitter was told.
#[derive(Clone, Debug)]
pub(crate) struct Quit {
    pub(crate) cause: QuitCause,
    /// When the quit event was.
    pub(crate) at: Instant,
    /// `None`: no limit.
    pub(crate) deadline: Option<Instant>,
}

struct Root {
    /// How long the whole tree has from the moment on that its root is told to quit.
    quit_timeout: Option<Duration>,
    failures: std::sync::Mutex<Failures>,
}

/// The live routines of one node.
pub(crate) struct LiveAt {
    pub(crate) node: Arc<Node>,
    pub(crate) routines: Vec<Arc<Record>>,
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

/// Whom a thread waits for at a node.
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
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

fn is_past(moment: Option<Instant>) -> bool {
    moment.is_some_and(|moment| moment <= Instant::now())
}

/// Waits for a notification or until `until`, whichever is first.
fn wait<'a>(
    condvar: &Condvar,
    state: MutexGuard<'a, State>,
    until: Option<Instant>,
) -> MutexGuard<'a, State> {
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
    /// Adds the children to a walk.
    fn walk_on(&self, todo: &mut Vec<Arc<Node>>) {
        todo.extend(self.children.iter().map(|(_, child)| Arc::clone(child)));
    }

    fn live(&self, except: Option<u64>) -> impl Iterator<Item = &Arc<Record>> {
        let records = self.routines.iter().map(|(_, record)| record);
        records.filter(move |record| Some(record.id) != except)
    }

    fn stop_observing(&mut self, observer: &Arc<Observer>) {
        self.observers.retain(|other| !Arc::ptr_eq(other, observer));
    }
}

/// Shrinks a list that most have left: what is finished leaves nothing. Each shrinking is paid for by
/// those that left since the last one.
fn compact_if_sparse<T>(list: &mut Slab<Arc<T>>, slot: impl Fn(&T) -> &Slot) {
    const KEPT: usize = 64;
    if list.capacity() > KEPT && list.len() < list.capacity() / 4 {
        list.compact(|item, _, to| {
            slot(item).store(to, Ordering::Relaxed);
            true
        });
        list.shrink_to_fit();
    }
}

impl Observer {
    fn see(&self, node: &Arc<Node>, record: &Arc<Record>) {
        self.lock().push(LiveAt {
            node: Arc::clone(node),
            routines: vec![Arc::clone(record)],
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<LiveAt>> {
        let started = self.started.lock();
        started.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Node {
    fn new(name: Cow<'static, str>, parent: Option<Arc<Node>>, root: Option<Root>) -> Self {
        Self {
            id: next_id(),
            name,
            parent,
            slot: Slot::new(0),
            quitting: AtomicBool::new(false),
            handles: AtomicUsize::new(1),
            state: Mutex::new(State::default()),
            told: Condvar::new(),
            left: Condvar::new(),
            quit_chan: OnceLock::new(),
            root,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The node itself, its parent, and so on up to the root.
    fn upwards(&self) -> impl Iterator<Item = &Node> {
        std::iter::successors(Some(self), |node| node.parent.as_deref())
    }

    /// The names from the root down, joined with slashes.
    pub(crate) fn path(&self) -> String {
        let mut names: Vec<&str> = self.upwards().map(Node::name).collect();
        names.reverse();
        names.join("/")
    }

    /// Whether this node was told to quit: one load, whatever the depth.
    #[inline]
    pub(crate) fn is_quitting(&self) -> bool {
        self.quitting.load(Ordering::Acquire)
    }

    pub(crate) fn quit_info(&self) -> Option<Arc<Quit>> {
        self.lock().quit.clone()
    }

    /// The earliest deadline of the quits that this node and those above it were told.
    ///
    /// A quit keeps its deadline where it started and walks past nodes that quit already, so the
    /// answer is collected upwards.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.upwards().map(Node::deadline_here).fold(None, earlier)
    }

    fn deadline_here(&self) -> Option<Instant> {
        self.lock().quit.as_ref().and_then(|quit| quit.deadline)
    }

    /// The number of live routines of this node alone.
    pub(crate) fn live_here(&self) -> usize {
        self.lock().routines.len()
    }

    fn root(&self) -> &Root {
        let root = self.upwards().find_map(|node| node.root.as_ref());
        root.expect("only a root has no parent")
    }

    pub(crate) fn record_failure(&self, failure: RoutineFailure) {
        let failures = &self.root().failures;
        failures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(failure);
    }

    /// The failures of the whole tree so far.
    pub(crate) fn failures(&self) -> Failures {
        let failures = &self.root().failures;
        failures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// Lists a routine, unless this node quits (rule 1, by invariant 1).
    pub(crate) fn check_in(self: &Arc<Self>, record: &Arc<Record>) -> Result<(), Quitting> {
        let mut state = self.lock();
        if self.is_quitting() {
            return Err(Quitting);
        }
        for observer in &state.observers {
            observer.see(self, record);
        }
        let slot = state.routines.insert(Arc::clone(record));
        record.slot.store(slot, Ordering::Relaxed);
        Ok(())
    }

    /// Takes a routine from the list, and wakes who waits for that.
    pub(crate) fn check_out(&self, record: &Record) {
        let mut state = self.lock();
        let listed = state.routines.remove(record.slot.load(Ordering::Relaxed));
        record.finish();
        // The one that may remain is a routine that itself waits for the others.
        let wake = state.watchers > 0 || (state.waiters > 0 && state.routines.len() <= 1);
        compact_if_sparse(&mut state.routines, |record| &record.slot);
        drop(state);
        drop(listed);
        if wake {
            self.left.notify_all();
        }
    }

    /// Tells this node and everything below it to quit (rule 2), and wakes who waits (rule 9).
    /// Returns whether this node was told now, and not before.
    ///
    /// The deadline is `timeout` from now, or the tree's quit timeout where this is the root and
    /// that is earlier. A node that quits already takes over an earlier deadline and keeps the
    /// cause.
    pub(crate) fn quit(self: &Arc<Self>, cause: QuitCause, timeout: Option<Duration>) -> bool {
        let at = Instant::now();
        let within =
            |timeout: Option<Duration>| timeout.and_then(|timeout| at.checked_add(timeout));
        let of_tree = self.root.as_ref().and_then(|root| root.quit_timeout);
        let quit = Arc::new(Quit {
            cause,
            at,
            deadline: earlier(within(timeout), within(of_tree)),
        });
        let mut first = false;
        let mut wake = Vec::new();
        let mut todo = vec![Arc::clone(self)];
        while let Some(node) = todo.pop() {
            let mut state = node.lock();
            state.walk_on(&mut todo);
            state.visits += 1;
            let is_top = Arc::ptr_eq(&node, self);
            match &mut state.quit {
                // The nodes below that share what this one was told keep it as it was.
                Some(told) if is_top => {
                    let narrowed = earlier(told.deadline, quit.deadline);
                    Arc::make_mut(told).deadline = narrowed;
                }
                Some(_) => {}
                told @ None => {
                    *told = Some(Arc::clone(&quit));
                    node.quitting.store(true, Ordering::Release);
                    first |= is_top;
                }
            }
            let open = state.open.take();
            if open.is_some() || state.sleepers + state.waiters + state.watchers > 0 {
                drop(state);
                wake.push((node, open));
            }
        }
        // Whoever is woken finds that the whole subtree quits.
        for (node, open) in wake {
            drop(open);
            node.told.notify_all();
            node.left.notify_all();
        }
        first
    }

    /// The channel that closes when this node quits; made when somebody asks for it.
    pub(crate) fn quit_chan(&self) -> &Receiver<Never> {
        if let Some(receiver) = self.quit_chan.get() {
            return receiver;
        }
        let (sender, receiver) = bounded(0);
        let mut sender = Some(sender);
        let mut state = self.lock();
        if self.quit_chan.set(receiver).is_ok() && !self.is_quitting() {
            state.open = sender.take();
        }
        drop(state);
        drop(sender);
        self.quit_chan
            .get()
            .expect("set above, by this thread or another")
    }

    /// Blocks until this node is told to quit or `until` has come, and returns whether it quits.
    pub(crate) fn wait_quit(&self, until: Option<Instant>) -> bool {
        if self.is_quitting() || is_past(until) {
            return self.is_quitting();
        }
        let mut state = self.lock();
        state.sleepers += 1;
        while !self.is_quitting() && !is_past(until) {
            state = wait(&self.told, state, until);
        }
        state.sleepers -= 1;
        self.is_quitting()
    }

    /// Waits until no routine of the subtree is live (rule 4), else lists those that are.
    ///
    /// The wait ends at `limits.until` or at the deadline of a quit, whichever is earlier, whenever
    /// that quit comes (rule 5).
    pub(crate) fn wait_done(self: &Arc<Self>, limits: Limits) -> Result<(), Vec<LiveAt>> {
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

    /// When a wait at this node is over, as things stand; `None`: never.
    ///
    /// The earliest deadline counts, of a quit told here or above. But one that was over before the
    /// wait began was the timeout of another wait: who waits again means to. Not so the deadline
    /// of the main quitter, which is the end of the program.
    fn over_at(&self, limits: Limits) -> Option<Instant> {
        if limits.till_quit && self.is_quitting() {
            return Some(Instant::now());
        }
        if limits.beyond_deadlines {
            return limits.until;
        }
        let counting = |node: &Node| {
            let is_main = node
                .root
                .as_ref()
                .is_some_and(|root| root.quit_timeout.is_some());
            node.deadline_here()
                .filter(|deadline| is_main || *deadline > limits.from)
        };
        self.upwards().map(counting).fold(limits.until, earlier)
    }

    /// Waits at each node of the subtree until no routine is live there, one node after the other.
    /// Ends early when the wait is over.
    fn wait_each(self: &Arc<Self>, limits: Limits) {
        let mut todo = vec![Arc::clone(self)];
        while let Some(node) = todo.pop() {
            match self.wait_at(&node, limits, Whom::All) {
                Some(state) => state.walk_on(&mut todo),
                None => return,
            }
        }
    }

    /// Waits until the routine of `record`, which is one of this node's, has left the list.
    pub(crate) fn wait_for(
        self: &Arc<Self>,
        record: &Arc<Record>,
        limits: Limits,
    ) -> Result<(), LiveAt> {
        match self.wait_at(self, limits, Whom::One(record)) {
            Some(_) => Ok(()),
            None => Err(LiveAt {
                node: Arc::clone(self),
                routines: vec![Arc::clone(record)],
            }),
        }
    }

    /// Waits for those at `node`, which is in this node's subtree. Returns what is there when they
    /// are gone; `None`: they were not within the limits.
    fn wait_at<'a>(
        &self,
        node: &'a Node,
        limits: Limits,
        whom: Whom<'_>,
    ) -> Option<MutexGuard<'a, State>> {
        let mut state = node.lock();
        while !whom.is_gone(&state, limits.except) {
            let visits = state.visits;
            drop(state);
            let until = self.over_at(limits);
            if is_past(until) {
                return None;
            }
            state = node.lock();
            // A quit that came in between may have changed the answer above.
            if state.visits == visits && !whom.is_gone(&state, limits.except) {
                *whom.count(&mut state) += 1;
                state = wait(&node.left, state, until);
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
    /// the walk leaves an observer at each node that still takes work, and an empty walk is
    /// believed if the observer has seen nothing start. Why that is enough: consider the moment at
    /// which the walk ends. Whatever was live then either was listed when the walk passed its node,
    /// or started there, or at a child made there, after that (invariant 3).
    ///
    /// Else those are listed that were found, or those that the observer saw: each was live during
    /// this look. However much comes and goes, it is two walks.
    fn look(self: &Arc<Self>, except: Option<u64>) -> Result<(), Vec<LiveAt>> {
        let observer = Arc::new(Observer::default());
        let live = self.survey(except, &observer);
        let started = self.take_back(&observer);
        match live.is_empty() && started.is_empty() {
            true => Ok(()),
            false => Err(if live.is_empty() { started } else { live }),
        }
    }

    /// Walks over the subtree, and leaves the observer at each node that does not quit.
    fn survey(self: &Arc<Self>, except: Option<u64>, observer: &Arc<Observer>) -> Vec<LiveAt> {
        let mut live = Vec::new();
        let mut todo = vec![Arc::clone(self)];
        while let Some(node) = todo.pop() {
            let mut state = node.lock();
            // One that quits takes no work: what is not live there now will never be.
            if !node.is_quitting() {
                state.observers.push(Arc::clone(observer));
            }
            let siblings = todo.len();
            state.walk_on(&mut todo);
            let mut routines: Vec<_> = state.live(except).cloned().collect();
            drop(state);
            if !routines.is_empty() {
                routines.sort_unstable_by_key(|record| record.id);
                live.push(LiveAt { node, routines });
            }
            // So that the walk, read backwards, lists children before parents and siblings in the
            // order of their making. They are nearly in order: slots are given in order, at first.
            todo[siblings..].sort_by_key(|child| child.id);
        }
        live.reverse();
        live
    }

    /// Takes the observer from the subtree, and returns what it saw.
    fn take_back(self: &Arc<Self>, observer: &Arc<Observer>) -> Vec<LiveAt> {
        // This handle, and those at nodes: none there, and none was left, if everything quits.
        if Arc::strong_count(observer) > 1 {
            let mut todo = vec![Arc::clone(self)];
            while let Some(node) = todo.pop() {
                let mut state = node.lock();
                state.stop_observing(observer);
                state.walk_on(&mut todo);
            }
        }
        std::mem::take(&mut *observer.lock())
    }

    /// Takes a child without handles from the list (invariant 2).
    fn forget(&self, child: &Node) {
        let mut state = self.lock();
        let child = state.children.remove(child.slot.load(Ordering::Relaxed));
        compact_if_sparse(&mut state.children, |child| &child.slot);
        drop(state);
        drop(child);
    }
}

impl Drop for Node {
    /// Invariant 6: a node that is the last to know its parent takes it along, and so on.
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        while let Some(node) = parent {
            parent = Arc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}

/// A handle of a node: as long as there is one, the node is part of the tree (invariant 2).
pub(crate) struct NodeRef(Arc<Node>);

impl NodeRef {
    pub(crate) fn root(name: Cow<'static, str>, quit_timeout: Option<Duration>) -> Self {
        let root = Root {
            quit_timeout,
            failures: std::sync::Mutex::default(),
        };
        Self(Arc::new(Node::new(name, None, Some(root))))
    }

    /// Makes a child, unless this node quits (rule 2, by invariant 1).
    pub(crate) fn child(&self, name: Cow<'static, str>) -> Result<Self, Quitting> {
        let parent = &self.0;
        let child = Arc::new(Node::new(name, Some(Arc::clone(parent)), None));
        let mut state = parent.lock();
        if parent.is_quitting() {
            return Err(Quitting);
        }
        parent.handles.fetch_add(1, Ordering::Relaxed);
        if !state.observers.is_empty() {
            // Nobody else knows the child yet: this lock is free.
            child.lock().observers.clone_from(&state.observers);
        }
        let slot = state.children.insert(Arc::clone(&child));
        child.slot.store(slot, Ordering::Relaxed);
        Ok(Self(child))
    }

    /// The root's node.
    pub(crate) fn root_node(&self) -> Arc<Node> {
        let mut node = &self.0;
        while let Some(parent) = &node.parent {
            node = parent;
        }
        Arc::clone(node)
    }
}

impl Clone for NodeRef {
    fn clone(&self) -> Self {
        self.0.handles.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for NodeRef {
    fn drop(&mut self) {
        // As in `Arc`: what others did with their handles is seen by who drops the last one.
        if self.0.handles.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let mut node = Arc::clone(&self.0);
        while let Some(parent) = node.parent.clone() {
            parent.forget(&node);
            node = parent;
            if node.handles.fetch_sub(1, Ordering::AcqRel) != 1 {
                return;
            }
        }
    }
}

impl Deref for NodeRef {
    type Target = Arc<Node>;

    fn deref(&self) -> &Arc<Node> {
        &self.0
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("quitting", &self.is_quitting())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
