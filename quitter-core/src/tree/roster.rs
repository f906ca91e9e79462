//! Everything found at a node, under the one lock that it has: live routines, children that have a
//! roster, too, and whoever waits for a quit.

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
    /// Of a root alone: nodes that are made at the same time would meet at a count of references.
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
    /// Those that wait for the node to quit.
    pub(super) waiters: Waiters,
    /// The functions to be called when the node quits.
    pub(super) hooks: List<Hook>,
    /// Those that count what is live here: see `tally.rs`.
    pub(super) tallies: Vec<Arc<Tally>>,
    /// The waits for routines here and below.
    waited: BTreeMap<Waited, Waits>,
    open: Open,
}

/// The object of a wait at a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waited {
    /// All routines of the subtree.
    Subtree,
    /// The routine of this id.
    One(u64),
}

/// The waits for one thing, which share a tally.
struct Waits {
    tally: Arc<Tally>,
    count: usize,
    /// How many of them are those of the exit.
    of_exit: usize,
}

/// The state that a tree has once.
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
    /// The live routines of `node`, which this belongs to, but the one of this id.
    pub(super) fn live(
        &self,
        node: &Arc<Node>,
        excluding: Option<u64>,
    ) -> impl Iterator<Item = &Arc<Record>> {
        let records = self.routines.iter();
        let others = records.filter(move |record| Some(record.id) != excluding);
        let mut hooks = self.hooks.iter().peekable();
        // A quit that is on its way is about to start them.
        let start = hooks.peek().is_some() && node.is_quitting();
        let starting = hooks.filter(move |_| start).map(|hook| hook.record());
        others.chain(starting)
    }

    /// How many threads and futures wait here, for a quit or for routines, but for the exit.
    pub(super) fn waiting(&self) -> usize {
        let for_routines = self
            .waited
            .values()
            .map(|waits| waits.count - waits.of_exit);
        self.waiters.len() + for_routines.sum::<usize>()
    }

    /// Lets a tally count what comes and goes here from now on, beginning with `live`.
    pub(super) fn attach(&mut self, tally: &Arc<Tally>, live: usize) {
        self.tallies.retain(|other| !other.is_over());
        tally.add(live);
        tally.add_idle(self.hooks.len());
        self.tallies.push(Arc::clone(tally));
    }

    /// Whether somebody may wait for what is live here.
    fn is_waited_for(&self) -> bool {
        !self.tallies.is_empty() || !self.waited.is_empty()
    }

    /// Counts a routine that ends. Returns the tallies whose waiters may be woken by that, and the most
    /// routines that one of the tallies counts.
    fn on_end(&self, record: &Record) -> (Few<Arc<Tally>>, Option<usize>) {
        let mut waking = Few::default();
        let mut most = None;
        let one = self.waited.get(&Waited::One(record.id));
        let one = one.map(|waits| &waits.tally);
        // One that is over may lack this routine, and nobody asks it any more.
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

    /// Gathers those that wait for a quit here, and the tallies whose waiters are to be woken by a quit,
    /// too, since it may bring their deadline forward.
    pub(super) fn gather_waiters(&mut self, wakes: &mut Wakes, tallies: &mut Vec<Arc<Tally>>) {
        wakes.add_all(&mut self.waiters);
        wakes.close(std::mem::take(&mut self.open));
        if !self.waited.is_empty() {
            let waits = self.waited.values();
            tallies.extend(waits.map(|waits| Arc::clone(&waits.tally)));
        }
    }

    /// Joins the waits for `waited`. The tally is made, and then to be attached, by the first.
    pub(super) fn join(&mut self, waited: Waited, is_exit: bool) -> (Arc<Tally>, bool) {
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

    /// Leaves the waits for `waited`. With the last one the tally is over.
    pub(super) fn part(&mut self, waited: Waited, is_exit: bool) {
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
    /// The roster of a root.
    pub(super) fn of_root(root: Root) -> Self {
        Self {
            tree: Some(Box::new(root)),
            ..Self::default()
        }
    }

    /// The state of the tree, where this is the roster of its root.
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

    /// Locks, for a routine that comes or goes.
    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        walk::let_walks_go_first();
        lock(&self.state)
    }

    /// Locks, for a walk.
    pub(super) fn lock_first(&self) -> MutexGuard<'_, State> {
        self.try_lock().unwrap_or_else(|| {
            let _first = GoesFirst::new();
            lock(&self.state)
        })
    }

    /// Locks, for a walk that goes first already.
    pub(super) fn lock_next(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, State>> {
        try_lock(&self.state)
    }

    /// Takes a child, which is being dropped, from the list.
    pub(super) fn forget(&self, child: *const Node, childs: &Roster) {
        let is_child = |other: &Weak<Node>| std::ptr::eq(other.as_ptr(), child);
        let mut state = self.lock();
        let children = &mut state.children;
        let at = childs.slot.get();
        // A child that was moved while it was being dropped could not be told its new place.
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

    /// How much is here that a wait or a child has left.
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
    /// This node's roster; made, and listed, when it is first needed.
    #[inline]
    pub(super) fn roster(self: &Arc<Self>) -> &Roster {
        match self.roster.get() {
            Some(roster) => roster,
            None => self.enlist(),
        }
    }

    /// Makes the rosters of this node and of those above it that have none, the uppermost first.
    #[cold]
    fn enlist(self: &Arc<Self>) -> &Roster {
        let has_none = |node: &&Arc<Node>| node.roster.get().is_none();
        let mut above = self.upwards().skip(1).take_while(has_none).peekable();
        // Most often there are none, and nothing is allocated.
        if above.peek().is_some() {
            let above: Vec<&Arc<Node>> = above.collect();
            above.into_iter().rev().for_each(Self::list);
        }
        self.list();
        // A quit of a node that nothing hangs on looks for a roster after it has marked the node. So
        // whoever looks at the mark after this finds it, or is found.
        fence(Ordering::SeqCst);
        self.roster
            .get()
            .expect("listed above, by this thread or another")
    }

    /// Lists a routine, unless this node quits (invariant 2).
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

    /// Takes a routine from the list, and wakes those that wait for that. Returns what was in the list,
    /// and how many others are live where somebody waits for all of them.
    pub(crate) fn check_out(
        self: &Arc<Self>,
        record: &Record,
    ) -> (Option<Arc<Record>>, Option<usize>) {
        let mut state = self.roster().lock();
        // A node that quits lists nobody any more.
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

    /// This node and its shards, or those of the node that it is a shard of.
    pub(super) fn parts(self: &Arc<Self>) -> Vec<Arc<Node>> {
        let owner = self.owner();
        let mut parts = vec![Arc::clone(owner)];
        if let Some(roster) = owner.roster.get() {
            let among_children = || {
                // Upgraded after unlocking, since each may be the last handle by the time it is dropped.
                let children = roster.lock().children.clone();
                let children = children.iter().filter_map(Weak::upgrade);
                children.filter(|child| child.is_shard()).collect()
            };
            parts.extend(roster.shards().all().unwrap_or_else(among_children));
        }
        parts
    }

    /// The channel that closes when this node quits; made when somebody asks for it.
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

    /// The descriptor that becomes readable when this node quits; made when somebody asks for it.
    #[cfg(all(unix, feature = "io"))]
    pub(crate) fn quit_descriptor(
        self: &Arc<Self>,
    ) -> std::io::Result<&crate::io::descriptor::QuitDescriptor> {
        let owner = self.owner();
        let roster = owner.roster();
        if let Some(descriptor) = roster.quit_descriptor.get() {
            return Ok(descriptor);
        }
        let (descriptor, unquit) = crate::io::descriptor::pair()?;
        let mut unquit = Some(unquit);
        let mut state = roster.lock();
        let other = roster.quit_descriptor.set(descriptor);
        if other.is_ok() && !owner.is_quitting() {
            state.open.descriptor = unquit.take();
        }
        drop(state);
        drop((other, unquit));
        let descriptor = roster.quit_descriptor.get();
        Ok(descriptor.expect("set above, by this thread or another"))
    }

    /// Blocks until this node is told to quit or `until` has come, and returns whether it quits.
    pub(crate) fn wait_quit(self: &Arc<Self>, until: Option<Instant>) -> bool {
        if self.is_quitting() || is_past(until) {
            return self.is_quitting();
        }
        let parker = Parker::new();
        // Of a crowd that a quit has woken, and so taken from the list, nobody takes the lock again.
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

    /// Lets a waiter wait for the quit, unless this node quits already, in the place of the one that was
    /// entered before, if any. Only a quit takes others from this list, and then nobody comes any more.
    pub(super) fn enter(self: &Arc<Self>, waiter: Waiter, before: Option<Place>) -> Option<Place> {
        let owner = self.owner();
        let mut state = owner.roster().lock();
        // Under the lock that a quit takes after it has marked the node, or counted (rule 9).
        if owner.is_quitting() {
            drop(state);
            drop(waiter);
            return None;
        }
        // Dropped after unlocking, where it is.
        let _left = before.and_then(|before| state.waiters.remove_at(before));
        let place = state.waiters.enter(waiter, 0).place();
        drop(state);
        Some(place)
    }

    /// To be called for a waiter that goes.
    pub(super) fn leave_quit_list(self: &Arc<Self>, place: Place) {
        // Dropped after unlocking, and where it is: to move it would take a fifth of a short wait.
        let _left = self.owner().roster().lock().waiters.remove_at(place);
    }
}

/// Wakes those that wait by these tallies.
fn wake(tallies: Few<Arc<Tally>>) {
    let mut wakes = Wakes::default();
    tallies.for_each(|tally| tally.wake(&mut wakes));
    wakes.perform();
}

impl Node {
    /// Makes the roster of this node, whose parent has one, and lists it there, unless another thread
    /// has done so.
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
