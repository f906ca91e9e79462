//! Tasks on tokio's runtime, with the peers. quitter has no tasks yet.

use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::workload::Figures;

/// Spawns a task that does nothing, and awaits it.
pub fn spawned(iters: u64) -> Duration {
    by_one_task(iters, async || {
        tokio::spawn(async {}).await.expect("it does not panic");
    })
}

/// The same, counted.
pub fn tracked(iters: u64) -> Duration {
    let tracker = TaskTracker::new();
    by_one_task(iters, async move || {
        let task = tracker.spawn(async {});
        task.await.expect("it does not panic");
    })
}

/// The same, and it can be told to quit.
pub fn tracked_with_token(iters: u64) -> Duration {
    let tracker = TaskTracker::new();
    let token = CancellationToken::new();
    by_one_task(iters, async move || {
        let token = token.child_token();
        let task = tracker.spawn(async move { drop(token) });
        task.await.expect("it does not panic");
    })
}

/// On a runtime of one thread, where nothing is handed from thread to thread.
fn by_one_task(iters: u64, op: impl AsyncFn()) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let from = Instant::now();
        for _ in 0..iters {
            op().await;
        }
        from.elapsed()
    })
}

/// The floor: tasks wait for one event, and are counted.
pub fn notify(n: usize) -> Figures {
    let event = Arc::new(Notify::new());
    quit_to_done(
        n,
        || Arc::clone(&event).notified_owned(),
        || event.notify_waiters(),
    )
}

/// Each task has a child token of its own.
pub fn tokio_util(n: usize) -> Figures {
    let token = CancellationToken::new();
    quit_to_done(
        n,
        || token.child_token().cancelled_owned(),
        || token.cancel(),
    )
}

/// Tasks wait, are told to quit, and are waited for.
fn quit_to_done<W>(n: usize, waits: impl Fn() -> W, tell: impl FnOnce()) -> Figures
where
    W: Future<Output = ()> + Send + 'static,
{
    let runtime = Runtime::new().expect("a runtime");
    let done = runtime.block_on(async {
        let tracker = TaskTracker::new();
        let waiting = Arc::new(AtomicUsize::new(0));
        for _ in 0..n {
            let mut waits = Box::pin(waits());
            let waiting = Arc::clone(&waiting);
            let mut first = true;
            // Counted by the first poll: from then on the task can be woken.
            tracker.spawn(poll_fn(move |context| {
                let ready = waits.as_mut().poll(context);
                if mem::take(&mut first) {
                    waiting.fetch_add(1, Ordering::Relaxed);
                }
                ready
            }));
        }
        tracker.close();
        while waiting.load(Ordering::Relaxed) < n {
            tokio::task::yield_now().await;
        }
        let from = Instant::now();
        tell();
        tracker.wait().await;
        from.elapsed()
    });
    vec![("done", done.as_nanos() as f64)]
}
