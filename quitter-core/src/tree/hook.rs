//! Functions that are called at a quit, and the threads that call them.
//!
//! Until the quit, a hook is idle: it is not a routine, and waits ignore it. From the moment its node
//! quits, it counts as live (rule 4), at first as a routine that is about to start; the walk that follows
//! the quit lists it as a routine. So a wait that sees the quit does not miss the hook, and the start of
//! the hook is not refused.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::few::Few;
use super::list::{Item, Slot};
use super::node::Node;
use super::roster::{Roster, State, wake};
use super::tally::Tally;
use crate::error::Quitting;
use crate::routine::kind::Work;
use crate::routine::record::{Place, Record};
use crate::system;
use crate::threads;

/// A function to be called when a node quits.
pub(crate) struct Hook {
    slot: Slot,
    added_at: Place,
    /// The record of the routine that the hook becomes at the quit.
    record: OnceLock<Arc<Record>>,
    call: Mutex<Option<Call>>,
}

pub(crate) type Call = Box<dyn FnOnce(Calling<'_>) + Send>;

/// How a hook is called.
pub(crate) enum Calling<'a> {
    /// On this thread, as the routine of this record, which is listed at the node.
    Routine(Arc<Node>, Arc<Record>),
    /// Not at all: the system refused a thread for that routine.
    Refused(Arc<Node>, Arc<Record>, &'a io::Error),
    /// On the thread that added the hook.
    Here,
}

impl Item for Hook {
    fn slot(&self) -> &Slot {
        &self.slot
    }
}

impl Hook {
    pub(crate) const NAME: &'static str = "on_quit";

    pub(crate) fn new(added_at: Place, call: Call) -> Arc<Self> {
        Arc::new(Self {
            slot: Slot::default(),
            added_at,
            record: OnceLock::new(),
            call: Mutex::new(Some(call)),
        })
    }

    /// Calls the hook on this thread, since its node quit before it was added.
    pub(crate) fn call_here(&self) {
        self.call(Calling::Here);
    }

    fn call(&self, calling: Calling<'_>) {
        let mut call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = call.take();
        drop(call);
        if let Some(call) = taken {
            call(calling);
        }
    }

    /// The record of the routine that the hook becomes. To be called only once its node is quitting.
    pub(super) fn record(&self) -> &Arc<Record> {
        self.record.get_or_init(|| {
            let name = Self::NAME.into();
            Arc::new(Record::new(
                Work::Thread,
                name,
                self.added_at,
                None,
                system::now(),
            ))
        })
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").finish_non_exhaustive()
    }
}

impl Node {
    /// Adds a hook to be called at the quit, unless this node is already quitting.
    pub(crate) fn add_hook(self: &Arc<Self>, hook: &Arc<Hook>) -> Result<(), Quitting> {
        let owner = self.owner();
        let mut state = owner.roster().lock();
        // Checked under the lock that a quit takes after it has counted.
        if owner.is_quitting() {
            return Err(Quitting);
        }
        let counting = state.tallies.iter().filter(|tally| !tally.is_over());
        counting.for_each(|tally| tally.add_idle(1));
        state.hooks.push(Arc::clone(hook));
        Ok(())
    }

    /// Removes a hook, which is then not called, unless it was already started.
    pub(crate) fn remove_hook(self: &Arc<Self>, hook: &Hook) {
        let mut state = self.owner().roster().lock();
        let Some(left) = state.hooks.remove(hook) else {
            return;
        };
        let waking = state.on_hook_removal(1);
        drop(state);
        wake(waking);
        // If this is the last reference, this drops the user's closure.
        drop(left);
    }
}

impl Roster {
    /// To be called when the node is dropped, and its hooks with it: a wait above may have counted them.
    pub(super) fn stop_counting_hooks(&self) {
        let state = self.lock();
        let hooks = state.hooks.len();
        if hooks > 0 {
            let waking = state.on_hook_removal(hooks);
            drop(state);
            wake(waking);
        }
    }
}

impl State {
    /// Counts idle hooks that are removed. Returns the tallies whose waiters have to look again, since the
    /// hooks may have counted as about to start.
    fn on_hook_removal(&self, hooks: usize) -> Few<Arc<Tally>> {
        let mut waking = Few::default();
        for tally in self.tallies.iter().filter(|tally| !tally.is_over()) {
            tally.on_hook_removal(hooks);
            if Tally::may_wake(tally.live()) {
                waking.push(Arc::clone(tally));
            }
        }
        waking
    }

    /// Whether hooks of `node`, to which this state belongs, are about to start.
    pub(super) fn has_starting_hooks(&self, node: &Arc<Node>) -> bool {
        !self.hooks.is_empty() && node.is_quitting()
    }

    /// Lists the hooks of `node`, to which this state belongs and which is quitting, as live routines. They
    /// have to be called after unlocking.
    pub(super) fn start_hooks(&mut self, node: &Arc<Node>, started: &mut Vec<Started>) {
        if self.hooks.is_empty() {
            return;
        }
        let mut hooks = Vec::new();
        self.hooks.take_all(&mut hooks);
        for hook in hooks {
            let counting = self.tallies.iter().filter(|tally| !tally.is_over());
            counting.for_each(|tally| tally.on_hook_start());
            self.routines.push(Arc::clone(hook.record()));
            started.push(Started::new(node, hook));
        }
    }
}

/// A hook that is listed as a live routine, and has to be called.
pub(super) struct Started {
    node: Arc<Node>,
    hook: Arc<Hook>,
}

impl Started {
    pub(super) fn new(node: &Arc<Node>, hook: Arc<Hook>) -> Self {
        let node = Arc::clone(node);
        Self { node, hook }
    }

    fn call(self) {
        let record = Arc::clone(self.hook.record());
        self.hook.call(Calling::Routine(self.node, record));
    }

    fn refuse(self, error: &io::Error) {
        let record = Arc::clone(self.hook.record());
        self.hook.call(Calling::Refused(self.node, record, error));
    }
}

/// Calls hooks on threads of their own: one that hangs holds up neither the caller nor the others.
///
/// Starting a thread for each of many hooks takes long, so the caller starts one, which starts the next
/// before it calls its own hook. If the system refuses the next thread, this one calls the other hooks
/// after its own.
pub(super) fn call_each(mut hooks: Vec<Started>) {
    if hooks.is_empty() {
        return;
    }
    if cfg!(all(test, loom)) {
        return hooks.into_iter().for_each(Started::call);
    }
    hooks.reverse();
    if let Err((hooks, refused)) = call_elsewhere(hooks) {
        hooks.into_iter().for_each(|hook| hook.refuse(&refused));
    }
}

/// Calls hooks on another thread, the last one first. Returns them if the system refuses a thread.
fn call_elsewhere(hooks: Vec<Started>) -> Result<(), (Vec<Started>, io::Error)> {
    if hooks.is_empty() {
        return Ok(());
    }
    threads::start_with(Hook::NAME, hooks, call_here)
}

fn call_here(mut hooks: Vec<Started>) {
    while let Some(hook) = hooks.pop() {
        hooks = match call_elsewhere(hooks) {
            Ok(()) => Vec::new(),
            Err((hooks, _refused)) => hooks,
        };
        hook.call();
    }
}
