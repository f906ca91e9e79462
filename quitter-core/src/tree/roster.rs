//! Everything found at a node, under the node's only lock: live routines, children that have a roster
//! themselves, and waiters.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};

use super::few::Few;
use super::hook::Hook;
use super::list::{List, Slot, shrink};
use super::node::Node;
use super::policies::Policies;
use super::shards::Shards;
use super::tally::Tally;
use super::waiter::{Open, Parker, Waiter, Wakes, is_past};
use super::waiters::{Place, Waiters};
use super::walk::{self, GoesFirst};
use crate::error::Quitting;
use crate::report::failure::FailureLog;
use crate::routine::record::Record;
use crate::sync::{Mutex, MutexGuard, Ordering, fence, lock, lock_within, try_lock};

#[derive(Default)]
pub(super) struct Roster {
    /// Present only at a root. Nodes do not hold a reference to it, since threads that create nodes would
    /// contend for the reference count.
    tree: Option<Box<Root>>,
    /// The node's place in its parent's list.
    slot: Slot,
    state: Mutex<State>,
    quit_chan: OnceLock<Receiver<Infallible>>,
    #[cfg(all(unix, feature = "io"))]
    quit_descriptor: OnceLock<crate::io::descriptor::QuitDescriptor>,
    shards: Shards,
    policies: Policies,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) children: Vec<Weak<Node>>,
    pub(super) routines: List<Record>,
    /// Threads and futures that wait for the node to quit.
    pub(super) waiters: Waiters,
    /// The functions to be called when the node quits.
    pub(super) hooks: List<Hook>,
    /// The tallies that count what is live here: see `tally.rs`.
    pub(super) tallies: Vec<Arc<Tally>>,
    /// The waits for routines here and below.
    waited: BTreeMap<Waited, Waits>,
    open: Open,
}

/// The routines that a wait at a node waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waited {
    /// All routines of the subtree.
    Subtree,
    /// The routine with this id.
    One(u64),
}

/// The waits for the same routines, which share a tally.
struct Waits {
    tally: Arc<Tally>,
    count: usize,
    /// How many of them are waits of the exit.
    of_exit: usize,
}

/// The state that exists once per tree.
#[derive(Default)]
pub(super) struct Root {
    pub(super) quit_timeout: Option<Duration>,
    failures: std::sync::Mutex<FailureLog>,
}

impl Root {
    pub(super) fn new(quit_timeout: Option<Duration>) -> Self {
        Self {
            quit_timeout,
            ..Self::default()
        }
    }

    pub(super) fn failures(&self) -> std::sync::MutexGuard<'_, FailureLog> {
        let failures = self.failures.lock();
        failures.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn try_failures(
        &self,
        at_most: Duration,
    ) -> Option<std::sync::MutexGuard<'_, FailureLog>> {
        lock_within(&self.failures, at_most)
    }
}

impl State {
    /// The live routines of `node`, to which this state belongs, except the one with the id `excluding`.
    pub(super) fn live(
        &self,
        node: &Arc<Node>,
        excluding: Option<u64>,
    ) -> impl Iterator<Item = &Arc<Record>> {
        let records = self.routines.iter();
        let others = records.filter(move |record| Some(record.id) != excluding);
        let mut hooks = self.hooks.iter().peekable();
        // The quit is about to start them.
        let start = hooks.peek().is_some() && node.is_quitting();
        let starting = hooks.filter(move |_| start).map(|hook| hook.record());
        others.chain(starting)
    }

    /// How many threads and futures wait here, for a quit or for routines, not counting the exit.
    pub(super) fn waiting(&self) -> usize {
        let for_routines = self
            .waited
            .values()
            .map(|waits| waits.count - waits.of_exit);
        self.waiters.len() + for_routines.sum::<usize>()
    }

    /// Attaches a tally, which from now on counts the routines that start and end here, in addition to
    /// `live`.
    pub(super) fn attach(&mut self, tally: &Arc<Tally>, live: usize) {
        self.tallies.retain(|other| !other.is_over());
        tally.add(live);
        tally.add_idle(self.hooks.len());
        self.tallies.push(Arc::clone(tally));
    }

    /// Whether there may be waits for the routines here.
    fn is_waited_for(&self) -> bool {
        !self.tallies.is_empty() || !self.waited.is_empty()
    }

    /// Counts a routine that ends. Returns the tallies that may now have to wake waiters, and the largest
    /// count among all tallies.
    fn on_end(&self, record: &Record) -> (Few<Arc<Tally>>, Option<usize>) {
        let mut waking = Few::default();
        let mut most = None;
        let one = self.waited.get(&Waited::One(record.id));
        let one = one.map(|waits| &waits.tally);
        // A tally that is over may not have counted this routine, and is not read any more.
        let tallies = self.tallies.iter().filter(|tally| !tally.is_over());
        for tally in tallies.chain(one) {
            let live = tally.on_end();
            most = most.max(Some(live));
            if Tally::may_wake(live) {
                waking.push(Arc::clone(tally));
            }
        }
        (waking, most)
    }

    /// Collects the waiters for a quit here. Also collects the tallies of waits, since a quit may bring the
    /// deadline of their waiters forward.
    pub(super) fn gather_waiters(&mut self, wakes: &mut Wakes, tallies: &mut Vec<Arc<Tally>>) {
        wakes.add_all(&mut self.waiters);
        wakes.close(std::mem::take(&mut self.open));
        if !self.waited.is_empty() {
            let waits = self.waited.values();
            tallies.extend(waits.map(|waits| Arc::clone(&waits.tally)));
        }
    }

    /// Joins the waits for `waited`. Returns the tally, and whether this is the first wait, which has just
    /// created the tally and has to attach it.
    pub(super) fn join_wait(&mut self, waited: Waited, is_exit: bool) -> (Arc<Tally>, bool) {
        let first = !self.waited.contains_key(&waited);
        let waits = self.waited.entry(waited).or_insert_with(|| Waits {
            tally: match waited {
                Waited::Subtree => Tally::of_subtree(),
                Waited::One(_) => Tally::of_one(),
            },
            count: 0,
            of_exit: 0,
        });
        waits.count += 1;
        waits.of_exit += usize::from(is_exit);
        (Arc::clone(&waits.tally), first)
    }

    /// Leaves the waits for `waited`. The last wait to leave ends the tally.
    pub(super) fn leave_wait(&mut self, waited: Waited, is_exit: bool) {
        if let Some(waits) = self.waited.get_mut(&waited) {
            waits.count -= 1;
            waits.of_exit -= usize::from(is_exit);
            if waits.count == 0 {
                waits.tally.end();
                self.waited.remove(&waited);
            }
        }
    }
}

impl Roster {
    pub(super) fn of_root(root: Root) -> Self {
        Self {
            tree: Some(Box::new(root)),
            ..Self::default()
        }
    }

    /// The state of the tree, if this is the roster of its root.
    pub(super) fn root(&self) -> Option<&Root> {
        self.tree.as_deref()
    }

    #[inline]
    pub(super) fn shards(&self) -> &Shards {
        &self.shards
    }

    pub(super) fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Locks, for a routine that starts or ends.
    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        walk::let_walks_go_first();
        lock(&self.state)
    }

    /// Locks, for a walk.
    pub(super) fn lock_for_walk(&self) -> MutexGuard<'_, State> {
        self.try_lock().unwrap_or_else(|| {
            let _first = GoesFirst::new();
            lock(&self.state)
        })
    }

    /// Locks, for a walk that already goes first.
    pub(super) fn lock_in_walk(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, State>> {
        try_lock(&self.state)
    }

    /// Removes a child that is being dropped from the list.
    pub(super) fn forget(&self, child: *const Node, childs: &Roster) {
        let is_child = |other: &Weak<Node>| std::ptr::eq(other.as_ptr(), child);
        let mut state = self.lock();
        let children = &mut state.children;
        let at = childs.slot.get();
        // A child that was moved in the list while it was being dropped could not be told its new place.
        let at = match children.get(at) {
            Some(other) if is_child(other) => Some(at),
            _ => children.iter().position(is_child),
        };
        let left = at.map(|at| {
            let left = children.swap_remove(at);
            let moved = children.get(at).and_then(Weak::upgrade);
            if let Some(roster) = moved.as_ref().and_then(|moved| moved.roster.get()) {
                roster.slot.set(at);
            }
            (left, moved)
        });
        shrink(children);
        drop(state);
        drop(left);
    }

    /// How much waits and children have left behind here.
    #[cfg(all(test, loom))]
    pub(super) fn left_behind(&self) -> usize {
        let state = self.lock();
        let tallies = state.tallies.iter().filter(|tally| !tally.is_over());
        tallies.count()
            + state.children.len()
            + state.waiters.len()
            + state.hooks.len()
            + state.waited.len()
    }
}

impl Node {
    /// This node's roster, which is created and listed when it is first needed.
    #[inline]
    pub(super) fn roster(self: &Arc<Self>) -> &Roster {
        match self.roster.get() {
            Some(roster) => roster,
            None => self.enlist(),
        }
    }

    /// Creates the rosters of this node and of nodes above it that have none, the uppermost first.
    #[cold]
    fn enlist(self: &Arc<Self>) -> &Roster {
        let has_none = |node: &&Arc<Node>| node.roster.get().is_none();
        let mut above = self.upwards().skip(1).take_while(has_none).peekable();
        // Usually there are none, and this does not allocate.
        if above.peek().is_some() {
            let above: Vec<&Arc<Node>> = above.collect();
            above.into_iter().rev().for_each(Self::list);
        }
        self.list();
        // A quit of a node that nothing else holds looks for a roster after it has marked the node. So a
        // thread that checks the mark after this fence finds it, or the quit finds the roster.
        fence(Ordering::SeqCst);
        self.roster
            .get()
            .expect("listed above, by this thread or another")
    }

    /// Lists a routine, unless this node is quitting (invariant 2).
    pub(crate) fn check_in(self: &Arc<Self>, record: &Arc<Record>) -> Result<(), Quitting> {
        if self.is_quitting() {
            return Err(Quitting);
        }
        let mut state = self.roster().lock();
        if self.is_quitting() {
            return Err(Quitting);
        }
        if !state.tallies.is_empty() {
            state.tallies.retain(|tally| !tally.is_over());
            for tally in &state.tallies {
                tally.on_start(self, record);
            }
        }
        state.routines.push(Arc::clone(record));
        Ok(())
    }

    /// Removes a routine from the list, and wakes the waits that this ends. Returns the list's reference to
    /// the record, and, if somebody waits for them, how many other routines are live.
    pub(crate) fn check_out(
        self: &Arc<Self>,
        record: &Record,
    ) -> (Option<Arc<Record>>, Option<usize>) {
        let mut state = self.roster().lock();
        // A quitting node lists no new routines.
        let left = match self.is_quitting() {
            true => state.routines.remove_for_good(record),
            false => state.routines.remove(record),
        };
        record.finish();
        if !state.is_waited_for() {
            return (left, None);
        }
        let (waking, live) = state.on_end(record);
        drop(state);
        wake(waking);
        (left, live)
    }

    /// The owner of this node, and all of the owner's shards.
    pub(super) fn parts(self: &Arc<Self>) -> Vec<Arc<Node>> {
        let owner = self.owner();
        let mut parts = vec![Arc::clone(owner)];
        if let Some(roster) = owner.roster.get() {
            let among_children = || {
                // Upgraded after unlocking, since each may be the last reference by the time it is dropped.
                let children = roster.lock().children.clone();
                let children = children.iter().filter_map(Weak::upgrade);
                children.filter(|child| child.is_shard()).collect()
            };
            parts.extend(roster.shards().all().unwrap_or_else(among_children));
        }
        parts
    }

    /// The channel that closes when this node quits, which is created on the first call.
    pub(crate) fn quit_chan(self: &Arc<Self>) -> &Receiver<Infallible> {
        let owner = self.owner();
        let roster = owner.roster();
        if let Some(receiver) = roster.quit_chan.get() {
            return receiver;
        }
        let (sender, receiver) = bounded(0);
        let mut sender = Some(sender);
        let mut state = roster.lock();
        if roster.quit_chan.set(receiver).is_ok() && !owner.is_quitting() {
            state.open.channel = sender.take();
        }
        drop(state);
        drop(sender);
        let receiver = roster.quit_chan.get();
        receiver.expect("set above, by this thread or another")
    }

    /// The descriptor that becomes readable when this node quits, which is created on the first call.
    #[cfg(all(unix, feature = "io"))]
    pub(crate) fn quit_descriptor(
        self: &Arc<Self>,
    ) -> std::io::Result<&crate::io::descriptor::QuitDescriptor> {
        let owner = self.owner();
        let roster = owner.roster();
        if let Some(descriptor) = roster.quit_descriptor.get() {
            return Ok(descriptor);
        }
        let (descriptor, trigger) = crate::io::descriptor::pair()?;
        let mut trigger = Some(trigger);
        let mut state = roster.lock();
        let other = roster.quit_descriptor.set(descriptor);
        if other.is_ok() && !owner.is_quitting() {
            state.open.descriptor = trigger.take();
        }
        drop(state);
        drop((other, trigger));
        let descriptor = roster.quit_descriptor.get();
        Ok(descriptor.expect("set above, by this thread or another"))
    }

    /// Blocks until this node is told to quit, or until `until`. Returns whether the node is quitting.
    pub(crate) fn wait_quit(self: &Arc<Self>, until: Option<Instant>) -> bool {
        if self.is_quitting() || is_past(until) {
            return self.is_quitting();
        }
        let parker = Parker::new();
        // Threads that a quit has woken, and so taken from the list, do not take the lock again.
        while !self.is_quitting()
            && let Some(place) = self.enter(Waiter::Thread(Arc::clone(&parker)), None)
        {
            if !parker.park(until) {
                self.leave_quit_list(place);
                parker.leave();
                break;
            }
        }
        self.is_quitting()
    }

    /// Adds a waiter for the quit, unless this node is already quitting. It replaces the waiter at the
    /// place `before`, if any. Apart from waiters that leave, only a quit takes waiters from this list, and
    /// after that none is added.
    pub(super) fn enter(self: &Arc<Self>, waiter: Waiter, before: Option<Place>) -> Option<Place> {
        let owner = self.owner();
        let mut state = owner.roster().lock();
        // Checked under the lock that a quit takes after it has marked the node, or counted (rule 9).
        if owner.is_quitting() {
            drop(state);
            drop(waiter);
            return None;
        }
        // Dropped after unlocking, without moving it.
        let _left = before.and_then(|before| state.waiters.remove_at(before));
        let place = state.waiters.enter(waiter, 0).place();
        drop(state);
        Some(place)
    }

    /// Removes a waiter that stops waiting.
    pub(super) fn leave_quit_list(self: &Arc<Self>, place: Place) {
        // Dropped after unlocking, without moving it, which would take a fifth of a short wait.
        let _left = self.owner().roster().lock().waiters.remove_at(place);
    }
}

/// Wakes the waiters of these tallies.
pub(super) fn wake(tallies: Few<Arc<Tally>>) {
    let mut wakes = Wakes::default();
    tallies.for_each(|tally| tally.wake(&mut wakes));
    wakes.perform();
}

impl Node {
    /// Creates the roster of this node, whose parent has one, and lists the node there, unless another
    /// thread has done so.
    fn list(self: &Arc<Self>) {
        let parent = self.parent.as_ref().expect("a root has a roster");
        let mut above = parent.roster().lock();
        if self.roster.get().is_some() {
            return;
        }
        let mut roster = Box::<Roster>::default();
        if !above.tallies.is_empty() {
            let tallies = above.tallies.iter().filter(|tally| !tally.is_over());
            let state = roster.state.get_mut();
            let state = state.unwrap_or_else(PoisonError::into_inner);
            state.tallies.extend(tallies.cloned());
        }
        roster.slot.set(above.children.len());
        above.children.push(Arc::downgrade(self));
        let _ = self.roster.set(roster);
    }
}
