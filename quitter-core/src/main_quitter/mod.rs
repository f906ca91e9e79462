//! The main quitter: how it is created, what it listens to, and the end of the program.

pub(crate) mod body;
pub(crate) mod builder;
pub(crate) mod channel;
pub(crate) mod control;
mod dump;
pub(crate) mod ending;
pub(crate) mod exit;
mod exit_async;
pub(crate) mod forced;
mod half_time;
mod late;
mod on_signal;
mod output;
pub(crate) mod run;
pub(crate) mod signal;
pub(crate) mod signal_sources;
pub(crate) mod source;
mod stacks;
mod state;
pub(crate) mod watcher;
