//! The tree: its nodes, the rosters of what is at them, quitting and waiting. This module has all of the
//! tree's locks.
//!
//! These invariants hold; rule numbers refer to `ARCHITECTURE.md`.
//!
//! 1. **A node is quitting, for good, once it or a node above it was told to quit.** A quit is stored only
//!    at the node that was told, and nodes below find it there (`quit.rs`; rules 2 and 3).
//! 2. **Work is listed under its roster's lock, after a check that the node is not quitting** (rule 1). The
//!    walk that follows a quit takes the same lock: either before the newcomer, which then sees the quit,
//!    or after it, and then the walk sees the newcomer.
//! 3. **A node is in the tree as long as something holds it**: a quitter, a live routine or a child.
//!    Parents hold their children weakly, and a node leaves its parent's list when it is dropped (rule 7).
//! 4. **A node's roster is created under the lock of its parent's roster, which lists the node from then
//!    on.** So if a node has a roster, every node above it has one, too.
//! 5. **A tally counts the live routines of a whole subtree.** Every roster of the subtree changes it
//!    under its own lock, together with its list (`tally.rs`; rule 4).
//! 6. **No thread holds two rosters' locks.** The creation of a roster locks only its parent's. A tally's
//!    lock is taken last, and no other lock is taken under it.
//! 7. **Nothing is woken, dropped or called under a lock.** Each step collects what it has to wake in
//!    [`Wakes`], which are performed after unlocking.
//! 8. **Nothing recurses** (rule 8), not even the drop of a chain of nodes.

mod crowd;
mod few;
mod future;
mod hook;
mod list;
mod live;
mod node;
mod policies;
mod quit;
mod roster;
mod shards;
mod tally;
mod wait;
mod waiter;
mod waiters;
mod waker_id;
mod walk;

pub(crate) use future::{DoneWait, QuitWait};
pub(crate) use hook::{Calling, Hook};
pub(crate) use list::{Item, Slot};
pub(crate) use live::{Found, LiveAt};
pub(crate) use node::Node;
pub(crate) use quit::Quit;
pub(crate) use wait::{Excluded, Limits, Step};
pub(crate) use waiter::call_no_wakers;
#[cfg(feature = "process")]
pub(crate) use waiter::wake_futures;

#[cfg(all(test, loom))]
mod models;
