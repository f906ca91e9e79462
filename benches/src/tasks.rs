//! Tasks on tokio's runtime: quitter and the peers.

use std::future::{pending, poll_fn};
use std::hint::black_box;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use quitter::Quitter;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::flags::Flag;
use crate::workload::Figures;

/// Spawns a task that does nothing, and awaits it.
pub fn spawned(iters: u64) -> Duration {
    by_one_task(iters, async || {
        tokio::spawn(async {}).await.expect("it does not panic");
    })
}

/// The same with a routine, which is listed by name and place, and told to quit.
pub fn routine(iters: u64) -> Duration {
    let quitter = <Quitter as Flag>::new();
    by_one_task(iters, async move || {
        let task = quitter.routine("task").task(|_| async {});
        let task = tokio::spawn(task.expect("not quitting"));
        task.await.expect("it does not panic");
    })
}

/// The same with a counted task.
pub fn tracked(iters: u64) -> Duration {
    let tracker = TaskTracker::new();
    by_one_task(iters, async move || {
        let task = tracker.spawn(async {});
        task.await.expect("it does not panic");
    })
}

/// The same with a counted task that can be told to quit.
pub fn tracked_with_token(iters: u64) -> Duration {
    let tracker = TaskTracker::new();
    let token = CancellationToken::new();
    by_one_task(iters, async move || {
        let token = token.child_token();
        let task = tracker.spawn(async move { drop(token) });
        task.await.expect("it does not panic");
    })
}

/// Times `op` on a single-threaded runtime, where nothing is handed from thread to thread.
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

/// Makes futures that are ready once told to quit.
pub trait Quits: Flag {
    /// Makes a future, polls it once, and drops it.
    fn poll_once(&self);
}

impl Quits for Quitter {
    #[inline]
    fn poll_once(&self) {
        poll(self.quitting());
    }
}

impl Quits for CancellationToken {
    #[inline]
    fn poll_once(&self) {
        poll(self.cancelled());
    }
}

/// Polls a future once.
#[inline]
fn poll(future: impl Future<Output = ()>) {
    let mut context = Context::from_waker(Waker::noop());
    _ = black_box(pin!(future).poll(&mut context));
}

/// Spawns tasks that wait for the quit, as routines or counted by a tracker.
trait Spawns {
    /// Spawns a task that waits for the quit. `waiting` counts the task's first poll.
    fn spawn(&self, waiting: &Arc<AtomicUsize>);
    /// Tells all tasks to quit.
    fn tell(&self);
    /// Waits until all tasks have ended.
    async fn wait(&self);
}

/// Awaits `waits`, and counts the first poll: from then on, the task can be woken.
async fn counted(waits: impl Future<Output = ()>, waiting: Arc<AtomicUsize>) {
    let mut waits = pin!(waits);
    let mut first = true;
    poll_fn(move |context| {
        let ready = waits.as_mut().poll(context);
        if mem::take(&mut first) {
            waiting.fetch_add(1, Ordering::Relaxed);
        }
        ready
    })
    .await;
}

/// Each task is a routine of one quitter.
impl Spawns for Quitter {
    fn spawn(&self, waiting: &Arc<AtomicUsize>) {
        let waiting = Arc::clone(waiting);
        let task = self.routine("task").task(|q| async move {
            counted(q.quitting(), waiting).await;
        });
        tokio::spawn(task.expect("not quitting"));
    }
    fn tell(&self) {
        self.send_quit();
    }
    async fn wait(&self) {
        self.done().await;
    }
}

/// Each task has a child token of its own.
#[derive(Default)]
struct TokioUtil {
    token: CancellationToken,
    tracker: TaskTracker,
}

impl Spawns for TokioUtil {
    fn spawn(&self, waiting: &Arc<AtomicUsize>) {
        let (token, waiting) = (self.token.child_token(), Arc::clone(waiting));
        self.tracker.spawn(async move {
            counted(token.cancelled(), waiting).await;
        });
    }
    fn tell(&self) {
        self.token.cancel();
    }
    async fn wait(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// The floor: counted tasks that wait for one event.
#[derive(Default)]
struct Bare {
    event: Arc<Notify>,
    tracker: TaskTracker,
}

impl Spawns for Bare {
    fn spawn(&self, waiting: &Arc<AtomicUsize>) {
        let (event, waiting) = (Arc::clone(&self.event), Arc::clone(waiting));
        self.tracker.spawn(async move {
            counted(event.notified(), waiting).await;
        });
    }
    fn tell(&self) {
        self.event.notify_waiters();
    }
    async fn wait(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Tasks that are routines of one quitter.
pub fn quitter(n: usize) -> Figures {
    quit_to_done(n, &<Quitter as Flag>::new())
}

/// Tasks that are tracked and have a child token each.
pub fn tokio_util(n: usize) -> Figures {
    quit_to_done(n, &TokioUtil::default())
}

/// Tasks that wait for one event.
pub fn notify(n: usize) -> Figures {
    quit_to_done(n, &Bare::default())
}

/// One of the runtime's workers tells waiting tasks to quit, and waits for them. Returns how long the quit held
/// up the worker, and how long it was until all tasks had ended.
fn quit_to_done(n: usize, all: &impl Spawns) -> Figures {
    let runtime = Runtime::new().expect("a runtime");
    let (call, done) = runtime.block_on(async {
        spawn(n, all).await;
        let from = Instant::now();
        all.tell();
        let call = from.elapsed();
        all.wait().await;
        (call, from.elapsed())
    });
    vec![
        ("call", call.as_nanos() as f64),
        ("done", done.as_nanos() as f64),
    ]
}

async fn spawn(n: usize, all: &impl Spawns) {
    let waiting = Arc::new(AtomicUsize::new(0));
    for _ in 0..n {
        all.spawn(&waiting);
    }
    while waiting.load(Ordering::Relaxed) < n {
        tokio::task::yield_now().await;
    }
}

/// The bytes of the heap for each of `n` tasks that wait for the quit.
pub fn heap_of_quitter(n: usize, in_use: fn() -> usize) -> f64 {
    heap(n, in_use, &<Quitter as Flag>::new())
}

/// The same with child tokens and a tracker.
pub fn heap_of_tokio_util(n: usize, in_use: fn() -> usize) -> f64 {
    heap(n, in_use, &TokioUtil::default())
}

/// The floor: the task itself, which waits for nothing.
pub fn heap_of_bare(n: usize, in_use: fn() -> usize) -> f64 {
    struct Alone;
    impl Spawns for Alone {
        fn spawn(&self, waiting: &Arc<AtomicUsize>) {
            tokio::spawn(counted(pending(), Arc::clone(waiting)));
        }
        fn tell(&self) {}
        async fn wait(&self) {}
    }
    heap(n, in_use, &Alone)
}

/// Measures on a single-threaded runtime, whose queues take the same memory for every implementation.
fn heap(n: usize, in_use: fn() -> usize, all: &impl Spawns) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        // The runtime's own memory grows with the first tasks.
        let before = in_use();
        spawn(n, all).await;
        let after = in_use();
        all.tell();
        all.wait().await;
        (after - before) as f64 / n as f64
    })
}
