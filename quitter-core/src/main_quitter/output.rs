//! The builder's settings for what the program prints.

#[cfg(unix)]
use std::ffi::c_int;
use std::sync::Arc;

use crate::main_quitter::builder::MainQuitterBuilder;
use crate::main_quitter::dump::DumpOn;
use crate::main_quitter::signal;
use crate::report::notice::Notice;
use crate::report::output::{HoldOutput, Output};

impl MainQuitterBuilder {
    /// Sets what quitter writes to stderr. The default is [`Output::All`].
    ///
    /// # Examples
    ///
    /// A tool that says nothing unless something goes wrong:
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{End, MainQuitter, Output};
    ///
    /// let builder = MainQuitter::builder().end(End::WithBody).output(Output::Quiet);
    /// assert_eq!(builder.run(|_| println!("done")).exit_code, 0);
    /// ```
    pub fn output(mut self, output: Output) -> Self {
        self.output.output = output;
        self
    }

    /// Passes each notice to a function, as data, instead of writing it to stderr, so that the program can
    /// print or log it in its own way. The function gets every notice, whatever [`output`](Self::output) is.
    ///
    /// The function is called on a thread of its own, one notice at a time, and nothing depends on it:
    /// quitter waits for a call at most 250 ms, and not at all while an earlier call hangs. If a call panics,
    /// its notice is lost. If the function does not take the outcome, or the notice of what held up an end by
    /// force, quitter writes that notice to stderr, unless the output is [`Silent`](Output::Silent). The
    /// outcome is passed on when the report is returned from `main`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{End, MainQuitter, Notice};
    ///
    /// let log = |notice: &Notice| match notice {
    ///     Notice::Outcome(report) => println!("exit code {}", report.exit_code),
    ///     notice if notice.is_trouble() => println!("warning: {notice}"),
    ///     notice => println!("info: {notice}"),
    /// };
    /// let report = MainQuitter::builder().end(End::WithBody).notices(log).run(|_| {});
    /// assert_eq!(report.exit_code, 0);
    /// ```
    pub fn notices(mut self, function: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.output.function = Some(Arc::new(function));
        self
    }

    /// Sets how long notices are held back, for programs that draw on the terminal. The default is
    /// [`HoldOutput::Never`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{End, HoldOutput, MainQuitter};
    ///
    /// let builder = MainQuitter::builder()
    ///     .end(End::WithBody)
    ///     .hold_output(HoldOutput::UntilBodyReturns);
    /// let report = builder.run(|_| println!("draws, and restores the terminal"));
    /// assert_eq!(report.exit_code, 0);
    /// ```
    pub fn hold_output(mut self, hold: HoldOutput) -> Self {
        self.output.hold = hold;
        self
    }

    /// Sets a function that is called before the outcome, and before an end by force, whatever hangs. It is
    /// for work that must be done however the program ends, such as restoring the terminal, removing a
    /// temporary file, or printing a total.
    ///
    /// The function is called once, on a thread of its own: when the notices that were
    /// [held back](Self::hold_output) are written, when [`exit`](crate::MainQuitter::exit) has its report,
    /// when the main quitter is dropped, or just before the process is ended by force, whichever comes first.
    /// quitter waits for the function at most 100 ms. If it takes longer, the end goes on, and
    /// [a notice](crate::Notice::BeforeReportUnfinished) says so; the exit code is not affected. Work that
    /// may take longer belongs in a routine, which the quit timeout bounds and the report names. If the
    /// function panics, the end goes on. A routine that hangs may still hold a lock, so the function should
    /// not take a lock that routines hold.
    ///
    /// While the terminal is in raw mode, the lines that quitter writes end with CR LF.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use quitter::{End, HoldOutput, MainQuitter};
    ///
    /// let leave_alternate_screen = || print!("\x1b[?1049l");
    /// let builder = MainQuitter::builder()
    ///     .end(End::WithBody)
    ///     .hold_output(HoldOutput::UntilReport)
    ///     .before_report(leave_alternate_screen);
    /// assert_eq!(builder.run(|_| println!("draws")).exit_code, 0);
    /// ```
    pub fn before_report(mut self, function: impl FnOnce() + Send + 'static) -> Self {
        self.output.hook = Some(Box::new(function));
        self
    }

    /// Writes a dump of everything that lives in the program to stderr whenever this signal arrives; the
    /// program runs on. The dump shows the tree as a [`Snapshot`](crate::Snapshot) does and, on Linux, the
    /// threads outside of it by name and state: foreign work is often what hangs.
    ///
    /// The snapshot is a thorough one: it says what each thread stands on, and with the feature `stacks` it
    /// has the calls, as in `Quitter::snapshot_with_stacks`, and takes up to a second.
    ///
    /// The signal must not be a quit source. If it was ignored when the main quitter was made, it stays
    /// ignored. Without this call, the signal does what it always did, and most signals end a program.
    ///
    /// A thread of its own makes one dump at a time, before, during and after the quit. Requests that arrive
    /// meanwhile become one. A dump that is requested shortly before the program ends may be lost: the end
    /// does not wait for it. A dump is a [`Notice`](crate::Notice): a function for [notices](Self::notices)
    /// gets it as data, [`Output::Quiet`](crate::Output::Quiet) writes it, and
    /// [`Output::Silent`](crate::Output::Silent) does not.
    ///
    /// # Examples
    ///
    /// `kill -USR1` asks this program what it is doing:
    ///
    /// ```no_run
    /// # use quitter_core as quitter;
    /// use quitter::{ExitReport, MainQuitter};
    ///
    /// fn main() -> ExitReport {
    ///     # const SIGUSR1: i32 = 10;
    ///     // The number differs between systems: `libc::SIGUSR1` knows it.
    ///     MainQuitter::builder().dump_on(SIGUSR1).run(|main| {
    ///         main.routine("worker").add(|q| q.wait_quit()).map(drop)
    ///     })
    /// }
    /// ```
    #[cfg(unix)]
    pub fn dump_on(mut self, signal: c_int) -> Self {
        self.ending.dump_on = Some(DumpOn::new(signal));
        self
    }

    /// Sets the signal by name. For the attribute. Has no effect on a system without a signal of this name.
    #[doc(hidden)]
    pub fn dump_on_named(mut self, name: &str) -> Self {
        let number = signal::number(name).filter(|_| cfg!(unix));
        self.ending.dump_on = number.map(DumpOn::new);
        self
    }
}
