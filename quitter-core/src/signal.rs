//! The operating system's signals. The only file that names ctrlc, signal-hook and libc.
//!
//! A signal is forwarded into a channel as long as the main quitter listens there. When nobody does,
//! since it has exited or is gone, a signal ends the process.

use std::ffi::c_int;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

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

/// The signals that come, by name.
#[derive(Clone)]
pub(crate) struct Signals {
    received: Receiver<&'static str>,
    /// Whether what is in the channel will be taken by the main quitter.
    listened_to: Arc<AtomicBool>,
}

impl Signals {
    pub(crate) fn receiver(&self) -> &Receiver<&'static str> {
        &self.received
    }

    /// Makes every signal end the process that is not taken by the time this returns, but for those
    /// that the caller takes then.
    pub(crate) fn stop_listening(&self) {
        self.listened_to.store(false, Ordering::SeqCst);
    }

    /// Called by whoever forwards, after a signal was sent. Of a signal that comes while the main
    /// quitter stops to listen, exactly one of the two takes it.
    fn exit_if_nobody_listens(&self) {
        if !self.listened_to.load(Ordering::SeqCst) && self.received.try_recv().is_ok() {
            exit_now(SECOND_SIGNAL);
        }
    }
}

/// Starts to listen. The handlers stay for the life of the process.
pub(crate) fn listen() -> io::Result<Signals> {
    // A storm of signals fills this for a moment: two are enough to say all that they say.
    let (forward, received) = bounded(2);
    let signals = Signals {
        received,
        listened_to: Arc::new(AtomicBool::new(true)),
    };
    let also = signals.clone();
    os::listen(move |name| {
        let _full = forward.try_send(name);
        also.exit_if_nobody_listens();
    })?;
    Ok(signals)
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

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level;

    pub(super) fn listen(forward: impl Fn(&'static str) + Send + 'static) -> io::Result<()> {
        let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter();
        let mut signals = Signals::new(wanted.filter(|signal| !disposition::is_ignored(*signal)))?;
        let listener = move || {
            for signal in signals.forever() {
                forward(low_level::signal_name(signal).unwrap_or("signal"));
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

    pub(super) fn listen(forward: impl Fn(&'static str) + Send + 'static) -> io::Result<()> {
        ctrlc::try_set_handler(move || forward("Ctrl-C")).map_err(io::Error::other)
    }
}
