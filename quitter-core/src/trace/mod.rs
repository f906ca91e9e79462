//! Spans and events for the feature `tracing`; nothing without it.
//!
//! A subscriber is the program's code: it may panic or never return. So nothing in this module is called
//! under a lock, and a panic of the subscriber is swallowed. Threads that must not be held up (the watcher,
//! those of the signals and of the console, one that tells a whole tree to quit) hand their events to a
//! thread for them. A routine reports on itself on its own thread, in its span.

#[cfg(not(feature = "tracing"))]
mod off;
#[cfg(feature = "tracing")]
mod on;

#[cfg(not(feature = "tracing"))]
pub(crate) use off::*;
#[cfg(feature = "tracing")]
pub(crate) use on::*;
