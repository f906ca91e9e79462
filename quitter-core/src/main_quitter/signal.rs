//! The signals of the operating system. The only file that names ctrlc and signal-hook.
//!
//! One thread receives them, and handles each: the first one quits the tree without a detour, and a
//! further one can end the process whatever the other threads do.

use std::ffi::c_int;
use std::time::Duration;

use crate::error::MainQuitterError;

/// The effect of a further signal while the program quits.
///
/// The default is [`ExitUnlessWithin`](Self::ExitUnlessWithin) half a second: supervisors, coreutils'
/// `timeout` and a terminal that closes send two signals at a time, and mean one. Somebody who presses
/// Ctrl-C again because nothing seems to happen takes longer.
///
/// After [`exit`](crate::MainQuitter::exit) has returned, or the main quitter was dropped, a signal
/// ends the process whatever the policy says, unless it comes as one of such a pair. Under
/// [`run`](crate::MainQuitterBuilder::run) and [`force_exit`](crate::MainQuitterBuilder::force_exit),
/// where the program is bound to end, the policy still applies after the exit.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{MainQuitter, SecondSignal};
///
/// let builder = MainQuitter::builder().second_signal(SecondSignal::ExitAtOnce);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecondSignal {
    /// Ends the process, with the report so far and exit code
    /// [130](crate::exit_code::SECOND_SIGNAL), unless it comes within this time after the first
    /// signal: then it is ignored.
    ExitUnlessWithin(Duration),
    /// Ends the process, however soon it comes after the first one. A program that is stopped by
    /// `timeout` or by closing its terminal gets no time to quit.
    ExitAtOnce,
    /// Nothing happens: only the quit timeout ends the program.
    Ignore,
}

/// The time in which signals come in pairs.
const PAIR: Duration = Duration::from_millis(500);

impl Default for SecondSignal {
    /// [`ExitUnlessWithin`](Self::ExitUnlessWithin) 500 ms.
    fn default() -> Self {
        Self::ExitUnlessWithin(PAIR)
    }
}

impl SecondSignal {
    /// Whether a signal that comes this long after the first one ends the process. `None`: there was
    /// no signal before it.
    pub(crate) fn ends(self, since_first: Option<Duration>) -> bool {
        self != Self::Ignore && !self.is_pair(since_first)
    }

    /// Whether such a signal belongs to the first one.
    pub(crate) fn is_pair(self, since_first: Option<Duration>) -> bool {
        match self {
            Self::ExitUnlessWithin(time) => since_first.is_some_and(|since| since < time),
            Self::ExitAtOnce | Self::Ignore => false,
        }
    }
}

/// The exit code of a program that a signal made quit, if everything returned and nothing failed.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{MainQuitter, SignalExitCode};
///
/// let builder = MainQuitter::builder().signal_exit_code(SignalExitCode::Plus128);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignalExitCode {
    /// 0: it was asked to end, and did. Supervisors and container runtimes take another code for a
    /// failure.
    #[default]
    Zero,
    /// 128 and the number of the signal, as a shell shows a program that a signal has killed: so
    /// `tool && deploy` stops after Ctrl-C.
    Plus128,
}

/// A signal of the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct QuitSignal {
    /// Its number, such as 15. For an event of a Windows console, which has none, that of the signal
    /// that means the same: 2 for Ctrl-C, 1 for the others.
    pub number: i32,
    /// Its name, such as "SIGTERM".
    pub name: &'static str,
}

/// Starts to listen: calls `handle` with each signal, on one thread. The handlers stay for
/// the life of the process; after an error there are none.
pub(crate) fn listen(
    handle: impl Fn(QuitSignal) + Send + Sync + 'static,
) -> Result<(), MainQuitterError> {
    os::listen(handle)
}

/// Ends the process at once: no destructor, no exit handler, no flush.
///
/// It is `_exit`. `std::process::exit` would wait for ever if another thread is already in it, stuck
/// in a destructor, or if stdout is a full pipe that it wants to flush to.
pub(crate) fn exit_now(code: u8) -> ! {
    signal_hook::low_level::exit(c_int::from(code))
}

#[cfg(unix)]
mod os {
    use std::ffi::c_int;
    use std::sync::Arc;
    use std::{io, thread};

    use crossbeam_channel::bounded;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::{flag, low_level};

    use super::QuitSignal;
    use crate::error::MainQuitterError;
    use crate::stands::own;
    use crate::system;

    const SIGNALS: [c_int; 3] = [SIGINT, SIGTERM, SIGHUP];

    pub(super) fn listen(
        handle: impl Fn(QuitSignal) + Send + Sync + 'static,
    ) -> Result<(), MainQuitterError> {
        listen_on(thread::Builder::new(), handle)
    }

    /// The thread first, then the handlers: they cannot be taken back, and without the thread they
    /// would make the process deaf.
    fn listen_on(
        thread: thread::Builder,
        handle: impl Fn(QuitSignal) + Send + Sync + 'static,
    ) -> Result<(), MainQuitterError> {
        let (opened, is_open) = bounded(1);
        let listener = move || {
            let mut signals = match open() {
                Ok(signals) => signals,
                Err(error) => return drop(opened.send(Err(error))),
            };
            let _ = opened.send(Ok(()));
            let _own = own::mark();
            for signal in signals.forever() {
                let name = low_level::signal_name(signal).unwrap_or("signal");
                handle(QuitSignal {
                    number: signal,
                    name,
                });
            }
        };
        let thread = thread.name("quitter signals".to_owned());
        thread.spawn(listener).map_err(MainQuitterError::Thread)?;
        let opened = is_open.recv().unwrap_or_else(|_| {
            let ended = "the thread that handles the signals has ended";
            Err(io::Error::other(ended))
        });
        opened.map_err(MainQuitterError::Signals)
    }

    /// Sets the handlers, on the thread that is to receive the signals. A signal that is ignored
    /// stays ignored. One that is blocked, by whatever started the process, is unblocked on this
    /// thread: one thread that accepts it is enough.
    fn open() -> io::Result<Signals> {
        let heeded = SIGNALS.into_iter();
        let heeded: Vec<_> = heeded
            .filter(|signal| !system::is_ignored(*signal))
            .collect();
        for signal in &heeded {
            // In the child of a fork nobody receives them: there they end the process, as ever.
            flag::register_conditional_default(*signal, Arc::clone(system::forked()))?;
        }
        let signals = Signals::new(&heeded)?;
        system::unblock(&heeded);
        Ok(signals)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_refused_thread_leaves_the_signals_as_they_were() {
            // Nohup ignores one of them.
            let were_default = SIGNALS.map(system::is_default);
            let huge = thread::Builder::new().stack_size(1 << (usize::BITS - 2));
            let refused = listen_on(huge, |_| {}).unwrap_err();
            assert!(
                matches!(refused, MainQuitterError::Thread(_)),
                "{refused:?}"
            );
            assert_eq!(SIGNALS.map(system::is_default), were_default);
        }
    }
}

#[cfg(not(unix))]
mod os {
    use std::io;
    use std::sync::OnceLock;

    use super::QuitSignal;
    use crate::error::MainQuitterError;
    use crate::system;

    type Handle = Box<dyn Fn(QuitSignal) + Send + Sync>;

    static HANDLE: OnceLock<Handle> = OnceLock::new();

    fn handle(name: &'static str) {
        const SIGHUP: i32 = 1;
        const SIGINT: i32 = 2;
        let number = if name == "Ctrl-C" { SIGINT } else { SIGHUP };
        if let Some(handle) = HANDLE.get() {
            handle(QuitSignal { number, name });
        }
    }

    pub(super) fn listen(
        handler: impl Fn(QuitSignal) + Send + Sync + 'static,
    ) -> Result<(), MainQuitterError> {
        let set = ctrlc::try_set_handler(|| handle("Ctrl-C"));
        set.map_err(|error| MainQuitterError::Signals(io::Error::other(error)))?;
        // ctrlc takes one handler in the life of a process: nobody else has set this.
        let _ = HANDLE.set(Box::new(handler));
        // After ctrlc's handler, since the last one is called first.
        system::on_console_close(handle).map_err(MainQuitterError::Signals)
    }
}
