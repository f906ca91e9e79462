//! The tree: nodes, what is to be found at them, quitting and waiting. All of its locks are here.
//!
//! These invariants hold; the numbers of the rules are those of `ARCHITECTURE.md`.
//!
//! 1. **A node quits if it, or one above it, was told to, for good.** A quit is stored at its own
//!    node alone and is found from below (`quit.rs`; rules 2 and 3).
//! 2. **Work is listed under its roster's lock, after a check that the node does not quit** (rule 1).
//!    A walk that follows the quit takes the same lock: either before the newcomer, which then sees
//!    the quit, or after it, and then the walk sees the newcomer.
//! 3. **A node is in the tree as long as somebody holds it**: a quitter, a live routine or a child.
//!    Parents hold their children weakly, and a node leaves its parent's list when it is dropped
//!    (rule 7).
//! 4. **A node's roster is made under the lock of its parent's, which lists the node from then on.**
//!    So where there is a roster there is one at every node above.
//! 5. **A tally counts the live routines of a whole subtree.** Every roster of the subtree changes it
//!    under its own lock, together with its list (`tally.rs`; rule 4).
//! 6. **No thread holds two rosters' locks**, but for the making of a roster, which locks its
//!    parent's alone. A tally's lock is taken last and alone, too.
//! 7. **Nothing is woken, dropped or called under a lock.** Each step gathers what it has to wake as
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

#[cfg(all(test, loom))]
mod models;
