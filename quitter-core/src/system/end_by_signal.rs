//! The end of the process by a signal.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, Ordering};

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

/// The signal for [`end_by_at_exit`].
static AT_EXIT: AtomicI32 = AtomicI32::new(0);

/// Makes this signal end the process, as [`end_by`] does, once `main` has returned. By then, std has flushed
/// stdout, as it does for any program: it neither waits for a thread that holds stdout nor leaves out what can
/// be written.
pub(crate) fn end_by_at_exit(signal: c_int) {
    extern "C" fn at_exit() {
        end_by(AT_EXIT.load(Ordering::Relaxed));
    }
    AT_EXIT.store(signal, Ordering::Relaxed);
    // SAFETY: the handler is a function of this process, and unwinds nowhere. It takes no lock, so it may run
    // amid whatever other threads do. If there is no memory for one more handler, the process ends with its
    // exit code.
    unsafe { libc::atexit(at_exit) };
}
