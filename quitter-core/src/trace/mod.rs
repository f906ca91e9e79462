//! Spans and events for the feature `tracing`; nothing where it is off.
//!
//! A subscriber is the program's code: it may panic or never return. So nothing here is called under a
//! lock. A panic of the subscriber is swallowed. What must not be held up (the watcher, the threads of
//! the signals and of the console, whoever tells a whole tree to quit) hands its events to a thread of
//! their own. A routine tells of itself on its own thread, in its span.

#[cfg(not(feature = "tracing"))]
mod off;
#[cfg(feature = "tracing")]
mod on;

#[cfg(not(feature = "tracing"))]
pub(crate) use off::*;
#[cfg(feature = "tracing")]
pub(crate) use on::*;
