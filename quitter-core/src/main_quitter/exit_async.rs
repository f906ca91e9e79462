//! The exit, for async code.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::main_quitter::ending::Ending;
use crate::main_quitter::exit::MainQuitter;
use crate::report::cause::QuitCause;
use crate::report::exit::ExitReport;
use crate::routine::current::{self, Current};
use crate::sync::lock_std;
use crate::threads;

impl MainQuitter {
    /// Does what [`exit`](Self::exit) does, for async code on any executor: waits for the quit event and for
    /// the routines without blocking the executor's thread. Begins when the future is first polled.
    ///
    /// A task that awaits the future is left out. Dropping the future before it is ready tells the program to
    /// quit, as dropping the main quitter does, and the report is lost.
    ///
    /// Under tokio, return the report from `main`, so that the outcome is printed. The runtime is dropped
    /// after that, and its drop waits without limit for `spawn_blocking` and for tasks that block;
    /// [`force_exit`](crate::MainQuitterBuilder::force_exit) ends the process all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    /// use quitter::{ExitReport, MainQuitter, QuitSource};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # assert_eq!(run().await.exit_code, 0);
    /// # }
    /// async fn run() -> ExitReport {
    ///     let main = MainQuitter::builder()
    ///         .timeout(Duration::from_secs(2))
    ///         .source(QuitSource::all_done())
    ///         .force_exit(true)
    ///         .build();
    ///     let job = main.routine("job").task(|_| async { println!("a job") }).unwrap();
    ///     tokio::spawn(job);
    ///     main.exit_async().await
    /// }
    /// ```
    pub async fn exit_async(self) -> ExitReport {
        self.exit_by(Self::exit).await
    }

    /// Exits with `exit_here`, on a thread of its own.
    pub(crate) async fn exit_by(
        self,
        exit_here: impl FnOnce(Self) -> ExitReport + Copy + Send + 'static,
    ) -> ExitReport {
        let quits = QuitsIfDropped(Some(Arc::clone(self.ending())));
        let exit = Arc::new(Exit::default());
        let report = match exit.start(self, exit_here) {
            Ok(()) => poll_fn(|cx| exit.poll(cx)).await,
            // The system refuses a thread, and the exit must not wait until it grants one.
            Err(main) => exit_here(main),
        };
        quits.defuse();
        report
    }
}

/// An exit that blocks a thread of its own.
#[derive(Default)]
struct Exit(Mutex<State>);

#[derive(Default)]
struct State {
    report: Option<ExitReport>,
    waker: Option<Waker>,
}

impl Exit {
    /// Starts the thread. Returns the main quitter if the system refuses the thread.
    fn start(
        self: &Arc<Self>,
        main: MainQuitter,
        exit_here: impl FnOnce(MainQuitter) -> ExitReport + Send + 'static,
    ) -> Result<(), MainQuitter> {
        // The exit leaves out the routine that awaits it.
        let awaits = current::get();
        let exit = Arc::clone(self);
        let started = threads::start_with("quitter exit", main, move |main| {
            let _current = awaits.map(Current::stand_in);
            exit.finish(exit_here(main));
        });
        started.map_err(|(main, _refused)| main)
    }

    fn finish(&self, report: ExitReport) {
        let mut state = lock_std(&self.0);
        state.report = Some(report);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<ExitReport> {
        let waker = cx.waker().clone();
        let mut state = lock_std(&self.0);
        if let Some(report) = state.report.take() {
            return Poll::Ready(report);
        }
        let before = state.waker.replace(waker);
        drop(state);
        drop(before);
        Poll::Pending
    }
}

/// Tells the program to quit if the future of an exit is dropped unfinished.
struct QuitsIfDropped(Option<Arc<Ending>>);

impl QuitsIfDropped {
    fn defuse(mut self) {
        self.0 = None;
    }
}

impl Drop for QuitsIfDropped {
    fn drop(&mut self) {
        if let Some(ending) = &self.0 {
            ending.root().node().quit(QuitCause::MainDropped, None);
        }
    }
}
