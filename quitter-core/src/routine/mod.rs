//! Routines: how they are described, started, listed in the tree, and always checked out again.

pub(crate) mod awaiting;
pub(crate) mod builder;
pub(crate) mod current;
pub(crate) mod failing;
pub(crate) mod guard;
pub(crate) mod handle;
pub(crate) mod hook;
pub(crate) mod kind;
mod linger;
pub(crate) mod live;
pub(crate) mod name;
pub(crate) mod on_quit;
pub(crate) mod outcome;
pub(crate) mod panics;
pub(crate) mod panics_in_hooks;
mod polls;
#[cfg(feature = "process")]
pub(crate) mod process;
pub(crate) mod quitter;
pub(crate) mod record;
pub(crate) mod registry;
mod spare;
pub(crate) mod task;
pub(crate) mod ticks;
pub(crate) mod tracked;
