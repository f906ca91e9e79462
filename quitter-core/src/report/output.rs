//! Where notices go: to stderr, to a function of the program, or nowhere; at once, or held back.
//!
//! This module only has data and decisions. [`console`](crate::report::console) acts on them.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::report::caller::Caller;
use crate::report::notice::Notice;
use crate::trace;

/// Which notices quitter writes to stderr.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{MainQuitter, Output};
///
/// let builder = MainQuitter::builder().output(Output::Quiet);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Output {
    /// Every notice.
    #[default]
    All,
    /// Only trouble: notices that [are trouble](Notice::is_trouble), below the quit event, and dumps, which
    /// were [asked for](crate::MainQuitterBuilder::dump_on). A program that ends as it should says nothing,
    /// even if its end takes a while: notices about routines that the quit waits for, or about a second
    /// signal that was ignored, are not trouble.
    Quiet,
    /// Nothing, not even why the program was ended by force. Only the exit code shows it.
    Silent,
    /// Nothing, since the program's tracing subscriber gets everything. Needs the feature `tracing`.
    ///
    /// The outcome is still written if no subscriber takes it within 250 ms. So is an outcome with something
    /// wrong, where the subscriber's filter leaves out even the errors of the target `quitter`, as
    /// `RUST_LOG=store=info` does. So is the report of an end by force: it depends on no subscriber, and what
    /// a subscriber has not yet written is lost then.
    ///
    /// With the feature, a subscriber gets the events below, whatever the output is. Their target is
    /// `quitter`. The fields hold names and texts unchanged; subscribers escape them.
    ///
    /// | level | event | fields |
    /// | --- | --- | --- |
    /// | `INFO` | `told to quit`: a quitter, and with it everything below it | `path`, `cause` |
    /// | `DEBUG` | `routine started` | `name`, `path` of its quitter, `id`, `spawned_at` |
    /// | `DEBUG` | `routine returned` | `name`, `path`, `id`, `ran_ms` |
    /// | `ERROR` | `routine failed` | `name`, `path`, `id`, `error`, `status`, `while_quitting` |
    /// | `ERROR` | `routine stuck`: did not return in time; the first hundred | `name`, `path`, `id`, `running_ms`, `status`, `facts` |
    /// | `INFO`; `ERROR` if something is wrong | `exit` | `exit_code`, `cause`, `took_ms`, and how many routines are `stuck`, `failed`, `slow` |
    /// | `INFO`, `WARN` | the text of any other notice | |
    ///
    /// Each routine has a span at level `INFO`, called `routine`, with the fields `name`, `path` and `id`.
    /// Its parent is the span in which the routine was added, and a thread runs in it, under the
    /// dispatcher of the thread that added it.
    ///
    /// A routine calls the subscriber on its own thread, and so does code that tells a child quitter to
    /// quit. No lock is held during such a call, and panics of the subscriber are swallowed. The quit of a
    /// whole tree and all notices go through a separate thread: the end of a program never waits for a
    /// subscriber for longer than 250 ms.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{End, MainQuitter, Output};
    ///
    /// // Here the program would set its subscriber: tracing_subscriber::fmt::init();
    /// let builder = MainQuitter::builder().end(End::WithBody).output(Output::Tracing);
    /// let report = builder.run(|main| {
    ///     // An event of this routine is in its span.
    ///     main.routine("flusher").add(|_| tracing::info!("flushed")).map(drop)
    /// });
    /// assert_eq!(report.exit_code, 0);
    /// ```
    #[cfg(feature = "tracing")]
    Tracing,
}

/// How long quitter holds its notices back, for programs that draw on the terminal.
///
/// A line that is written in raw mode, or to the alternate screen, spoils the picture or vanishes with
/// it. Held notices are written in order. Those that say which routines the quit still waits for are left
/// out, since they are out of date by then. An end by force ends every hold.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{HoldOutput, MainQuitter};
///
/// let builder = MainQuitter::builder().hold_output(HoldOutput::UntilBodyReturns);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HoldOutput {
    /// Nothing is held back.
    #[default]
    Never,
    /// Until the body of `main` has returned, or [`exit`](crate::MainQuitter::exit) is called: for
    /// programs whose body draws.
    UntilBodyReturns,
    /// Until [`exit`](crate::MainQuitter::exit) has its report: for programs in which a routine draws.
    UntilReport,
}

type Function = Arc<dyn Fn(&Notice) + Send + Sync>;
type Hook = Box<dyn FnOnce() + Send>;

/// The builder's settings for the output.
#[derive(Default)]
pub(crate) struct OutputConfig {
    pub(crate) output: Output,
    pub(crate) hold: HoldOutput,
    pub(crate) function: Option<Function>,
    pub(crate) hook: Option<Hook>,
}

impl fmt::Debug for OutputConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputConfig")
            .field("output", &self.output)
            .field("hold", &self.hold)
            .finish_non_exhaustive()
    }
}

/// The program's function for notices.
#[derive(Clone)]
pub(crate) struct Listener {
    function: Function,
    caller: Arc<Caller>,
}

impl Listener {
    /// Calls the function, and returns whether it has returned in time.
    pub(crate) fn tell(&self, notice: Notice, timeout: Duration) -> bool {
        let function = Arc::clone(&self.function);
        self.caller.call(move || function(&notice), timeout)
    }
}

/// The program's hook `before_report`.
pub(crate) struct BeforeReport {
    hook: Hook,
    caller: Caller,
}

impl BeforeReport {
    /// Calls the hook, and returns whether it is still running after that time.
    pub(crate) fn outlasts(self, time: Duration) -> bool {
        self.caller.outlasts(self.hook, time)
    }
}

/// Decides what becomes of each notice: whether it is said, held, or dropped.
pub(crate) struct NoticeFilter {
    pub(crate) output: Output,
    pub(crate) function: Option<Listener>,
    hook: Option<BeforeReport>,
    /// The notice that the hook did not return in time, until it is said.
    late_hook: Option<Notice>,
    hold: HoldOutput,
    held: Vec<Notice>,
    /// Whether the process is being ended by force, and no longer waits for routines.
    is_ending: bool,
    /// The quit event, until a notice follows that it belongs above.
    event: Option<Notice>,
}

impl NoticeFilter {
    /// Failures that are held beyond this number are only counted, and dumps are dropped.
    const MAX_HELD: usize = 1000;

    pub(crate) const fn new() -> Self {
        Self {
            output: Output::All,
            function: None,
            hook: None,
            late_hook: None,
            hold: HoldOutput::Never,
            held: Vec::new(),
            is_ending: false,
            event: None,
        }
    }

    /// Starts the threads that call the program's functions.
    pub(crate) fn of(config: OutputConfig) -> io::Result<Self> {
        let function = config.function.map(|function| {
            let caller = Caller::start("quitter notices")?.into();
            Ok::<_, io::Error>(Listener { function, caller })
        });
        let hook = config.hook.map(|hook| {
            let caller = Caller::start("quitter before report")?;
            Ok::<_, io::Error>(BeforeReport { hook, caller })
        });
        Ok(Self {
            output: config.output,
            function: function.transpose()?,
            hook: hook.transpose()?,
            hold: config.hold,
            ..Self::new()
        })
    }

    /// Accepts a notice. Returns the notices to say now.
    pub(crate) fn admit(&mut self, notice: Notice) -> Vec<Notice> {
        if self.is_ending && notice.is_progress() {
            return Vec::new();
        }
        if self.hold != HoldOutput::Never {
            if !notice.is_progress() {
                self.hold(notice);
            }
            return Vec::new();
        }
        let is_wanted = match (&self.function, self.output) {
            (Some(_), _) => true,
            (None, Output::All) => !notice.is_no_news(),
            (None, Output::Quiet) => notice.is_trouble() || matches!(notice, Notice::Dump(_)),
            (None, Output::Silent) => false,
            #[cfg(feature = "tracing")]
            (None, Output::Tracing) => false,
        };
        match is_wanted {
            // A dump says nothing about the end.
            true if notice.is_no_shutdown() || matches!(notice, Notice::Dump(_)) => vec![notice],
            true => self.event.take().into_iter().chain([notice]).collect(),
            false => {
                if let Notice::QuitEvent { .. } = notice {
                    self.event = Some(notice);
                }
                Vec::new()
            }
        }
    }

    fn hold(&mut self, notice: Notice) {
        let is_full = self.held.len() >= Self::MAX_HELD;
        let further = match notice {
            Notice::Failure(_) if is_full => 1,
            Notice::MoreFailures { count } if is_full => count,
            Notice::Dump(_) if is_full => return,
            notice => return self.held.push(notice),
        };
        match self.held.last_mut() {
            Some(Notice::MoreFailures { count }) => *count += further,
            _ => self.held.push(Notice::MoreFailures { count: further }),
        }
    }

    /// Whether the notice is written if no tracing subscriber takes it.
    pub(crate) fn has_spare(&self, notice: &Notice) -> bool {
        #[cfg(feature = "tracing")]
        return self.output == Output::Tracing && notice.is_last_word();
        #[cfg(not(feature = "tracing"))]
        {
            let _ = notice;
            false
        }
    }

    pub(crate) fn write_beside_tracing(&mut self) {
        #[cfg(feature = "tracing")]
        if self.output == Output::Tracing {
            self.output = Output::All;
        }
    }

    /// Keeps the quit event of a program in which nothing runs. It is said above the notice that follows,
    /// unless that says that there was no shutdown.
    pub(crate) fn keep_event(&mut self, event: Notice) {
        self.event = Some(event);
    }

    /// Drops all later notices about the routines that the quit waits for.
    pub(crate) fn end_progress(&mut self) {
        self.is_ending = true;
    }

    /// Returns the hook `before_report` at the first call.
    pub(crate) fn take_hook(&mut self) -> Option<BeforeReport> {
        self.hook.take()
    }

    /// Records that the hook had not returned after this time.
    pub(crate) fn keep_late_hook(&mut self, after: Duration) {
        self.late_hook = Some(Notice::BeforeReportUnfinished { after });
    }

    pub(crate) fn take_late_hook(&mut self) -> Option<Notice> {
        self.late_hook.take()
    }

    /// Whether a notice calls no code of the program.
    pub(crate) fn calls_nothing(&self) -> bool {
        self.function.is_none() && self.hook.is_none() && !trace::may_call()
    }

    /// Whether all notices go to stderr at once.
    #[cfg(all(feature = "progress", unix))]
    pub(crate) fn is_default(&self) -> bool {
        let is_held = self.hold != HoldOutput::Never;
        self.output == Output::All && self.function.is_none() && !is_held
    }

    pub(crate) fn holds(&self) -> HoldOutput {
        self.hold
    }

    /// Ends the hold. Returns what was held.
    pub(crate) fn release(&mut self) -> Vec<Notice> {
        self.hold = HoldOutput::Never;
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::main_quitter::signal::QuitSignal;
    use crate::quitter::Quitter;
    use crate::report::dump::Dump;
    use crate::report::failure::{FailureKind, RoutineFailure};
    use crate::report::path::QuitterPath;
    use crate::report::timeouts::Timeouts;

    #[test]
    fn nobody_is_waited_for_once_the_process_is_being_ended() {
        let waiting = || Notice::Waiting {
            routines: Timeouts::default(),
            left: Some(Duration::ZERO),
        };
        let mut filter = NoticeFilter::new();
        assert_eq!(filter.admit(waiting()).len(), 1);
        filter.end_progress();
        assert!(filter.admit(waiting()).is_empty());
        assert_eq!(filter.admit(Notice::MoreFailures { count: 1 }).len(), 1);
    }

    #[test]
    fn progress_is_not_held() {
        let mut filter = NoticeFilter::new();
        filter.hold = HoldOutput::UntilReport;
        let waiting = Notice::Waiting {
            routines: Timeouts::default(),
            left: None,
        };
        assert!(filter.admit(waiting).is_empty());
        assert!(filter.release().is_empty());
    }

    #[test]
    fn dumps_that_there_is_no_room_to_hold_are_dropped() {
        let mut filter = NoticeFilter::new();
        filter.hold = HoldOutput::UntilReport;
        let snapshot = Quitter::root("root").snapshot();
        for _ in 0..NoticeFilter::MAX_HELD + 500 {
            filter.admit(Notice::Dump(Box::new(Dump {
                signal: QuitSignal {
                    number: 10,
                    name: "SIGUSR1",
                },
                snapshot: snapshot.clone(),
                outside: None,
            })));
        }
        assert_eq!(filter.release().len(), NoticeFilter::MAX_HELD);
    }

    #[test]
    fn of_failures_that_are_held_each_is_counted_and_what_follows_is_held_too() {
        let mut filter = NoticeFilter::new();
        filter.hold = HoldOutput::UntilReport;
        let failure = || {
            Notice::Failure(RoutineFailure {
                path: QuitterPath::from("main".to_owned()),
                name: "request".to_owned(),
                id: 7,
                spawned_at: Location::caller(),
                ran_for: Duration::ZERO,
                while_quitting: false,
                status: None,
                kind: FailureKind::of_debug(&"error"),
            })
        };
        for _ in 0..NoticeFilter::MAX_HELD + 500 {
            assert!(filter.admit(failure()).is_empty());
        }
        filter.admit(Notice::MoreFailures { count: 17 });
        filter.admit(Notice::Hint("advice".into()));
        let held = filter.release();
        let texts: Vec<_> = held.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), NoticeFilter::MAX_HELD + 2);
        assert_eq!(
            texts[NoticeFilter::MAX_HELD..],
            ["and 517 more failures", "advice"]
        );
    }
}
