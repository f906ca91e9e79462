//! The end of the process by a signal.

use std::ffi::c_int;

use super::unblock;

/// Ends the process as this signal does by default. Returns if it does not end one.
pub(crate) fn end_by(signal: c_int) {
    // These would stop the process.
    if matches!(signal, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) {
        return;
    }
    // SAFETY: by signal(2) this sets the signal's default action, which is none of this process's functions.
    // A number that is not a signal is refused.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    unblock(&[signal]);
    // SAFETY: raise(3) takes any number, and the signal runs no code of this process: see above.
    unsafe { libc::raise(signal) };
}
