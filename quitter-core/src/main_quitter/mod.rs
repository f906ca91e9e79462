//! The main quitter: how it is created, what it listens to, and the end of the program.

pub(crate) mod body;
pub(crate) mod builder;
pub(crate) mod exit;
pub(crate) mod forced;
mod late;
mod output;
pub(crate) mod phase;
pub(crate) mod run;
pub(crate) mod signal;
pub(crate) mod source;
mod stacks;
pub(crate) mod watcher;
