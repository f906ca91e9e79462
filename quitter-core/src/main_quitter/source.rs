//! Quit sources: what tells the main quitter to quit.

use std::borrow::Cow;
use std::ffi::c_int;
use std::fmt;

use crossbeam_channel::Receiver;

use crate::error::MainQuitterError;
use crate::main_quitter::channel::{self, Listen};
use crate::main_quitter::signal::{self, SignalSet};
use crate::report::cause::QuitCause;

/// Tells the main quitter to quit: on a signal of the operating system, on a message or the closing of
/// a channel, or when all work is done.
///
/// # Examples
///
/// ```no_run
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::{MainQuitter, QuitSource};
///
/// let (errors, http_errors) = crossbeam_channel::bounded::<std::io::Error>(1);
/// let main = MainQuitter::new(
///     Duration::from_secs(2),
///     [
///         QuitSource::os_signal(),
///         QuitSource::channel("HTTP server error", http_errors).as_failure(),
///     ],
/// );
/// # let _ = errors;
/// let report = main.exit();
/// ```
pub struct QuitSource {
    pub(crate) description: Cow<'static, str>,
    pub(crate) kind: SourceKind,
    pub(crate) is_failure: bool,
}

pub(crate) enum SourceKind {
    Signals(SignalSet),
    Channel(Box<dyn Listen>),
    AllDone,
}

impl QuitSource {
    /// Fires on the operating system's request to end: SIGINT (Ctrl-C), SIGTERM and SIGHUP on Unix; Ctrl-C,
    /// Ctrl-Break, the closing of the console, logoff and shutdown on Windows.
    ///
    /// A signal that was ignored when the main quitter was made stays ignored: SIGHUP under `nohup`, SIGINT
    /// in a program that a script starts with `&`. A second signal ends the process, with exit code 130,
    /// unless it comes within half a second: see [`SecondSignal`](crate::SecondSignal). On Unix, handlers
    /// that other parts of the program have set are called as before; on Windows a handler that another part
    /// of the program has set with the ctrlc crate is an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let source = quitter::QuitSource::os_signal();
    /// ```
    #[must_use]
    pub fn os_signal() -> Self {
        let signals = SourceKind::Signals(SignalSet::OfTheSystem);
        Self::new("OS interrupt/termination signal", signals)
    }

    /// Fires on one signal, as a source of its own: it has its own index and description, and may be a
    /// failure.
    ///
    /// The signal's number is in [`ExitReport::signal`](crate::ExitReport::signal), its name in the message
    /// of the [`QuitCause`](crate::QuitCause). The source may stand beside [`os_signal`](Self::os_signal),
    /// which then covers the other signals. Handlers that other parts of the program have set are called as
    /// before, and a signal that was ignored when the main quitter was made stays ignored. (Rust programs
    /// ignore SIGPIPE from the start.)
    ///
    /// After the first signal, one of any source is a further signal, and
    /// [`SecondSignal`](crate::SecondSignal) sets its effect. A signal that does not end the program is
    /// listed in [`later_causes`](crate::ExitReport::later_causes), unless its source has fired before.
    ///
    /// A main quitter cannot be made with a signal that no program can handle (SIGKILL, SIGSTOP), that
    /// reports a fault of the program (SIGSEGV, SIGBUS, SIGFPE, SIGILL), or that does not exist: see
    /// [`MainQuitterError::UnusableSignal`](crate::MainQuitterError::UnusableSignal).
    ///
    /// # Examples
    ///
    /// A watchdog's signal is a failure, and an operator's is not:
    ///
    /// ```no_run
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    /// use quitter::{MainQuitter, QuitSource};
    ///
    /// const SIGABRT: i32 = 6;
    /// const SIGTERM: i32 = 15;
    /// let main = MainQuitter::new(
    ///     Duration::from_secs(2),
    ///     [
    ///         QuitSource::signal(SIGTERM),
    ///         QuitSource::signal(SIGABRT).described("watchdog").as_failure(),
    ///     ],
    /// );
    /// let report = main.exit();
    /// if report.signal.is_some_and(|signal| signal.number == SIGABRT) {
    ///     println!("the watchdog found this program stuck");
    /// }
    /// ```
    #[cfg(unix)]
    #[must_use]
    pub fn signal(number: c_int) -> Self {
        let signals = SourceKind::Signals(SignalSet::One(number));
        Self::new("OS signal", signals)
    }

    /// Fires on a message on a channel, or on the loss of all its senders.
    ///
    /// The report shows the message if it is a string, a boxed error, or one of std's common error
    /// types; [`channel_with`](Self::channel_with) shows others. The source fires once: later messages
    /// stay in the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let (sender, receiver) = crossbeam_channel::bounded::<String>(1);
    /// let source = quitter::QuitSource::channel("admin says stop", receiver);
    /// # let _ = sender;
    /// ```
    #[must_use]
    pub fn channel<T: Send + 'static>(
        description: impl Into<Cow<'static, str>>,
        receiver: Receiver<T>,
    ) -> Self {
        Self::new(description, SourceKind::Channel(channel::by_type(receiver)))
    }

    /// Like [`channel`](Self::channel), with a function that turns the message into text.
    ///
    /// If `show` panics or takes longer than 100 ms, the report has no text for the message. `show` delays
    /// the quit by 100 ms at most.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let (sender, receiver) = crossbeam_channel::bounded::<u32>(1);
    /// let source =
    ///     quitter::QuitSource::channel_with("battery low", receiver, |left| format!("{left} %"));
    /// # let _ = sender;
    /// ```
    #[must_use]
    pub fn channel_with<T: Send + 'static>(
        description: impl Into<Cow<'static, str>>,
        receiver: Receiver<T>,
        show: fn(&T) -> String,
    ) -> Self {
        let channel = channel::shown_by(receiver, show);
        Self::new(description, SourceKind::Channel(channel))
    }

    /// Fires when no routine is live any more: for jobs that end by themselves.
    ///
    /// It is armed when [`exit`](crate::MainQuitter::exit) is called or the body of `main` has
    /// returned.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let source = quitter::QuitSource::all_done();
    /// ```
    #[must_use]
    pub fn all_done() -> Self {
        Self::new("all routines done", SourceKind::AllDone)
    }

    /// Replaces the description, which is shown in "Received quit from '…'".
    ///
    /// The default is "OS interrupt/termination signal" for [`os_signal`](Self::os_signal), and "OS signal"
    /// for each [`signal`](Self::signal). If two sources have the same description, a search of the log for
    /// one also finds the other.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let source = quitter::QuitSource::os_signal().described("Ctrl-C");
    /// ```
    #[must_use]
    pub fn described(mut self, description: impl Into<Cow<'static, str>>) -> Self {
        self.description = description.into();
        self
    }

    /// Makes the event of this source a failure: the exit code will be 1.
    ///
    /// The loss of all senders is such an event, too, unless the program is already quitting. If the routines
    /// that own the senders end by themselves, as with [`all_done`](Self::all_done), keep one sender in
    /// `main`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let (sender, receiver) = crossbeam_channel::bounded::<std::io::Error>(1);
    /// let source = quitter::QuitSource::channel("HTTP server error", receiver).as_failure();
    /// # let _ = sender;
    /// ```
    #[must_use]
    pub fn as_failure(mut self) -> Self {
        self.is_failure = true;
        self
    }

    pub(crate) fn is_os_signal(&self) -> bool {
        matches!(self.kind, SourceKind::Signals(SignalSet::OfTheSystem))
    }

    pub(crate) fn signals(&self) -> &[c_int] {
        match &self.kind {
            SourceKind::Signals(set) => set.numbers(),
            _ => &[],
        }
    }

    /// Whether the source can be listened to, as far as that can be known beforehand. `dump_on` is the signal
    /// that asks for dumps.
    pub(crate) fn check(&self, dump_on: Option<c_int>) -> Result<(), MainQuitterError> {
        let SourceKind::Signals(set) = self.kind else {
            return Ok(());
        };
        if let Some(number) = dump_on.filter(|number| set.numbers().contains(number)) {
            return Err(signal::unusable(
                number,
                "it is a quit source, and asks for dumps",
            ));
        }
        match set {
            SignalSet::One(number) => signal::check(number),
            SignalSet::OfTheSystem => Ok(()),
        }
    }

    fn new(description: impl Into<Cow<'static, str>>, kind: SourceKind) -> Self {
        Self {
            description: description.into(),
            kind,
            is_failure: false,
        }
    }
}

impl fmt::Debug for QuitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SourceKind::Signals(SignalSet::OfTheSystem) => "os_signal",
            SourceKind::Signals(SignalSet::One(_)) => "signal",
            SourceKind::Channel(_) => "channel",
            SourceKind::AllDone => "all_done",
        };
        f.debug_struct("QuitSource")
            .field("kind", &kind)
            .field("description", &self.description)
            .field("is_failure", &self.is_failure)
            .finish()
    }
}

/// How the event of a source is reported.
#[derive(Clone)]
pub(crate) struct SourceInfo {
    pub(crate) index: usize,
    pub(crate) description: String,
}

impl SourceInfo {
    /// The event itself, with the text of its message, if there is one.
    pub(crate) fn fired(self, message: Option<String>) -> QuitCause {
        QuitCause::Source {
            index: self.index,
            description: self.description,
            message,
            closed: false,
        }
    }

    /// The event of a channel that was closed.
    pub(crate) fn closed(self) -> QuitCause {
        QuitCause::Source {
            index: self.index,
            description: self.description,
            message: None,
            closed: true,
        }
    }
}
