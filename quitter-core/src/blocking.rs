//! Warns about calls that block a thread which polls tasks.

use crate::routine::record::Place;

/// Warns, once per process, if `call` is about to block and keeps tasks from being polled, and says what to
/// use `instead`. To be called before `call` blocks; `has_to_wait` tells whether it will. Does nothing
/// without the feature `tokio`, since nothing is known of tasks then.
#[inline]
pub(crate) fn warn_if_blocking(
    call: &'static str,
    instead: &'static str,
    at: Place,
    has_to_wait: impl FnOnce() -> bool,
) {
    #[cfg(feature = "tokio")]
    crate::on_tokio::blocking::warn_if_blocking(call, instead, at, has_to_wait);
    #[cfg(not(feature = "tokio"))]
    let _ = (call, instead, at, has_to_wait);
}
