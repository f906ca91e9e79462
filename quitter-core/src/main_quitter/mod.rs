//! The main quitter: its sources, the thread that watches them, and the exit.

pub(crate) mod body;
pub(crate) mod builder;
pub(crate) mod events;
pub(crate) mod exit;
pub(crate) mod signal;
pub(crate) mod source;
pub(crate) mod watcher;
