//! Programs whose `main` is async.

use std::future::poll_fn;
use std::io;
use std::pin::pin;

use tokio::runtime::{Runtime, RuntimeFlavor};

use crate::error::full_text;
use crate::main_quitter::body::MainOutcome;
use crate::main_quitter::builder::MainQuitterBuilder;
use crate::main_quitter::exit::MainQuitter;
use crate::report::exit::ExitReport;
use crate::routine::kind::Work;
use crate::routine::quitter::RoutineQuitter;
use crate::routine::{current, task};
use crate::stands::own;

/// Does what `#[quitter::main]` does on an `async fn main`: creates the runtime, and runs the program on it.
///
/// The body runs on the main thread, as the routine `main`, and like a task it can be asked what it awaits.
/// The exit runs on the main thread, too, and drives a `current_thread` runtime to the end. The runtime is
/// not waited for: its threads may block forever.
#[doc(hidden)]
#[track_caller]
pub fn run_async<B: MainOutcome>(
    builder: MainQuitterBuilder,
    runtime: impl FnOnce() -> io::Result<Runtime>,
    body: impl AsyncFnOnce(&MainQuitter) -> B,
) -> ExitReport {
    let program = match builder.prepare(Work::AsyncBody) {
        Ok(program) => program,
        Err(reason) => return ExitReport::not_started(reason),
    };
    // Created after the main quitter: a signal that arrives while that is created must not find other
    // threads.
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
