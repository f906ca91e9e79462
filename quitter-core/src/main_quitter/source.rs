//! Quit sources: what tells the main quitter to quit.

use std::any::Any;
use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error;
use std::ffi::c_int;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Select, SelectedOperation, bounded};

use crate::error::{MainQuitterError, full_text};
use crate::main_quitter::signal::{self, SignalSet};
use crate::report::cause::QuitCause;
use crate::report::timeouts::Timeouts;
use crate::routine::panics;
use crate::threads;

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

/// The kinds of source.
pub(crate) enum SourceKind {
    Signals(SignalSet),
    Channel(Box<dyn Listen>),
    AllDone,
}

impl QuitSource {
    /// The operating system's request to end: SIGINT (Ctrl-C), SIGTERM and SIGHUP on Unix; Ctrl-C,
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

    /// One signal, as a source of its own: it has its own index and description, and may be a failure.
    ///
    /// Its number is in [`ExitReport::signal`](crate::ExitReport::signal), its name in the message of the
    /// [`QuitCause`](crate::QuitCause). It may stand beside [`os_signal`](Self::os_signal), which then
    /// covers the other signals. Handlers that other parts of the program have set are called as before,
    /// and a signal that was ignored when the main quitter was made stays ignored. (Rust programs
    /// ignore SIGPIPE from the start.)
    ///
    /// While the program quits, a signal of any source is a further signal, and
    /// [`SecondSignal`](crate::SecondSignal) says what it does. One that does not end the program is listed
    /// in [`later_causes`](crate::ExitReport::later_causes).
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

    /// A message on a channel, or the loss of all its senders.
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
        let channel = Channel {
            receiver,
            plain: true,
            show: shown_by_type,
        };
        Self::new(description, SourceKind::Channel(Box::new(channel)))
    }

    /// Like [`channel`](Self::channel), with a function that makes a text of the message.
    ///
    /// If `show` panics or takes longer than 100 ms, the report does without the text. It delays the
    /// quit by 100 ms at most.
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
        let channel = Channel {
            receiver,
            plain: false,
            show: move |message: &T| Some(show(message)),
        };
        Self::new(description, SourceKind::Channel(Box::new(channel)))
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
    /// That of [`os_signal`](Self::os_signal) is "OS interrupt/termination signal", and that of each
    /// [`signal`](Self::signal) is "OS signal". If two sources are described alike, a search of the log for
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
    /// The loss of all senders is such an event, too, unless the program is already quitting. If the
    /// routines that own the senders end by themselves, as with [`all_done`](Self::all_done), keep one
    /// sender in `main`.
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

    /// The signals that this listens to.
    pub(crate) fn signals(&self) -> &[c_int] {
        match &self.kind {
            SourceKind::Signals(set) => set.numbers(),
            _ => &[],
        }
    }

    /// Whether the source can be listened to, as far as that can be told beforehand. `dump_on` is the
    /// signal that asks for dumps.
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
    pub(crate) fn cause(self, message: Option<String>, closed: bool) -> QuitCause {
        QuitCause::Source {
            index: self.index,
            description: self.description,
            message,
            closed,
        }
    }
}

/// The event of a channel.
pub(crate) enum Heard {
    /// A string.
    Text(String),
    /// Another message. To show it and to drop it may run the user's code.
    Message(Box<dyn Shown>),
    Closed,
}

/// The receiver of a quit source, whatever the type of its messages.
pub(crate) trait Listen: Send {
    /// Adds the receiver to a select.
    fn add_to<'a>(&'a self, select: &mut Select<'a>) -> usize;
    /// Completes the operation that the select has chosen. Runs none of the user's code.
    fn receive(&self, operation: SelectedOperation<'_>) -> Heard;
}

/// Receivers that are done with. They are kept: the last receiver of a channel drops the messages in
/// it, and that is the user's code, which may never end. In a static, so that no leak checker minds.
static KEPT: Mutex<Vec<Box<dyn Listen>>> = Mutex::new(Vec::new());

/// Lets go of a receiver without dropping it.
pub(crate) fn keep(channel: Box<dyn Listen>) {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.push(channel);
}

/// A message and the function that shows it. Both are the user's code: they may panic or block.
pub(crate) trait Shown: Send {
    fn text(&self) -> Option<String>;
}

/// Shows and drops `message` on a thread of its own, and waits this long for the text. `None`: it has
/// no text, or that took longer. If the thread is refused the message is leaked: its drop may block.
pub(crate) fn text_within(message: Box<dyn Shown>, timeout: Duration) -> Option<String> {
    // The text goes past the channel: for each type of message there are 15 KB of code in a program.
    let (showing, is_shown) = bounded::<Infallible>(0);
    let text = Arc::new(OnceLock::new());
    let shown = Arc::clone(&text);
    let show = move |message: Box<dyn Shown>| {
        let text = panics::catch(|| message.text(), |_| ());
        let _ = text.flatten().map(|text| shown.set(text));
        drop(showing);
        panics::drop_quietly(message);
    };
    let started = threads::start_with("quitter message", message, show);
    if let Err((message, _refused)) = started {
        std::mem::forget(message);
        return None;
    }
    let _closed = is_shown.recv_timeout(timeout);
    text.get().cloned()
}

/// A receiver and the function that shows its messages.
struct Channel<T, S> {
    receiver: Receiver<T>,
    /// Whether strings are shown without `show`.
    plain: bool,
    show: S,
}

struct Message<T, S> {
    message: T,
    show: S,
}

impl<T: Send, S: Fn(&T) -> Option<String> + Send> Shown for Message<T, S> {
    fn text(&self) -> Option<String> {
        (self.show)(&self.message)
    }
}

impl<T, S> Listen for Channel<T, S>
where
    T: Send + 'static,
    S: Fn(&T) -> Option<String> + Copy + Send + 'static,
{
    fn add_to<'a>(&'a self, select: &mut Select<'a>) -> usize {
        select.recv(&self.receiver)
    }

    fn receive(&self, operation: SelectedOperation<'_>) -> Heard {
        // For crossbeam a closed channel is ready, too: only the operation tells the two apart.
        let Ok(message) = operation.recv(&self.receiver) else {
            return Heard::Closed;
        };
        match self.plain.then(|| plain_text(&message)).flatten() {
            Some(text) => Heard::Text(text),
            None => Heard::Message(Box::new(Message {
                message,
                show: self.show,
            })),
        }
    }
}

fn text_of<M: ToString + 'static>(message: &dyn Any) -> Option<String> {
    message.downcast_ref::<M>().map(ToString::to_string)
}

/// The text of a string, which is shown and dropped without the user's code.
fn plain_text<T: 'static>(message: &T) -> Option<String> {
    text_of::<String>(message).or_else(|| text_of::<&'static str>(message))
}

/// Shows strings and errors. `T` need not implement `Display`, so its type is compared.
fn shown_by_type<T: 'static>(message: &T) -> Option<String> {
    type BoxSync = Box<dyn Error + Send + Sync>;
    type BoxSend = Box<dyn Error + Send>;
    type Shared = Arc<dyn Error + Send + Sync>;
    let shown: &[fn(&dyn Any) -> Option<String>] = &[
        |message| Some(full_text(&**message.downcast_ref::<BoxSync>()?)),
        |message| Some(full_text(&**message.downcast_ref::<BoxSend>()?)),
        |message| Some(full_text(&**message.downcast_ref::<Shared>()?)),
        text_of::<String>,
        text_of::<&'static str>,
        text_of::<Cow<'static, str>>,
        text_of::<Box<str>>,
        text_of::<Arc<str>>,
        text_of::<io::Error>,
        text_of::<fmt::Error>,
        text_of::<std::num::ParseIntError>,
        text_of::<std::str::Utf8Error>,
        text_of::<std::string::FromUtf8Error>,
        text_of::<std::sync::mpsc::RecvError>,
        text_of::<crossbeam_channel::RecvError>,
        text_of::<Timeouts>,
    ];
    shown.iter().find_map(|show| show(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_errors_are_shown_and_other_types_are_not() {
        let boxed: Box<dyn Error + Send + Sync> = "boxed".into();
        assert_eq!(shown_by_type(&"text").as_deref(), Some("text"));
        assert_eq!(
            shown_by_type(&String::from("text")).as_deref(),
            Some("text")
        );
        assert_eq!(shown_by_type(&boxed).as_deref(), Some("boxed"));
        assert_eq!(
            shown_by_type(&io::Error::other("io")).as_deref(),
            Some("io")
        );
        assert_eq!(shown_by_type(&7), None);
    }
}
