//! Calls that block are to block no thread that polls tasks.

use crate::routine::record::Place;

/// To be called before `call` blocks, if `has_to_wait` says that it does: says once in the process if
/// that keeps tasks from being polled, and what to use instead. Without the feature `tokio` nothing is
/// known of tasks.
#[inline]
pub(crate) fn say(
    call: &'static str,
    instead: &'static str,
    at: Place,
    has_to_wait: impl FnOnce() -> bool,
) {
    #[cfg(feature = "tokio")]
    crate::on_tokio::blocking::say(call, instead, at, has_to_wait);
    #[cfg(not(feature = "tokio"))]
    let _ = (call, instead, at, has_to_wait);
}
