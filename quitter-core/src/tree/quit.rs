//! Telling nodes to quit, and finding out from below that a node above was told.
//!
//! A quit is stored at one node, however many nodes are below: they find the quit when they are asked. For
//! that, the process counts its quits, and this count is the *epoch*. Each node keeps the epoch at which
//! it, and so all above it, was last found running. As long as no node was told since, an answer takes two
//! loads. Otherwise it takes one look upwards, and every node on the way keeps its result.
//!
//! What keeps the answers exact (rule 2):
//!
//! 1. A quit stores cause and deadline, then marks its node as [`TELLING`], then counts, then marks it as
//!    [`TOLD`]. So a thread that sees the new epoch and looks up sees the mark, and a thread that sees the
//!    mark can read cause and deadline.
//! 2. A thread that finds a node marked as [`TELLING`] counts on the teller's behalf and goes on. So no
//!    thread ever knows of a quit that is not counted, and none waits for the teller.
//! 3. A quit of a node that nothing else holds is not counted, since there is no node below to find out.
//!    Another thread may be creating a child there at that moment. That child has held the node since
//!    before its first look upwards, and both the quit and the look have a fence between what they write
//!    and what they read: either the quit finds the node held, or the look finds the mark. Futures that
//!    wait at the node also hold it, but ask only the node itself. So they are not counted as holders while
//!    they are in the node's list: the list's lock is held when the holders are counted, and no future
//!    releases the node while in the list, unless the quit is settled.
//!
//! The word `checked` alone decides whose cause counts: the node's own if the node is marked as told,
//! otherwise that of the next node above that is. The answer never changes once it can be read.

use std::sync::atomic;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::hook;
use super::node::Node;
use super::roster::State;
use super::waiter::{Wakes, earlier};
use super::walk::walk;
use crate::report::cause::QuitCause;
use crate::sync::{Ordering, fence, quit_epoch};
use crate::{system, trace};

/// The value of `checked` in a node that was never asked. Epochs start at one.
pub(super) const UNCHECKED: u64 = 0;

/// The node is quitting because a node above it is. No epoch gets this large.
const ABOVE: u64 = u64::MAX - 2;
/// The node was told to quit, but the quit is not counted yet.
const TELLING: u64 = u64::MAX - 1;
/// The node was told to quit, and the quit is counted, or need not be.
const TOLD: u64 = u64::MAX;

/// A quit that a node was told.
pub(crate) struct Quit {
    pub(crate) cause: QuitCause,
    /// When the node was told: exact if the quit has a deadline, otherwise accurate to a few milliseconds.
    pub(crate) at: Instant,
    deadline: Deadline,
}

impl Quit {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline.get()
    }
}

/// The moment that all others are measured from, also on the clock of [`system::now`].
static FIRST: LazyLock<(Instant, Duration)> = LazyLock::new(|| (Instant::now(), system::now()));

/// The time of the system's last tick, a few milliseconds ago.
fn now_coarse() -> Instant {
    let (first, by_system) = *FIRST;
    first + system::now_coarse().saturating_sub(by_system)
}

/// A moment that may only become earlier, in nanoseconds since [`FIRST`]. Uses std's atomic even under
/// loom, which does not see that [`OnceBox`](once_cell::race::OnceBox) publishes it.
struct Deadline(atomic::AtomicU64);

impl Deadline {
    const NEVER: u64 = u64::MAX;

    fn new(at: Option<Instant>) -> Self {
        Self(atomic::AtomicU64::new(Self::nanos(at)))
    }

    fn first() -> Instant {
        FIRST.0
    }

    fn nanos(at: Option<Instant>) -> u64 {
        let since = at.map(|at| at.saturating_duration_since(Self::first()).as_nanos());
        since.map_or(Self::NEVER, |nanos| {
            u64::try_from(nanos).unwrap_or(Self::NEVER)
        })
    }

    fn get(&self) -> Option<Instant> {
        match self.0.load(Ordering::Acquire) {
            Self::NEVER => None,
            nanos => Self::first().checked_add(Duration::from_nanos(nanos)),
        }
    }

    fn bring_forward(&self, at: Option<Instant>) {
        self.0.fetch_min(Self::nanos(at), Ordering::AcqRel);
    }
}

impl Node {
    /// Whether this node, or one above it, was told to quit. Takes two loads, whatever the depth, of cache
    /// lines that only quits write to.
    #[inline]
    pub(crate) fn is_quitting(self: &Arc<Self>) -> bool {
        let checked = self.checked.load(Ordering::Relaxed);
        checked != quit_epoch().load(Ordering::Relaxed) && self.look_up()
    }

    /// Checks whether this node, or one above, was told to quit, and stores the answer in each node on the
    /// way.
    #[cold]
    fn look_up(self: &Arc<Self>) -> bool {
        if self.is_marked() {
            return true;
        }
        // See number 3 above.
        fence(Ordering::SeqCst);
        // The epoch is read first: a quit that comes after this moves it on.
        let epoch = quit_epoch().load(Ordering::Acquire);
        let has_answer =
            |node: &&Arc<Node>| node.is_marked() || node.checked.load(Ordering::Acquire) == epoch;
        let nearest = self.upwards().find(has_answer);
        let quits = nearest.is_some_and(|node| node.is_marked());
        let answer = if quits { ABOVE } else { epoch };
        for node in self.upwards() {
            if nearest.is_some_and(|nearest| Arc::ptr_eq(nearest, node)) {
                break;
            }
            // A maximum, so that this never overwrites the mark of a quit that came meanwhile.
            node.checked.fetch_max(answer, Ordering::AcqRel);
        }
        quits
    }

    /// Whether this node is marked as quitting.
    fn is_marked(&self) -> bool {
        match self.checked.load(Ordering::Acquire) {
            TELLING => {
                self.count();
                true
            }
            checked => checked >= ABOVE,
        }
    }

    /// Counts the quit that this node was told, as the teller or on its behalf.
    fn count(&self) {
        quit_epoch().fetch_add(1, Ordering::AcqRel);
        self.checked.fetch_max(TOLD, Ordering::AcqRel);
    }

    /// Marks the node as told, unless it is already quitting. Returns whether the quit still has to be
    /// settled: if not, it is counted by the time this returns.
    fn mark(self: &Arc<Self>) -> bool {
        let mark = |checked| (checked < ABOVE).then_some(TELLING);
        let marked = self
            .checked
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, mark);
        if marked.is_err() {
            // See number 2 above.
            self.is_marked();
            return false;
        }
        fence(Ordering::SeqCst);
        true
    }

    /// Counts a quit, unless there is no node below to find out: see number 3 above. To be called under the
    /// lock of the node's roster, if it has one. `waiting` is how many futures in its list hold the node.
    fn settle(self: &Arc<Self>, waiting: usize) {
        // The teller holds the node, too.
        if Arc::strong_count(self) == 1 + waiting {
            self.checked.fetch_max(TOLD, Ordering::AcqRel);
        } else {
            self.count();
        }
    }

    /// Whether the node is quitting, and its quit is settled.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.checked.load(Ordering::Acquire), ABOVE | TOLD)
    }

    /// Tells this node, and so everything below it, to quit (rule 2), and wakes all waiters (rule 9).
    /// Returns whether this quit's cause is the one that is kept.
    ///
    /// The deadline is `timeout` from now, or at the root the end of the tree's quit timeout, if that is
    /// earlier. A node that is already quitting takes over an earlier deadline and keeps its cause; if
    /// nothing changes, nothing is done.
    pub(crate) fn quit(self: &Arc<Self>, cause: QuitCause, timeout: Option<Duration>) -> bool {
        let node = self.owner();
        let is_root = node.is_root();
        // The coarse time is good enough where no deadline follows from it: reading the exact clock takes a
        // tenth of the lifetime of a connection's quitter.
        let at = if is_root || timeout.is_some() {
            Instant::now()
        } else {
            now_coarse()
        };
        let after = |timeout: Option<Duration>| at.checked_add(timeout?);
        let of_tree = if is_root { node.tree_timeout() } else { None };
        let deadline = earlier(after(timeout), after(of_tree));
        let was_quitting = node.is_quitting();
        if was_quitting && earlier(node.deadline(), deadline) == node.deadline() {
            return false;
        }
        let mut is_stored = false;
        let told = node.told.get_or_init(|| {
            is_stored = true;
            Box::new(Quit {
                cause,
                at,
                deadline: Deadline::new(deadline),
            })
        });
        if !is_stored {
            told.deadline.bring_forward(deadline);
        }
        let mut is_open = node.mark();
        if is_open && self.is_shard() {
            // The shard holds the node for the teller, and may have children.
            node.count();
            is_open = false;
        }
        node.wake_below(is_open);
        let counts = is_stored && node.is_told();
        if counts {
            trace::told_to_quit(node);
        }
        counts
    }

    /// Whether this node itself was told, while it and the nodes above it were running.
    fn is_told(&self) -> bool {
        self.checked.load(Ordering::Acquire) >= TELLING
    }

    /// The quit that counts for this node, if it is quitting: its own, or that of the next node above.
    pub(crate) fn quit_info(self: &Arc<Self>) -> Option<&Quit> {
        if !self.is_quitting() {
            return None;
        }
        self.upwards().find(|node| node.is_told())?.told.get()
    }

    /// The earliest deadline of this node and of those above it, if the node is quitting.
    pub(crate) fn deadline(self: &Arc<Self>) -> Option<Instant> {
        if !self.is_quitting() {
            return None;
        }
        let told = self.upwards().filter_map(|node| node.told.get());
        told.map(|told| told.deadline()).fold(None, earlier)
    }

    /// The quit that this node itself was told, while it and the nodes above it were running.
    pub(crate) fn own_quit(&self) -> Option<&Quit> {
        // See number 2 above.
        self.is_marked();
        self.is_told().then(|| self.told.get()).flatten()
    }

    /// The deadline of the quit that this node itself was told.
    pub(crate) fn own_deadline(&self) -> Option<Instant> {
        self.told.get()?.deadline()
    }

    /// Wakes all waiters in the subtree: first those at this node, where the exit waits, since the walk may
    /// take long. If the quit `is_open`, it is settled first.
    fn wake_below(self: &Arc<Self>, is_open: bool) {
        let Some(roster) = self.roster.get() else {
            if is_open {
                self.settle(0);
            }
            // Nothing waits here. The roster lets a snapshot find the node, and with it the quit. But if
            // nothing else holds the node, a quit has to be as cheap as the node was.
            if Arc::strong_count(self) > 1 {
                self.roster();
            }
            return;
        };
        let mut wakes = Wakes::default();
        let mut tallies = Vec::new();
        let mut hooks = Vec::new();
        let mut state = roster.lock_for_walk();
        if is_open {
            self.settle(state.waiters.some_futures());
        }
        state.gather_waiters(&mut wakes, &mut tallies);
        state.start_hooks(self, &mut hooks);
        let has_below = !state.children.is_empty();
        drop(state);
        tallies.iter().for_each(|tally| tally.wake_all(&mut wakes));
        let mut futures = wakes.perform_except_futures();
        // A child that is listed from now on is listed under the lock that was just released. So everything
        // that is done there sees the quit.
        if has_below {
            let mut wakes = Wakes::default();
            let mut tallies = Vec::new();
            walk(self, (), |node, state: &mut State, ()| {
                state.gather_waiters(&mut wakes, &mut tallies);
                state.start_hooks(node, &mut hooks);
            });
            tallies.iter().for_each(|tally| tally.wake_all(&mut wakes));
            futures.append(wakes.perform_except_futures());
        }
        hook::call_each(hooks);
        futures.wake();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::Location;
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::routine::kind::Work;
    use crate::routine::record::Record;

    fn quit(node: &Arc<Node>, timeout: Option<Duration>) -> bool {
        let at = Location::caller();
        node.quit(QuitCause::SendQuit { at }, timeout)
    }

    /// Large numbers of futures are woken by a thread that is started for that.
    #[test]
    fn of_a_crowd_of_futures_beside_a_thread_each_is_woken() {
        const MANY: usize = 5000;

        struct Tell(mpsc::Sender<()>);

        impl std::task::Wake for Tell {
            fn wake(self: Arc<Self>) {
                let _ = self.0.send(());
            }
        }

        for with_thread in [false, true] {
            let root = Node::root("root".into(), None);
            let below = root.child("child".into()).unwrap();
            let (tell, told) = mpsc::channel();
            let wakers = (0..MANY).map(|_| Arc::new(Tell(tell.clone())).into());
            let pending = |waker: std::task::Waker| {
                let mut future = super::super::QuitWait::new(&below);
                let mut cx = std::task::Context::from_waker(&waker);
                assert!(std::pin::pin!(&mut future).poll(&mut cx).is_pending());
                future
            };
            let futures: Vec<_> = wakers.map(pending).collect();
            let sleeper = with_thread.then(|| {
                let below = Arc::clone(&below);
                thread::spawn(move || below.wait_quit(None))
            });
            assert!(quit(&root, None));
            drop(tell);
            // Each waker is dropped once it was called, so the channel closes.
            assert_eq!(told.iter().count(), MANY);
            assert!(sleeper.is_none_or(|sleeper| sleeper.join().unwrap()));
            drop(futures);
        }
    }

    #[test]
    fn a_quit_without_a_deadline_is_dated_shortly_before_it_and_never_after() {
        const SHORTLY: Duration = Duration::from_secs(1);
        let root = Node::root("root".into(), None);
        for _ in 0..1000 {
            let child = root.child("child".into()).unwrap();
            let before = Instant::now();
            quit(&child, None);
            let at = child.own_quit().unwrap().at;
            assert!(at <= Instant::now() && before < at + SHORTLY);
        }
    }

    /// Both would find every lock taken.
    #[test]
    fn a_quit_that_changes_nothing_and_what_a_quitting_node_refuses_take_no_lock() {
        const PATIENCE: Duration = Duration::from_secs(10);
        let root = Node::root("root".into(), None);
        let child = root.child("child".into()).unwrap();
        assert!(quit(&root, Some(Duration::from_secs(60))));
        let rosters = [child.roster(), root.roster()];
        let locked = rosters.map(|roster| roster.lock_for_walk());
        let (done, returned) = mpsc::channel();
        let (top, below) = (Arc::clone(&root), Arc::clone(&child));
        thread::spawn(move || {
            let later = Some(Duration::from_secs(90));
            let changed = [quit(&top, None), quit(&top, later), quit(&below, later)];
            let record = Record::new(
                Work::Guard,
                "late".into(),
                Location::caller(),
                None,
                Duration::ZERO,
            );
            let admitted = below.check_in(&Arc::new(record)).is_ok();
            let made = below.child("late".into()).is_ok();
            let _ = done.send((changed, admitted, made));
        });
        let returned = returned.recv_timeout(PATIENCE);
        drop(locked);
        assert_eq!(returned, Ok(([false; 3], false, false)));
    }
}
