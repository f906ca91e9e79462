//! The operating system's signals. The only file that names ctrlc, signal-hook and libc.
//!
//! A signal is forwarded into a channel as long as the main quitter listens there. When nobody does,
//! since it has exited or is gone, a signal ends the process.

use std::ffi::c_int;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};

/// What a signal does that comes after the first one, while the program quits.
///
/// After [`exit`](crate::MainQuitter::exit) has returned, a signal always ends the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecondSignal {
    /// Ends the process at once, with the report so far and exit code
    /// [130](crate::exit_code::SECOND_SIGNAL).
    #[default]
    Exit,
    /// As [`Exit`](Self::Exit), but an accidental double tap is ignored: nothing happens for so
    /// long after the first signal.
    ExitAfter(Duration),
    /// Nothing happens: only the quit timeout ends the program.
    Ignore,
}

/// The exit code of a process that a second signal ended: 128 and the number of SIGINT, by the
/// shells' convention (`bash(1)`, "EXIT STATUS").
pub const SECOND_SIGNAL: u8 = 130;

/// Starts to listen: the names of the signals come through the channel. Called once in a process:
/// the handlers stay for its life.
pub(crate) fn listen() -> io::Result<Receiver<&'static str>> {
    // A storm of signals fills this for a moment: two are enough to say all that they say.
    let (forward, signals) = crossbeam_channel::bounded(2);
    os::listen(forward)?;
    Ok(signals)
}

/// Makes every signal that comes from now on end the process.
pub(crate) fn stop_listening() {
    LISTENED_TO.store(false, Ordering::SeqCst);
}

/// Whether what is in the channel will be taken.
static LISTENED_TO: AtomicBool = AtomicBool::new(true);

fn forward_or_exit(forward: &Sender<&'static str>, name: &'static str) {
    let sent = forward.try_send(name);
    let is_gone = matches!(sent, Err(TrySendError::Disconnected(_)));
    // Asked after sending: either the watcher, which takes a last look after it has said that it
    // stops, finds the signal, or this finds that it stops.
    if is_gone || !LISTENED_TO.load(Ordering::SeqCst) {
        exit_now(SECOND_SIGNAL);
    }
}

/// Ends the process at once: no destructor, no exit handler, no flush.
///
/// It is `_exit`: `std::process::exit` waits for ever when another thread, stuck in a destructor, is
/// in it already, and when stdout is a full pipe that it wants to flush to.
pub(crate) fn exit_now(code: u8) -> ! {
    signal_hook::low_level::exit(c_int::from(code))
}

#[cfg(unix)]
mod os {
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
}
