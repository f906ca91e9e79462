//! Which ends of a child process are failures.

use std::process::ExitStatus;
use std::time::Duration;

use super::handle::{EndedBy, ProcessEnd};
use super::os;
use crate::report::failure::FailureKind;
use crate::report::text::Seconds;

/// Which ends of a child process are failures of the routine. Set by
/// [`RoutineBuilder::failure_on`](crate::RoutineBuilder::failure_on).
///
/// A failure is recorded, and the program responds to it, as with any routine: see
/// [`OnFailure`](crate::OnFailure).
///
/// An end that the quit asked for is not a failure: the process may end with any exit code after the stop
/// signal, or by that signal, SIGINT, SIGTERM or SIGHUP. Two ends while quitting are failures: one by
/// another signal, such as SIGSEGV, and a kill, of the process or of others in its group, since they did
/// not stop when asked.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// # #[cfg(unix)] {
/// use std::process::Command;
/// use std::time::Duration;
/// use quitter::{ProcessFailure, Quitter};
///
/// let root = Quitter::root("main");
/// // A tool whose exit code is an answer: `test` returns 1 for no.
/// let test = root.routine("test").failure_on(ProcessFailure::Never);
/// let test = test.process(Command::new("false")).unwrap();
/// let end = test.wait(Duration::MAX).unwrap();
/// assert_eq!(end.status.unwrap().code(), Some(1));
/// assert!(root.failures().is_empty());
///
/// // A server is not expected to end, let alone like this.
/// let server = root.add_process(Command::new("false")).unwrap();
/// server.wait(Duration::MAX).unwrap();
/// assert_eq!(root.failures()[0].to_string(), "routine 'false' of main failed: exit status: 1");
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProcessFailure {
    /// An exit code other than 0, and an end by a signal.
    #[default]
    Unsuccessful,
    /// Every end that the quit did not ask for, even with exit code 0: for a server that has no reason to
    /// end by itself.
    AnyEnd,
    /// None, not even a kill at the quit: for a tool whose exit status the program reads.
    Never,
}

/// An end, and the facts needed to judge it.
pub(super) struct Judged<'a> {
    pub(super) end: ProcessEnd,
    pub(super) is_quitting: bool,
    pub(super) stop_signal: i32,
    /// If the process was killed: how long after the stop signal, and what it stood on then.
    pub(super) kill: Option<&'a (Duration, String)>,
}

impl ProcessFailure {
    /// The failure, if the end is one.
    pub(super) fn judge(self, judged: &Judged<'_>) -> Option<FailureKind> {
        let message = self.text(judged)?;
        let sources = Vec::new();
        Some(FailureKind::Error { message, sources })
    }

    fn text(self, judged: &Judged<'_>) -> Option<String> {
        let ProcessEnd { status, by, unread } = judged.end;
        let was_asked = match by {
            EndedBy::StopSignal => status.is_none_or(|status| judged.is_stop(status)),
            EndedBy::Itself => judged.is_quitting && status.is_some_and(|s| judged.looks_asked(s)),
            EndedBy::Kill => false,
        };
        let is_fine = match self {
            Self::Never => true,
            Self::Unsuccessful => was_asked || by != EndedBy::Kill && judged.end.is_success(),
            Self::AnyEnd => was_asked,
        };
        (!is_fine).then(|| match (status, judged.kill) {
            (_, Some((after, place))) if by == EndedBy::Kill => {
                let after = Seconds(*after);
                let killed = match judged.end.is_own_kill() {
                    true => "killed",
                    false => "the rest of its group was killed",
                };
                format!("{killed}, since it had not ended {after} after the stop signal: {place}")
            }
            (Some(status), _) => match unread {
                Some(stream) => format!("{status}, after the program's {stream} was closed"),
                None => status.to_string(),
            },
            (None, _) => {
                "ended, and other code of the program has taken its exit status".to_owned()
            }
        })
    }
}

impl Judged<'_> {
    /// Whether a process that was sent the stop signal may end like this without a failure.
    fn is_stop(&self, status: ExitStatus) -> bool {
        let signal = os::signal_of(status);
        signal.is_none_or(|signal| signal == self.stop_signal || os::asks_to_end(signal))
    }

    /// Whether a process that was not sent the stop signal ended as if it had been: a terminal or a
    /// supervisor may have sent it to the whole program.
    pub(super) fn looks_asked(&self, status: ExitStatus) -> bool {
        const BY_SHELL: i32 = 128;
        let of_shell = status.code().map(|code| code - BY_SHELL);
        let signal = os::signal_of(status).or(of_shell);
        signal.is_some_and(|signal| signal == self.stop_signal || os::asks_to_end(signal))
    }
}
