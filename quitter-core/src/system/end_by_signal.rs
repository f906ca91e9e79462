//! The end of the process by a signal.

use std::ffi::c_int;

use signal_hook::consts::{SIGTSTP, SIGTTIN, SIGTTOU};
use signal_hook::low_level;

use super::unblock;

/// Ends the process as this signal does by default. Returns if it does not end one.
pub(crate) fn end_by(signal: c_int) {
    // These would stop the process.
    if matches!(signal, SIGTSTP | SIGTTIN | SIGTTOU) {
        return;
    }
    // SAFETY: by signal(2) this sets the signal's default action, which is none of this process's functions.
    // A number that is not a signal is refused.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    unblock(&[signal]);
    let _ = low_level::raise(signal);
}
