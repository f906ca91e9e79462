//! The signals of the operating system. The only file that names ctrlc and signal-hook.
//!
//! One thread receives the signals that are known when the main quitter is made, and handles each: the first
//! one quits the tree directly, and a further one can end the process whatever the other threads do.
//!
//! The system delivers a signal to any thread that accepts it, and prefers the first thread of the process.
//! That is why other threads sometimes [leave signals to this thread](leave_to_listener):
//!
//! * While the main quitter is made. The handler is installed a moment before it has anything to do, and a
//!   signal that comes in between would be lost. Threads that are started meanwhile accept these signals only
//!   while they [run code of the program](crate::system::accepting_signals).
//! * While the exit waits. If its thread took a signal on a busy machine, it would wait for a time slice only
//!   to wake the thread that handles the signal.

use std::borrow::Cow;
use std::ffi::c_int;
use std::iter;
use std::slice;
use std::sync::OnceLock;
use std::time::Duration;

use crate::error::MainQuitterError;
#[cfg(unix)]
use crate::system;

/// The effect of a further signal while the program quits.
///
/// The default is [`ExitUnlessWithin`](Self::ExitUnlessWithin) half a second: supervisors, coreutils'
/// `timeout` and a terminal that closes send two signals at a time, and mean one. A person who presses Ctrl-C
/// again because nothing seems to happen takes longer.
///
/// If the program quits for another reason than a signal, such as a failure, the first signal ends nothing under
/// any of the policies: it is listed in [`later_causes`](crate::ExitReport::later_causes), and a line says that
/// a further signal ends the program, unless the policy is `Ignore`. The policy applies to the signals after it.
///
/// After [`exit`](crate::MainQuitter::exit) has returned, or the main quitter was dropped, a signal
/// ends the process whatever the policy says, unless it comes as one of such a pair. If it is the first
/// signal, the process has half a second to end by itself. Under
/// [`run`](crate::MainQuitterBuilder::run) and [`force_exit`](crate::MainQuitterBuilder::force_exit),
/// where the program is bound to end, the policy still applies after the exit.
///
/// If a signal ends the process, no destructors run; the function for
/// [`before_report`](crate::MainQuitterBuilder::before_report) does, if it has not run yet.
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
    /// Ends the process, with the report so far and exit code [130](crate::exit_code::SECOND_SIGNAL), or by the
    /// signal itself with [`SignalExitCode::Raise`]. A signal within this time after the first one is ignored.
    ExitUnlessWithin(Duration),
    /// Ends the process, however soon the signal comes after the first one. A program that is stopped by
    /// `timeout` or by closing its terminal gets no time to quit.
    ExitAtOnce,
    /// Ignores the signal: only the quit timeout ends the program.
    Ignore,
}

/// The time within which two signals are a pair.
const PAIR: Duration = Duration::from_millis(500);

impl Default for SecondSignal {
    /// [`ExitUnlessWithin`](Self::ExitUnlessWithin) 500 ms.
    fn default() -> Self {
        Self::ExitUnlessWithin(PAIR)
    }
}

impl SecondSignal {
    /// Whether a signal that comes this long after the first one ends the process. `None`: it is the first
    /// one.
    pub(crate) fn ends(self, since_first: Option<Duration>) -> bool {
        self != Self::Ignore && !self.is_pair(since_first)
    }

    /// Whether a signal that comes this long after the first one is a pair with it.
    pub(crate) fn is_pair(self, since_first: Option<Duration>) -> bool {
        match self {
            Self::ExitUnlessWithin(time) => since_first.is_some_and(|since| since < time),
            Self::ExitAtOnce | Self::Ignore => false,
        }
    }
}

/// How a program that a signal made quit ends, if everything returned and nothing failed.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{MainQuitter, SignalExitCode};
///
/// let builder = MainQuitter::builder().signal_exit_code(SignalExitCode::Raise);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignalExitCode {
    /// 0: the program was asked to end, and did. Supervisors and container runtimes take any other code for a
    /// failure.
    #[default]
    Zero,
    /// 128 plus the number of the signal, as shells report a program that a signal has killed, so that
    /// `tool && deploy` stops after Ctrl-C.
    Plus128,
    /// No exit code: when `main` has returned its report and stdout is flushed, the signal ends the program as
    /// it would have done by default. A shell then knows that the user has interrupted the program, and also
    /// ends a loop or a script that runs it. With a code of 128 + n, bash goes on.
    ///
    /// A program that calls [`report`](std::process::Termination::report) itself has decided by that: the
    /// signal ends it even if `main` then returns another exit code. To choose another code, write it to
    /// [`exit_code`](crate::ExitReport::exit_code) before.
    ///
    /// A second signal that ends the program does so in this way, too, after the report. [`ExitReport`]s have
    /// the code 128 + n, and the program ends with it where the signal does not end it: on Windows; in the
    /// first process of a container; after SIGTSTP, SIGTTIN and SIGTTOU, which stop a program, and signals
    /// that do nothing by default. SIGQUIT and SIGABRT leave a core dump, if the system is set up for that.
    ///
    /// Exit handlers (`atexit`) of C code do not run.
    ///
    /// [`ExitReport`]: crate::ExitReport
    Raise,
}

/// A signal of the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct QuitSignal {
    /// The signal's number, such as 15. An event of a Windows console has none, and gets that of the signal
    /// with the same meaning: 2 for Ctrl-C, 1 for the others.
    pub number: i32,
    /// The signal's name, such as "SIGTERM", or "signal 40" for a real-time signal.
    pub name: &'static str,
}

impl QuitSignal {
    /// The code with which shells report a program that this signal has killed.
    pub(crate) fn exit_code(self) -> u8 {
        // Signals that end a program have small numbers.
        128 + u8::try_from(self.number).unwrap_or(0)
    }

    /// Ends the process as this signal does by default. Returns if it does not end one.
    pub(crate) fn end_process(self) {
        #[cfg(unix)]
        system::end_by(self.number);
    }

    /// Makes this signal end the process once `main` has returned. By then, std has flushed stdout as it does
    /// for any program: it neither waits for a thread that holds stdout nor leaves out what can be written.
    pub(crate) fn end_at_exit(self) {
        #[cfg(unix)]
        os::end_at_exit(self.number);
    }
}

/// The signals that were quit events, by the index of their source. A process has one main quitter, so an
/// index names one source for good.
///
/// The list is read without a lock, since the end by force waits for none. It stays short, since a source
/// fires once.
pub(crate) struct QuitSignals(OnceLock<Box<Noted>>);

struct Noted {
    index: usize,
    signal: QuitSignal,
    later: QuitSignals,
}

impl QuitSignals {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    fn iter(&self) -> impl Iterator<Item = &Noted> {
        let all = iter::successors(self.0.get(), |before| before.later.0.get());
        all.map(Box::as_ref)
    }

    pub(crate) fn note(&self, index: usize, signal: QuitSignal) {
        loop {
            let end = self.iter().last().map_or(self, |last| &last.later);
            let noted = Noted {
                index,
                signal,
                later: Self::new(),
            };
            // Another thread may have set it first.
            if end.0.set(Box::new(noted)).is_ok() {
                return;
            }
        }
    }

    /// The signal that fired the source of this index.
    pub(crate) fn of_source(&self, index: usize) -> Option<QuitSignal> {
        let of_source = self.iter().filter(|noted| noted.index == index);
        // An earlier entry is that of a main quitter that could not be made.
        of_source.last().map(|noted| noted.signal)
    }
}

/// The signals that ask a program to end on this system.
pub(crate) use os::OF_THE_SYSTEM;

/// The signals of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalSet {
    /// The system's requests to end.
    OfTheSystem,
    #[cfg_attr(not(unix), allow(dead_code, reason = "there are no others"))]
    One(c_int),
}

impl SignalSet {
    pub(crate) fn numbers(&self) -> &[c_int] {
        match self {
            Self::OfTheSystem => &OF_THE_SYSTEM,
            Self::One(number) => slice::from_ref(number),
        }
    }
}

/// Starts to listen: calls `handle` with each of these signals, on one thread. The handlers stay for the life
/// of the process; an error leaves none behind.
pub(crate) fn listen(
    signals: &[c_int],
    handle: impl Fn(QuitSignal) + Send + Sync + 'static,
) -> Result<(), MainQuitterError> {
    leave_to_listener(signals, || os::listen(signals, handle))
}

/// Calls `f` while this thread does not accept these signals.
pub(crate) fn leave_to_listener<T>(signals: &[c_int], f: impl FnOnce() -> T) -> T {
    #[cfg(unix)]
    let _until_then = system::Blocked::new(signals);
    #[cfg(not(unix))]
    let _ = signals;
    f()
}

/// Checks that a program can listen to this signal.
pub(crate) fn check(number: c_int) -> Result<(), MainQuitterError> {
    match os::unusable(number) {
        Some(reason) => Err(unusable(number, reason)),
        None => Ok(()),
    }
}

pub(crate) fn unusable(number: c_int, reason: &'static str) -> MainQuitterError {
    MainQuitterError::UnusableSignal {
        number,
        name: name(number),
        reason,
    }
}

/// The number of the signal of this name, if this system has one.
pub(crate) fn number(name: &str) -> Option<c_int> {
    (1..=64).find(|number| signal_hook::low_level::signal_name(*number) == Some(name))
}

fn name(number: c_int) -> Cow<'static, str> {
    match signal_hook::low_level::signal_name(number) {
        Some(name) => name.into(),
        None => format!("signal {number}").into(),
    }
}

/// Ends the process at once: no destructor, no exit handler, no flush.
///
/// This is `_exit`. `std::process::exit` would never return if another thread is already in it, stuck in a
/// destructor, or if it wants to flush stdout to a full pipe.
pub(crate) fn exit_now(code: u8) -> ! {
    signal_hook::low_level::exit(c_int::from(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_that_of_the_main_quitter_that_could_be_made() {
        let signals = QuitSignals::new();
        let signal = |number, name| QuitSignal { number, name };
        let (first, second) = (signal(1, "first"), signal(2, "second"));
        signals.note(0, first);
        signals.note(1, first);
        signals.note(0, second);
        let of_sources = [0, 1, 2].map(|index| signals.of_source(index));
        assert_eq!(of_sources, [Some(second), Some(first), None]);
    }
}

#[cfg(unix)]
mod os {
    use std::borrow::Cow;
    use std::ffi::c_int;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering};
    use std::{io, thread};

    use crossbeam_channel::bounded;
    use signal_hook::consts::{FORBIDDEN, SIGBUS, SIGHUP, SIGINT, SIGKILL, SIGSTOP, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::{flag, low_level};

    use super::QuitSignal;
    use crate::error::MainQuitterError;
    use crate::stands::own;
    use crate::system;
    use crate::trace;

    pub(crate) const OF_THE_SYSTEM: [c_int; 3] = [SIGINT, SIGTERM, SIGHUP];

    /// Why a signal cannot be listened to. `None`: it can.
    pub(super) fn unusable(signal: c_int) -> Option<&'static str> {
        match signal {
            SIGKILL | SIGSTOP => Some("no program can handle it"),
            // The system would send it again and again.
            SIGBUS => Some(FAULT),
            _ if FORBIDDEN.contains(&signal) => Some(FAULT),
            _ if !system::is_signal(signal) => Some("there is no such signal"),
            _ => None,
        }
    }

    const FAULT: &str = "it reports a fault of the program, which cannot go on after it";

    pub(super) fn listen(
        signals: &[c_int],
        handle: impl Fn(QuitSignal) + Send + Sync + 'static,
    ) -> Result<(), MainQuitterError> {
        listen_on(thread::Builder::new(), signals, handle)
    }

    pub(super) fn end_at_exit(signal: c_int) {
        static SIGNAL: AtomicI32 = AtomicI32::new(0);

        extern "C" fn at_exit() {
            // The handler that does so was registered earlier, so it would have come later.
            #[cfg(feature = "process")]
            crate::routine::process::kill_all();
            system::end_by(SIGNAL.load(Ordering::Relaxed));
        }
        SIGNAL.store(signal, Ordering::Relaxed);
        system::at_exit(at_exit);
    }

    /// Starts the thread before it sets the handlers: they cannot be removed, and without the thread the
    /// process would be deaf to the signals.
    fn listen_on(
        thread: thread::Builder,
        signals: &[c_int],
        handle: impl Fn(QuitSignal) + Send + Sync + 'static,
    ) -> Result<(), MainQuitterError> {
        let (opened, is_open) = bounded(1);
        let known: Vec<_> = signals.iter().map(|number| known(*number)).collect();
        let listener = move || -> io::Result<()> {
            let mut signals = open(&known)?;
            let _ = opened.send(());
            trace::this_thread_never_waits();
            let _own = own::mark();
            system::run_soon();
            for number in signals.forever() {
                let signal = known.iter().find(|signal| signal.number == number);
                signal.copied().into_iter().for_each(&handle);
            }
            Ok(())
        };
        let thread = thread.name("quitter signals".to_owned());
        let thread = thread.spawn(listener).map_err(MainQuitterError::Thread)?;
        if is_open.recv().is_ok() {
            return Ok(());
        }
        let error = match thread.join() {
            Ok(Err(error)) => error,
            _ => io::Error::other("the thread that handles the signals has ended"),
        };
        Err(MainQuitterError::Signals(error))
    }

    /// A signal with its name. A name that is made here is leaked: it lives as long as the process, like the
    /// handlers.
    fn known(number: c_int) -> QuitSignal {
        let name = match super::name(number) {
            Cow::Borrowed(name) => name,
            Cow::Owned(name) => name.leak(),
        };
        QuitSignal { number, name }
    }

    /// Sets the handlers, on the thread that will receive the signals. A signal that is ignored stays
    /// ignored. One that was blocked when the process was started is unblocked on this thread: one thread
    /// that accepts it is enough.
    fn open(signals: &[QuitSignal]) -> io::Result<Signals> {
        let numbers = signals.iter().map(|signal| signal.number);
        let heeded: Vec<_> = numbers
            .filter(|number| !system::is_ignored(*number))
            .collect();
        // First, so that a signal that arrives meanwhile is received.
        let signals = Signals::new(&heeded)?;
        for number in &heeded {
            // The child of a fork has no thread that receives the signals: there they end the process, as
            // they do by default. The default of real-time signals is not known.
            if low_level::signal_name(*number).is_some() {
                flag::register_conditional_default(*number, Arc::clone(system::forked()))?;
            }
        }
        system::unblock(&heeded);
        Ok(signals)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        #[cfg(target_os = "linux")]
        fn the_thread_that_handles_signals_runs_soon() {
            let (tell, time_slices) = bounded(1);
            let handle = move |_| tell.send(system::time_slice()).unwrap();
            let signal = signal_hook::consts::SIGALRM;
            listen_on(thread::Builder::new(), &[signal], handle).unwrap();
            low_level::raise(signal).unwrap();
            let soon = || {
                system::run_soon();
                system::time_slice()
            };
            assert_eq!(
                time_slices.recv().unwrap(),
                thread::spawn(soon).join().unwrap()
            );
        }

        #[test]
        fn a_refused_thread_leaves_the_signals_as_they_were() {
            // `nohup` ignores one of them.
            let were_default = OF_THE_SYSTEM.map(system::is_default);
            let half_of_all = isize::MAX.unsigned_abs() & !0xffff;
            let huge = || thread::Builder::new().stack_size(half_of_all);
            // A 32-bit address space may have room for one such stack, but not for two.
            let (_let_go, hold) = bounded::<()>(0);
            let _first = huge().spawn(move || hold.recv());
            let refused = listen_on(huge(), &OF_THE_SYSTEM, |_| {}).unwrap_err();
            assert!(
                matches!(refused, MainQuitterError::Thread(_)),
                "{refused:?}"
            );
            assert_eq!(OF_THE_SYSTEM.map(system::is_default), were_default);
        }
    }
}

#[cfg(not(unix))]
mod os {
    use std::ffi::c_int;
    use std::io;
    use std::sync::OnceLock;

    use super::QuitSignal;
    use crate::error::MainQuitterError;
    use crate::system;
    use crate::trace;

    type Handle = Box<dyn Fn(QuitSignal) + Send + Sync>;

    static HANDLE: OnceLock<Handle> = OnceLock::new();

    const SIGHUP: c_int = 1;
    const SIGINT: c_int = 2;

    pub(crate) const OF_THE_SYSTEM: [c_int; 2] = [SIGINT, SIGHUP];

    /// No source is a single signal on this system.
    pub(super) fn unusable(_: c_int) -> Option<&'static str> {
        None
    }

    fn handle(name: &'static str) {
        let number = if name == "Ctrl-C" { SIGINT } else { SIGHUP };
        trace::this_thread_never_waits();
        if let Some(handle) = HANDLE.get() {
            handle(QuitSignal { number, name });
        }
    }

    pub(super) fn listen(
        _: &[c_int],
        handler: impl Fn(QuitSignal) + Send + Sync + 'static,
    ) -> Result<(), MainQuitterError> {
        let set = ctrlc::try_set_handler(|| handle("Ctrl-C"));
        set.map_err(|error| MainQuitterError::Signals(io::Error::other(error)))?;
        // ctrlc accepts one handler in the life of a process, so nobody else has set this.
        let _ = HANDLE.set(Box::new(handler));
        // After ctrlc's handler, since the system calls the last one first.
        system::on_console_close(handle).map_err(MainQuitterError::Signals)
    }
}
