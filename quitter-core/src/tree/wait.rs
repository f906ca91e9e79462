//! Waits for routines, as values: what a wait waits for, its limits, and its steps.
//!
//! A wait is driven by [`Wait::step`], which never blocks: it either says how the wait ended, or leaves the
//! waiter in place, to be woken when something changes. [`Wait::block`] parks the thread between steps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::live::{LiveAt, Visited};
use super::node::Node;
use super::roster::{State, Waited};
use super::tally::Tally;
use super::waiter::{Parker, Waiter, Wakes, earlier, is_past};
use super::waiters::Key;
use super::walk::{try_walk, walk};
use crate::routine::record::Record;

/// The limits of a wait.
#[derive(Clone)]
pub(crate) struct Limits {
    /// When the wait began.
    pub(crate) from: Instant,
    /// When the wait ends at the latest; `None`: no limit. The deadline of a quit may end it earlier.
    pub(crate) until: Option<Instant>,
    /// The waiting routine itself, which the wait leaves out.
    pub(crate) excluding: Option<Excluded>,
    /// The wait ends when the node is told to quit.
    pub(crate) until_quit: bool,
    /// Only `until` counts, not the deadlines of quits.
    pub(crate) ignore_deadlines: bool,
    /// This is the wait of the main quitter's exit. Every program has it, so snapshots do not count it.
    pub(crate) is_exit: bool,
}

/// A live routine that is left out of a wait.
#[derive(Clone)]
pub(crate) struct Excluded {
    pub(crate) id: u64,
    pub(crate) node: Arc<Node>,
}

impl Default for Limits {
    /// The limits of a wait that begins now and has no limit of its own.
    fn default() -> Self {
        Self {
            from: Instant::now(),
            until: None,
            excluding: None,
            until_quit: false,
            ignore_deadlines: false,
            is_exit: false,
        }
    }
}

impl Limits {
    /// Limits a wait to `timeout` from now.
    pub(crate) fn within(timeout: Duration) -> Self {
        let limits = Self::default();
        Self {
            until: limits.from.checked_add(timeout),
            ..limits
        }
    }

    pub(super) fn excluded_id(&self) -> Option<u64> {
        self.excluding.as_ref().map(|excluded| excluded.id)
    }
}

/// A wait for the routines of a subtree, or for one routine.
pub(super) struct Wait {
    node: Arc<Node>,
    waited: Waited,
    tally: Arc<Tally>,
    /// How many routines may be left when the wait is done: one, if it leaves out a routine of the subtree.
    spare: u32,
    limits: Limits,
}

/// How many routines may be left in the subtree of `node` when a wait that leaves this one out is done.
fn spare(node: &Arc<Node>, excluding: Option<&Excluded>) -> u32 {
    u32::from(excluding.is_some_and(|excluded| excluded.node.is_below_or_at(node)))
}

/// The result of a step of a wait.
pub(crate) enum Step {
    /// All routines that were waited for have ended.
    Done,
    TimeUp,
    /// The waiter is woken when something changes. The next step is due then, or at this moment.
    Pending(Option<Instant>),
}

impl Wait {
    /// A wait for all routines of the subtree of `node`.
    pub(super) fn for_subtree(node: &Arc<Node>, limits: Limits) -> Self {
        let mut state = node.roster().lock_for_walk();
        let (tally, is_new) = state.join_wait(Waited::Subtree, limits.is_exit);
        drop(state);
        if is_new {
            walk(node, (), |_, state: &mut State, ()| {
                let live = state.routines.len();
                state.attach(&tally, live);
            });
            tally.attached();
            let mut wakes = Wakes::default();
            tally.wake(&mut wakes);
            wakes.perform();
        }
        Self {
            node: Arc::clone(node),
            waited: Waited::Subtree,
            tally,
            spare: spare(node, limits.excluding.as_ref()),
            limits,
        }
    }

    /// A wait for one routine. `None`: the routine is not live at `node`.
    pub(super) fn for_one(node: &Arc<Node>, record: &Record, limits: Limits) -> Option<Self> {
        let waited = Waited::One(record.id);
        let mut state = node.roster().lock_for_walk();
        let joined = state
            .routines
            .contains(record)
            .then(|| state.join_wait(waited, limits.is_exit));
        drop(state);
        let (tally, _) = joined?;
        Some(Self {
            node: Arc::clone(node),
            waited,
            tally,
            spare: 0,
            limits,
        })
    }

    /// Adds a waiter that is woken when something changes. It replaces the waiter with the key `before`, if
    /// any. A waiter that was woken has to enter again.
    pub(super) fn enter(&self, waiter: Waiter, before: Option<Key>) -> Key {
        self.tally.enter(waiter, self.spare, before)
    }

    /// Whether a waiter that has entered has not been woken yet.
    pub(super) fn is_entered(&self, key: Key) -> bool {
        self.tally.is_entered(key)
    }

    /// Takes the next step of the wait, for which a waiter has entered. Never blocks.
    pub(super) fn step(&self) -> Step {
        if self.is_done() {
            return Step::Done;
        }
        // Read after the waiter has entered, so that a quit that changes the deadline wakes it.
        match self.over_at() {
            until if is_past(until) => Step::TimeUp,
            until => Step::Pending(until),
        }
    }

    /// The hooks of a quitting node are about to start, and count as live (rule 4). Whether a node is
    /// quitting is checked after the tally was read: if it is not, then it was not at that moment. A hook
    /// that is about to start wakes the waiter when it has ended, or is removed.
    fn is_done(&self) -> bool {
        loop {
            let count = self.tally.count();
            if count.live > self.spare as usize {
                return false;
            }
            if count.idle == 0 {
                return true;
            }
            let mut starting = false;
            walk(&self.node, (), |node, state: &mut State, ()| {
                starting |= state.has_starting_hooks(node);
            });
            if starting {
                return false;
            }
            if self.tally.count() == count {
                return true;
            }
        }
    }

    /// Leaves out another routine than before. A waiter that has entered has to leave before, and to enter
    /// again.
    pub(super) fn set_excluding(&mut self, excluding: Option<Excluded>) {
        self.spare = spare(&self.node, excluding.as_ref());
        self.limits.excluding = excluding;
    }

    /// Blocks until the wait is over. Returns whether all routines have ended in time.
    fn block(&self) -> bool {
        let parker = Parker::new();
        let enter = |before| self.enter(Waiter::Thread(Arc::clone(&parker)), before);
        let mut key = enter(None);
        let is_done = loop {
            match self.step() {
                Step::Done => break true,
                Step::TimeUp => break false,
                Step::Pending(until) if parker.park(until) => key = enter(None),
                Step::Pending(_) => {}
            }
        };
        self.leave(key);
        parker.leave();
        is_done
    }

    /// Removes a waiter that stops waiting.
    pub(super) fn leave(&self, key: Key) {
        self.tally.leave(key);
    }

    /// When the wait is over, as things stand; `None`: no limit.
    ///
    /// The earliest deadline counts, of a quit at this node or above. But a deadline that had passed before
    /// the wait began was the timeout of another wait: a caller that waits again does so on purpose. The
    /// exception is the deadline of the main quitter, which is the end of the program.
    fn over_at(&self) -> Option<Instant> {
        let limits = &self.limits;
        if limits.until_quit && self.node.is_quitting() {
            return Some(Instant::now());
        }
        if limits.ignore_deadlines {
            return limits.until;
        }
        let counting = |node: &Arc<Node>| {
            let is_main = node.parent.is_none() && node.tree_timeout().is_some();
            let deadline = node.own_deadline();
            deadline.filter(|deadline| is_main || *deadline > limits.from)
        };
        let deadlines = self.node.upwards().map(counting);
        deadlines.fold(limits.until, earlier)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut state = self.node.roster().lock_for_walk();
        state.leave_wait(self.waited, self.limits.is_exit);
    }
}

impl Node {
    /// Waits until no routine of the subtree is live (rule 4), or else lists the live ones.
    ///
    /// The wait ends at `limits.until` or at the deadline of a quit, whichever is earlier, whenever
    /// that quit comes (rule 5).
    pub(crate) fn wait_done(self: &Arc<Self>, limits: Limits) -> Result<(), Vec<LiveAt>> {
        let node = self.owner();
        let excluded = limits.excluded_id();
        if !is_past(limits.until) && Wait::for_subtree(node, limits).block() {
            return Ok(());
        }
        node.look(excluded)
    }

    /// Waits until a routine of this node has ended. Returns whether it ended in time.
    pub(crate) fn wait_for(self: &Arc<Self>, record: &Record, limits: Limits) -> bool {
        Wait::for_one(self, record, limits).is_none_or(|wait| wait.block())
    }

    /// Checks that no routine of the subtree is live, except the excluded one. Otherwise lists the routines
    /// that were live when the walk came by, or one that started behind the walk.
    ///
    /// A walk that finds nothing proves nothing as long as work can start, so the walk leaves a tally
    /// behind (invariant 5). A quitting node takes no work, so an empty walk is enough.
    pub(crate) fn look(self: &Arc<Self>, excluded: Option<u64>) -> Result<(), Vec<LiveAt>> {
        if self.roster.get().is_none() {
            return Ok(());
        }
        let tally = (!self.is_quitting()).then(Tally::for_a_look);
        let mut visited = Visited::default();
        walk(self, 0, |node, state: &mut State, above| {
            let at = visited.push(node, above, state.live(node, excluded), 0);
            if let Some(tally) = &tally
                && visited.is_empty()
            {
                state.attach(tally, 0);
            }
            at
        });
        let started = tally.and_then(|tally| {
            tally.attached();
            let started = tally.take_started();
            let started = started.filter(|_| tally.live() > 0);
            // Ended only now, since a roster that drops the tally counts no more starts.
            tally.end();
            started
        });
        match visited.is_empty() {
            false => Err(visited.in_order()),
            true => started.map_or(Ok(()), |started| Err(vec![started])),
        }
    }

    /// Lists the live routines of the subtree, and the nodes whose routines, there and below, could not be
    /// read, since another thread held their locks until `until`.
    pub(crate) fn try_look(self: &Arc<Self>, until: Instant) -> (Vec<LiveAt>, Vec<Arc<Node>>) {
        let mut visited = Visited::default();
        let unread = try_walk(self, 0, until, |node, state: &mut State, above| {
            visited.push(node, above, state.live(node, None), 0)
        });
        (visited.in_order(), unread)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::tree::hook::Hook;

    #[test]
    fn a_wait_counts_the_hooks_of_a_node_only_as_long_as_that_lives() {
        let root = Node::root("root".into(), None);
        let child = root.child("child".into()).unwrap();
        let hook = || Hook::new(Location::caller(), Box::new(|_| {}));
        child.add_hook(&hook()).unwrap();
        let wait = Wait::for_subtree(&root, Limits::default());
        child.add_hook(&hook()).unwrap();
        assert_eq!(wait.tally.count().idle, 2);
        drop(child);
        assert_eq!(wait.tally.count().idle, 0);
    }
}
