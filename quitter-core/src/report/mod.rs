//! Everything known of a quit, as data and as text, and the thread that writes it.
//!
//! Data: [`cause`], [`failure`], [`timeouts`], [`exit`], and [`path`] for all of them. Text:
//! [`escape`] makes foreign text safe to print, [`text`] has durations and line breaks, [`listing`]
//! writes the list of a report, [`stacks`] what stands below its lines. [`notice`] is everything that is said, [`output`] decides where and
//! when, and [`console`] says it; [`caller`] calls the program's functions for it.

mod caller;
pub(crate) mod cause;
pub(crate) mod console;
pub(crate) mod escape;
pub(crate) mod exit;
pub(crate) mod failure;
mod listing;
pub(crate) mod notice;
pub(crate) mod output;
pub(crate) mod path;
mod stacks;
mod text;
pub(crate) mod timeouts;
pub(crate) mod waiting;
