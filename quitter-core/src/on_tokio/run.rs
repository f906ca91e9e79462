//! Programs whose `main` is async.

use std::future::poll_fn;
use std::io;
use std::pin::pin;

use tokio::runtime::{Handle, Runtime, RuntimeFlavor};

use crate::error::full_text;
use crate::main_quitter::body::MainOutcome;
use crate::main_quitter::builder::MainQuitterBuilder;
use crate::main_quitter::exit::MainQuitter;
use crate::report::exit::ExitReport;
use crate::routine::kind::Work;
use crate::routine::quitter::RoutineQuitter;
use crate::routine::{current, task};
use crate::stands::own;

impl MainQuitterBuilder {
    /// Does what `#[quitter::main]` does on an `async fn main`: creates the main quitter and the runtime, runs
    /// `body` on it, starts the registered routines, and exits. For programs that choose their options when
    /// they run, such as by their arguments.
    ///
    /// This is [`run`](Self::run) with these differences. The body runs on this thread in the runtime's
    /// `block_on`, is listed as the routine `main`, and like a task it can be asked what it awaits. The exit
    /// runs on this thread, too, and drives a `current_thread` runtime to the end. Then the runtime is shut
    /// down in the background: threads of it that block do not hold the program up.
    ///
    /// `runtime` is called once the main quitter listens to signals, since the threads that it starts must not
    /// be there before. If it fails, or if this is called inside another runtime, the body does not run, and
    /// the report says why.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    /// use quitter::{End, ExitReport, MainQuitter, SignalExitCode};
    /// use tokio::runtime::Builder;
    ///
    /// fn main() -> ExitReport {
    ///     let serves = std::env::args().nth(1).is_some_and(|command| command == "serve");
    ///     let (end, code) = match serves {
    ///         true => (End::OnQuitEvent, SignalExitCode::Zero),
    ///         false => (End::WithBody, SignalExitCode::Plus128),
    ///     };
    ///     MainQuitter::builder().end(end).signal_exit_code(code).run_async(
    ///         || Builder::new_multi_thread().enable_all().build(),
    ///         async |main| {
    ///             let pause = tokio::time::sleep(Duration::from_millis(1));
    ///             main.cancel_on_quit(pause).await
    ///         },
    ///     )
    /// }
    /// ```
    #[track_caller]
    pub fn run_async<B: MainOutcome>(
        self,
        runtime: impl FnOnce() -> io::Result<Runtime>,
        body: impl AsyncFnOnce(&MainQuitter) -> B,
    ) -> ExitReport {
        if Handle::try_current().is_ok() {
            return ExitReport::not_started(NESTED.to_owned());
        }
        let program = match self.prepare(Work::AsyncBody) {
            Ok(program) => program,
            Err(reason) => return ExitReport::not_started(reason),
        };
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                let reason = format!("cannot make the tokio runtime: {}", full_text(&error));
                return program.fail(reason);
            }
        };
        let entered = runtime.enter();
        let report = program.run(
            |main| runtime.block_on(as_task(body(main))),
            |main, hint| {
                // If the runtime has its own threads for tasks, this one only waits.
                let flavor = runtime.handle().runtime_flavor();
                let _own = (flavor != RuntimeFlavor::CurrentThread).then(own::mark);
                runtime.block_on(main.exit_by(move |main| main.end(hint)))
            },
        );
        drop(entered);
        runtime.shutdown_background();
        report
    }
}

const NESTED: &str = "`run_async` makes a tokio runtime, and was called inside another one: call it in a \
    `fn main` that is not async and has no `#[tokio::main]`";

/// Polls the body of `main`, the current routine, in such a way that it can be asked what it awaits.
async fn as_task<T>(body: impl Future<Output = T>) -> T {
    let mut body = pin!(body);
    let routine = current::get();
    let record = routine.as_ref().map(RoutineQuitter::record);
    poll_fn(|cx| match record {
        Some(record) => task::poll_on(record, body.as_mut(), cx),
        None => body.as_mut().poll(cx),
    })
    .await
}
