//! The nodes of the tree: who belongs to it, and who was told to quit.
//!
//! A node is small, since most quitters only ever answer whether they quit. Where there is
//! something to find (a live routine, a waiting thread, a quit) it gets a [`Roster`], which walks
//! go over: what is idle costs a quit and a wait nothing.
//!
//! These invariants hold; the numbers of the rules are those of `ARCHITECTURE.md`.
//!
//! 1. **A node quits if it, or one above it, was told to, and that is for good.** It is found out
//!    from below: [`told`](crate::sync::told) counts the quits, and a node keeps the count at which
//!    it, and so all above it, was last found running. As long as nobody was told since, an answer
//!    is two loads (rule 2). A quit counts after it has marked its node: who sees the count and
//!    looks sees the mark. In between the node quits, and those below do not yet; cause and deadline
//!    come last. Whom that concerns lets the quit [settle](roster::Root::settled) first.
//! 2. **Work is let in under its roster's lock, after a look whether the node quits** (rule 1). A
//!    wait that follows a quit takes that lock, too: before, and then the newcomer sees the quit; or
//!    after, and then the wait sees the newcomer.
//! 3. **A node is part of the tree as long as somebody holds it**: a quitter, a live routine or a
//!    child. Rosters list rosters, never nodes; a node takes its roster from its parent's when it
//!    goes (rule 7).
//! 4. **A node's roster is made under the lock of its parent's**, and is listed there from then on.
//!    So where there is a roster there is one at every node above.
//! 5. **Nothing recurses** (rule 8), not even the drop of a chain of nodes.

mod arms;
mod roster;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use once_cell::race::OnceBox;

use crate::error::{Never, Quitting};
use crate::report::cause::QuitCause;
use crate::report::failure::{Failures, RoutineFailure};
use crate::report::path::QuitterPath;
use crate::routine::record::{Record, next_id};
use crate::sync::{AtomicU64, Ordering, told};

use arms::{NOBODY, this_thread};
use roster::earlier;
pub(crate) use roster::{Limits, LiveAt, Quit, Roster};

#[cfg(all(test, loom))]
mod models;

/// A node of the tree.
pub(crate) struct Node {
    /// Those that a thread makes later are greater. With [`ARM`], this is an [arm](arms) of its
    /// parent.
    id: u64,
    parent: Option<Arc<Node>>,
    name: Cow<'static, str>,
    /// The count of quits at which this node was last found running, or [`QUITS`].
    seen: AtomicU64,
    roster: OnceBox<Arc<Roster>>,
    /// How many quitters there are of this node. See [`arms`].
    quitters: AtomicU32,
    /// The thread that made something here first. See [`arms`].
    first: AtomicU32,
}

/// The mark of an arm in its id, since a field of its own would cost each node eight bytes, and
/// their copying half as much time again.
const ARM: u64 = 1 << 63;

/// What a node has `seen` that quits. No count comes that far.
const QUITS: u64 = u64::MAX;

impl Node {
    pub(crate) fn root(name: Cow<'static, str>, quit_timeout: Option<Duration>) -> Arc<Self> {
        let id = next_id();
        let roster = Roster::of_root(id, name.clone(), quit_timeout);
        Arc::new(Self {
            id,
            parent: None,
            name,
            seen: AtomicU64::new(told().load(Ordering::Acquire)),
            roster: OnceBox::with_value(Box::new(Arc::new(roster))),
            quitters: AtomicU32::new(1),
            first: AtomicU32::new(NOBODY),
        })
    }

    /// Makes a child, unless this node quits. One that is told right now tells the child, too.
    #[inline] // A name that is passed on in registers is half of the cost.
    pub(crate) fn child(self: &Arc<Self>, name: Cow<'static, str>) -> Result<Arc<Self>, Quitting> {
        if self.is_quitting() {
            return Err(Quitting);
        }
        Ok(Self::new_below(self.place(), next_id(), name))
    }

    /// Makes an arm of this node.
    fn arm(self: &Arc<Self>) -> Arc<Self> {
        Self::new_below(Arc::clone(self), next_id() | ARM, Cow::Borrowed(""))
    }

    #[inline]
    fn new_below(parent: Arc<Self>, id: u64, name: Cow<'static, str>) -> Arc<Self> {
        // What holds of the parent holds of the new one.
        let seen = parent.seen.load(Ordering::Acquire);
        Arc::new(Self {
            id,
            parent: Some(parent),
            name,
            seen: AtomicU64::new(seen),
            roster: OnceBox::new(),
            quitters: AtomicU32::new(1),
            first: AtomicU32::new(NOBODY),
        })
    }

    /// Where this thread makes what belongs to this node: here, or at an arm.
    #[inline]
    pub(crate) fn place(self: &Arc<Self>) -> Arc<Self> {
        let node = match &self.parent {
            Some(parent) if self.is_arm() => parent,
            _ => self,
        };
        let thread = this_thread();
        let roster = node.roster.get();
        // Where there are arms, nobody writes to the node: not even its first thread.
        if let Some(arm) = roster.and_then(|roster| roster.arms().of(node, thread)) {
            return arm;
        }
        match node.first.load(Ordering::Relaxed) {
            first if first == thread => {}
            NOBODY => node.first.store(thread, Ordering::Relaxed),
            _ => node.roster().arms().count(),
        }
        Arc::clone(node)
    }

    /// Called for each quitter of this node but the first, which the node is made with.
    pub(crate) fn add_quitter(&self) {
        self.quitters.fetch_add(1, Ordering::Relaxed);
    }

    /// Called when a quitter of this node goes.
    #[inline]
    pub(crate) fn drop_quitter(self: &Arc<Self>) {
        // Where nobody else holds the node there is nothing to cut. Else as in `Arc`: who drops the
        // last quitter sees what others did with theirs.
        if Arc::strong_count(self) > 1
            && self.quitters.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(roster) = self.roster.get()
        {
            roster.arms().close();
        }
    }

    fn is_arm(&self) -> bool {
        self.id & ARM != 0
    }

    /// The node that users know: itself, or the one that this is an arm of.
    fn known(&self) -> &Node {
        match &self.parent {
            Some(parent) if self.is_arm() => parent,
            _ => self,
        }
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
        path(self.upwards().map(|node| (node.name(), node.is_arm())))
    }

    /// Whether this node, or one above it, was told to quit: two loads, whatever the depth, of lines
    /// that only quits write to.
    #[inline]
    pub(crate) fn is_quitting(&self) -> bool {
        let seen = self.seen.load(Ordering::Relaxed);
        seen != told().load(Ordering::Relaxed) && self.look_up()
    }

    /// Somebody was told since this node was last looked at: was it this one, or one above?
    ///
    /// Each node that this passes keeps the answer, so that a quit costs one look at each.
    #[cold]
    fn look_up(&self) -> bool {
        // First the count: who is told after this counts beyond it.
        let count = told().load(Ordering::Acquire);
        let is_known = |node: &&Node| {
            let seen = node.seen.load(Ordering::Acquire);
            seen == QUITS || seen == count
        };
        let known = self.upwards().find(is_known);
        let answer = match known.map(|node| node.seen.load(Ordering::Acquire)) {
            Some(QUITS) => QUITS,
            _ => count,
        };
        for node in self.upwards() {
            if known.is_some_and(|known| std::ptr::eq(known, node)) {
                break;
            }
            match answer {
                QUITS => node.seen.store(QUITS, Ordering::Release),
                // Never takes back that the node was told meanwhile.
                count => drop(node.seen.fetch_max(count, Ordering::AcqRel)),
            }
        }
        answer == QUITS
    }

    /// What this node was told first, itself or with one above it.
    pub(crate) fn quit_info(&self) -> Option<Arc<Quit>> {
        let roster = self.nearest_roster();
        let _settled = roster.root().settled();
        roster.nearest_quit()
    }

    /// The earliest deadline of the quits that this node and those above it were told.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let roster = self.nearest_roster();
        if self.is_quitting() {
            drop(roster.root().settled());
        }
        roster.deadline()
    }

    /// The number of live routines of this node alone.
    pub(crate) fn live_here(&self) -> usize {
        let roster = self.known().roster.get();
        roster.map_or(0, |roster| roster.live_here())
    }

    /// The number and the name of this node, of its parent, and so on up to the root.
    fn lineage(&self) -> impl Iterator<Item = (u64, &Cow<'static, str>)> {
        let known = self.upwards().filter(|node| !node.is_arm());
        known.map(|node| (node.id, &node.name))
    }

    /// Keeps a failure, or counts it: see [`FailureLog`](crate::report::failure::FailureLog::record).
    pub(crate) fn record_failure(
        &self,
        matters: bool,
        failure: impl FnOnce(QuitterPath) -> RoutineFailure,
    ) {
        let mut failures = self.nearest_roster().root().failures();
        failures.record(matters, self.lineage(), failure);
    }

    /// The failures of the whole tree so far.
    pub(crate) fn failures(&self) -> Failures {
        self.nearest_roster().root().failures().failures().clone()
    }

    /// The root of this node's tree.
    pub(crate) fn root_node(self: &Arc<Self>) -> Arc<Self> {
        let mut node = self;
        while let Some(parent) = &node.parent {
            node = parent;
        }
        Arc::clone(node)
    }

    /// The roster of the first node upwards that has one.
    fn nearest_roster(&self) -> &Arc<Roster> {
        let nearest = self.upwards().find_map(|node| node.roster.get());
        nearest.expect("a root has a roster")
    }

    /// This node's roster; made, and listed, when it is first needed.
    #[inline]
    pub(crate) fn roster(&self) -> &Arc<Roster> {
        match self.roster.get() {
            Some(roster) => roster,
            None => self.enlist(),
        }
    }

    /// Makes the rosters of this node and of those above it that have none, the uppermost first.
    #[cold]
    fn enlist(&self) -> &Arc<Roster> {
        let has_none = |node: &&Node| node.roster.get().is_none();
        let unlisted: Vec<&Node> = self.upwards().take_while(has_none).collect();
        let mut above = match unlisted.last().and_then(|top| top.parent.as_ref()) {
            Some(parent) => parent.nearest_roster(),
            None => return self.nearest_roster(),
        };
        for node in unlisted.into_iter().rev() {
            above = above.list(&node.roster, node.id, || node.name.clone());
        }
        above
    }

    /// Lists a routine, unless this node quits (invariant 2).
    pub(crate) fn check_in(&self, record: &Arc<Record>) -> Result<(), Quitting> {
        self.roster().check_in(record, || self.is_quitting())
    }

    /// Takes a routine from the list, and wakes who waits for that.
    pub(crate) fn check_out(&self, record: &Record) {
        self.roster().check_out(record);
    }

    /// Lets no thread that lingers end any more, but after a moment: the process is about to end.
    pub(crate) fn close_gate(&self) {
        self.roster().close_gate();
    }

    /// Tells this node, and so everything below it, to quit (rule 2), and wakes who waits (rule 9).
    /// Returns whether this node was told now, and not before.
    ///
    /// The deadline is `timeout` from now, or the tree's quit timeout where this is the root and
    /// that is earlier. A node that quits already takes over an earlier deadline and keeps the
    /// cause.
    pub(crate) fn quit(&self, cause: QuitCause, timeout: Option<Duration>) -> bool {
        let at = Instant::now();
        let node = self.known();
        let roster = node.roster();
        let root = roster.root();
        let within =
            |timeout: Option<Duration>| timeout.and_then(|timeout| at.checked_add(timeout));
        let of_tree = match node.parent {
            None => root.quit_timeout,
            Some(_) => None,
        };
        let deadline = earlier(within(timeout), within(of_tree));
        let first = {
            let _one_at_a_time = root.settled();
            let before = roster.nearest_quit();
            if before.is_none() {
                node.seen.fetch_max(QUITS, Ordering::AcqRel);
                told().fetch_add(1, Ordering::AcqRel);
            }
            let first = before.is_none();
            let (cause, at) = match before {
                Some(before) => (before.cause.clone(), before.at),
                None => (cause, at),
            };
            // After the count: whoever finds a quit in a roster knows that nobody is let in below.
            roster.keep_quit(Quit {
                cause,
                at,
                deadline,
            });
            first
        };
        roster.wake_all();
        first
    }

    /// The channel that closes when this node quits; made when somebody asks for it.
    pub(crate) fn quit_chan(&self) -> &Receiver<Never> {
        self.known().roster().quit_chan(|| self.is_quitting())
    }

    /// Blocks until this node is told to quit or `until` has come, and returns whether it quits.
    pub(crate) fn wait_quit(&self, until: Option<Instant>) -> bool {
        if self.is_quitting() || roster::is_past(until) {
            return self.is_quitting();
        }
        self.known()
            .roster()
            .wait_quit(|| self.is_quitting(), until)
    }

    /// Waits until no routine of the subtree is live (rule 4), else lists those that are.
    ///
    /// The wait ends at `limits.until` or at the deadline of a quit, whichever is earlier, whenever
    /// that quit comes (rule 5).
    pub(crate) fn wait_done(&self, limits: Limits) -> Result<(), Vec<LiveAt>> {
        self.known().roster().wait_done(limits)
    }

    /// Takes the roster from the parent's, when the node goes (invariant 3).
    fn leave(&self, parent: &Node) {
        if let Some(roster) = self.roster.get() {
            parent.roster().forget(roster);
            roster.close_chan();
        }
    }
}

/// Names from a node up to its root, the other way round and joined with slashes.
/// Without those of arms.
fn path<'a>(upwards: impl Iterator<Item = (&'a str, bool)>) -> String {
    let known = upwards.filter(|(_, is_arm)| !is_arm);
    let mut names: Vec<&str> = known.map(|(name, _)| name).collect();
    names.reverse();
    names.join("/")
}

impl Drop for Node {
    /// Invariant 5: a node that is the last to hold its parent takes it along, and so on.
    fn drop(&mut self) {
        let Some(mut parent) = self.parent.take() else {
            if let Some(roster) = self.roster.get() {
                roster.close_chan();
            }
            return;
        };
        self.leave(&parent);
        while let Some(mut node) = Arc::into_inner(parent) {
            match node.parent.take() {
                Some(above) => {
                    node.leave(&above);
                    parent = above;
                }
                None => return,
            }
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("path", &self.path())
            .field("quitting", &self.is_quitting())
            .finish_non_exhaustive()
    }
}
