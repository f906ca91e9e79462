//! Functions that are called at a quit, and the threads that call them.
//!
//! Until the quit a hook is idle: it is no routine, and waits pass it over. From the moment its node
//! quits it counts as live (rule 4), at first as one that is about to start; the walk that follows the
//! quit makes a routine of it. So no wait that sees the quit misses it, and no start of it is refused.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::list::{Item, Slot};
use super::node::Node;
use super::roster::State;
use crate::error::Quitting;
use crate::routine::kind::Work;
use crate::routine::record::{Place, Record};
use crate::system;
use crate::threads;

/// Something to be called when a node quits.
pub(crate) struct Hook {
    slot: Slot,
    added_at: Place,
    /// The routine that it is from the quit on.
    record: OnceLock<Arc<Record>>,
    call: Mutex<Option<Call>>,
}

/// Does what a hook is for.
pub(crate) type Call = Box<dyn FnOnce(Calling<'_>) + Send>;

/// How a hook is called.
pub(crate) enum Calling<'a> {
    /// On this thread, as the routine that the record stands for, which is listed at the node.
    Routine(Arc<Node>, Arc<Record>),
    /// Not at all: the system refused a thread for that routine.
    Refused(Arc<Node>, Arc<Record>, &'a io::Error),
    /// On this thread, which asked for it.
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

    /// Calls it on this thread. Its node quit before it was added.
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

    /// The routine that it is from the quit on; asked for once its node quits.
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
    /// Has a hook called at the quit, unless this node quits already.
    pub(crate) fn add_hook(self: &Arc<Self>, hook: &Arc<Hook>) -> Result<(), Quitting> {
        let owner = self.owner();
        let mut state = owner.roster().lock();
        // Under the lock that a quit takes after it has counted.
        if owner.is_quitting() {
            return Err(Quitting);
        }
        let counting = state.tallies.iter().filter(|tally| !tally.is_over());
        counting.for_each(|tally| tally.add_idle(1));
        state.hooks.push(Arc::clone(hook));
        Ok(())
    }

    /// Sees to it that a hook is not called, unless it was started.
    pub(crate) fn take_back(self: &Arc<Self>, hook: &Hook) {
        let mut state = self.owner().roster().lock();
        let Some(left) = state.hooks.remove(hook) else {
            return;
        };
        // Nobody is woken: only waits of a node that quits count it, and the walk that follows the quit
        // wakes them.
        let counting = state.tallies.iter().filter(|tally| !tally.is_over());
        counting.for_each(|tally| tally.on_take_back());
        drop(state);
        // With the user's closure, if this is the last reference.
        drop(left);
    }
}

impl State {
    /// Makes live routines of the hooks of `node`, which this belongs to and which quits. They are to be
    /// called after unlocking.
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

/// A hook that is a live routine, and is to be called.
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
/// To start a thread takes long where there are many hooks, so the caller starts one, which starts the
/// next before it calls its hook. If the system refuses that, the thread calls the others after its
/// own.
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

/// Calls hooks on another thread, the last one first. Gives them back if the system refuses a thread.
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
