//! The operating system's signals. The only file that names ctrlc, signal-hook and libc.
//!
//! A signal is forwarded into a channel as long as somebody listens there. When nobody does, since
//! the first signal was received or the main quitter is gone, a signal ends the process with exit
//! code 130: that is how a second Ctrl-C ends a program that does not quit, and a first one a
//! program that has.

use std::io;

use crossbeam_channel::{Receiver, Sender};

/// The exit code of a process that a second signal ended: 128 and the number of SIGINT, by the
/// shells' convention (`bash(1)`, "EXIT STATUS").
pub const SECOND_SIGNAL: u8 = 130;

/// Starts to listen: the names of the signals come through the channel. Called once in a process:
/// the handlers stay for its life.
pub(crate) fn listen() -> io::Result<Receiver<&'static str>> {
    // Room for one: what else comes before that one is taken is a second signal.
    let (forward, signals) = crossbeam_channel::bounded(1);
    os::listen(forward)?;
    Ok(signals)
}

fn forward_or_exit(forward: &Sender<&'static str>, name: &'static str) {
    if forward.try_send(name).is_err() {
        os::exit(SECOND_SIGNAL);
    }
}

/// Ends the process at once: no destructor, no exit handler, no flush.
pub(crate) fn exit_now(code: u8) -> ! {
    os::exit(code)
}

#[cfg(unix)]
mod os {
    use std::ffi::c_int;
    use std::{io, thread};

    use crossbeam_channel::Sender;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level;

    use super::forward_or_exit;

    pub(super) fn listen(forward: Sender<&'static str>) -> io::Result<()> {
        let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter();
        let mut signals = Signals::new(wanted.filter(|signal| !disposition::is_ignored(*signal)))?;
        let listener = move || {
            for signal in signals.forever() {
                forward_or_exit(&forward, low_level::signal_name(signal).unwrap_or("signal"));
            }
        };
        let thread = thread::Builder::new().name("quitter signals".to_owned());
        thread.spawn(listener).map(drop)
    }

    pub(super) fn exit(code: u8) -> ! {
        low_level::exit(c_int::from(code))
    }

    mod disposition {
        //! Whether a signal is ignored. No safe crate tells without changing it.
        #![allow(unsafe_code)]

        use std::ffi::c_int;
        use std::{mem, ptr};

        pub(super) fn is_ignored(signal: c_int) -> bool {
            // SAFETY: `sigaction` is a C struct of integers and a set of bits, all valid as zero.
            let mut now: libc::sigaction = unsafe { mem::zeroed() };
            // SAFETY: by sigaction(2) a null new action changes nothing, and the old one is
            // written to `now`, which is of its type, exclusively borrowed and lives on.
            let done = unsafe { libc::sigaction(signal, ptr::null(), &raw mut now) } == 0;
            done && now.sa_sigaction == libc::SIG_IGN
        }
    }
}

#[cfg(not(unix))]
mod os {
    use std::io;

    use crossbeam_channel::Sender;

    use super::forward_or_exit;

    pub(super) fn listen(forward: Sender<&'static str>) -> io::Result<()> {
        ctrlc::try_set_handler(move || forward_or_exit(&forward, "Ctrl-C"))
            .map_err(io::Error::other)
    }

    pub(super) fn exit(code: u8) -> ! {
        std::process::exit(i32::from(code))
    }
}
