//! The operating system's signals. The only file that names ctrlc and signal-hook.
//!
//! The first one quits the tree on the thread that the signals come to. The others are forwarded into a
//! channel, to the watcher: it listens there for the rest of the process.

use std::ffi::c_int;
use std::io;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

/// What a signal does that comes after the first one, while the program quits.
///
/// After [`exit`](crate::MainQuitter::exit) has returned, or the main quitter was dropped, a signal
/// always ends the process; but under [`run`](crate::MainQuitterBuilder::run) and
/// [`force_exit`](crate::MainQuitterBuilder::force_exit), where the program is bound to end, this
/// policy goes on.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::{MainQuitter, SecondSignal};
///
/// let builder = MainQuitter::builder()
///     .second_signal(SecondSignal::ExitAfter(Duration::from_millis(500)));
/// ```
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

/// Starts to listen. Each signal's name is offered to `first`, on the thread that the signals come to:
/// every thread less on the way of the first one is a gain. What that does not take comes through
/// the channel. The handlers stay for the life of the process.
pub(crate) fn listen(
    first: impl Fn(&'static str) -> bool + Send + 'static,
) -> io::Result<Receiver<&'static str>> {
    // A storm of signals fills this for a moment: two are enough to say all that they say.
    let (forward, signals) = bounded(2);
    os::listen(move |name| {
        if !first(name) {
            let _full = forward.try_send(name);
        }
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

    use crate::system::is_ignored;

    pub(super) fn listen(forward: impl Fn(&'static str) + Send + 'static) -> io::Result<()> {
        let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter();
        let mut signals = Signals::new(wanted.filter(|signal| !is_ignored(*signal)))?;
        let listener = move || {
            for signal in signals.forever() {
                forward(low_level::signal_name(signal).unwrap_or("signal"));
            }
        };
        let thread = thread::Builder::new().name("quitter signals".to_owned());
        thread.spawn(listener).map(drop)
    }
}

#[cfg(not(unix))]
mod os {
    use std::io;

    pub(super) fn listen(forward: impl Fn(&'static str) + Send + 'static) -> io::Result<()> {
        ctrlc::try_set_handler(move || forward("Ctrl-C")).map_err(io::Error::other)
    }
}
