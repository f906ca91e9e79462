//! Everything known about a quit, as data and as text, and the thread that writes it.
//!
//! Data: [`cause`], [`failure`], [`timeouts`], [`slow`], [`exit`], and [`path`] for all of them. Text:
//! [`escape`] makes foreign text safe to print, [`text`] has durations and line breaks, [`listing`]
//! writes the list of a report, [`alike`] the lines that routines share, [`standing`] what threads stand
//! on, and [`stacks`] the stacks below these lines. [`look`] asks the system. [`notice`] has everything that
//! quitter says, [`output`] decides where and when, and [`console`] says it, job by job from its [`queue`].
//! [`caller`] calls the program's functions.

mod alike;
pub(crate) mod caller;
pub(crate) mod cause;
pub(crate) mod console;
pub(crate) mod dump;
pub(crate) mod escape;
pub(crate) mod exit;
pub(crate) mod failure;
#[cfg(feature = "serde")]
mod json;
mod listing;
pub(crate) mod look;
pub(crate) mod notice;
pub(crate) mod output;
pub(crate) mod outside;
pub(crate) mod path;
pub(crate) mod picture;
mod queue;
pub(crate) mod slow;
pub(crate) mod snapshot;
mod stacks;
mod standing;
pub(crate) mod text;
pub(crate) mod timeouts;
mod waited_for;
pub(crate) mod waiting;
