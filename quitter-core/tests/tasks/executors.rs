//! The executors that the tests run on.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};

use super::*;

pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) trait Spawn {
    fn spawn(&self, work: Work);
}

/// Runs a test on each executor.
#[track_caller]
pub(crate) fn on_each(test: fn(&dyn Spawn)) {
    let on = |name: &str, executor: &dyn Spawn| {
        println!("on {name}");
        test(executor);
    };
    on("tokio, several threads", &Tokio::new(true));
    on("tokio, one thread", &Tokio::new(false));
    on("async-executor", &Smol::new());
    on("a thread for each", &BlockOn);
    on("one made by hand", &ByHand::new());
}

struct Tokio {
    runtime: tokio::runtime::Handle,
    /// Ends the runtime's thread when dropped.
    _alive: tokio::sync::oneshot::Sender<()>,
}

impl Tokio {
    fn new(several: bool) -> Self {
        let runtime = match several {
            true => tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .build(),
            false => tokio::runtime::Builder::new_current_thread().build(),
        };
        let runtime = runtime.unwrap();
        let handle = runtime.handle().clone();
        let (alive, ended) = tokio::sync::oneshot::channel();
        thread::spawn(move || {
            let _ = runtime.block_on(ended);
            runtime.shutdown_background();
        });
        Self {
            runtime: handle,
            _alive: alive,
        }
    }
}

impl Spawn for Tokio {
    fn spawn(&self, work: Work) {
        drop(self.runtime.spawn(work));
    }
}

struct Smol {
    executor: Arc<async_executor::Executor<'static>>,
    /// Ends the threads when told to quit.
    threads: Quitter,
}

impl Smol {
    fn new() -> Self {
        let executor = Arc::new(async_executor::Executor::new());
        let threads = Quitter::root("smol");
        for _ in 0..2 {
            let executor = Arc::clone(&executor);
            let ended = threads.quitting();
            thread::spawn(move || futures_lite::future::block_on(executor.run(ended)));
        }
        Self { executor, threads }
    }
}

impl Spawn for Smol {
    fn spawn(&self, work: Work) {
        self.executor.spawn(work).detach();
    }
}

impl Drop for Smol {
    fn drop(&mut self) {
        self.threads.send_quit();
    }
}

struct BlockOn;

impl Spawn for BlockOn {
    fn spawn(&self, work: Work) {
        thread::spawn(move || futures_lite::future::block_on(work));
    }
}

/// One thread with a queue of woken tasks.
struct ByHand(Arc<Queue>);

#[derive(Default)]
struct Queue {
    woken: Mutex<(VecDeque<Arc<Entry>>, bool)>,
    changed: Condvar,
}

struct Entry {
    work: Mutex<Option<Work>>,
    queue: Arc<Queue>,
}

impl Queue {
    fn next(&self) -> Option<Arc<Entry>> {
        let state = self.woken.lock().unwrap();
        let waits = |state: &mut (VecDeque<_>, bool)| state.0.is_empty() && !state.1;
        let mut state = self.changed.wait_while(state, waits).unwrap();
        state.0.pop_front()
    }
}

impl Wake for Entry {
    fn wake(self: Arc<Self>) {
        let queue = Arc::clone(&self.queue);
        queue.woken.lock().unwrap().0.push_back(self);
        queue.changed.notify_one();
    }
}

impl ByHand {
    fn new() -> Self {
        let queue = Arc::<Queue>::default();
        let this = Self(Arc::clone(&queue));
        thread::spawn(move || {
            while let Some(entry) = queue.next() {
                let waker = Waker::from(Arc::clone(&entry));
                let mut work = entry.work.lock().unwrap();
                if let Some(future) = &mut *work
                    && future
                        .as_mut()
                        .poll(&mut Context::from_waker(&waker))
                        .is_ready()
                {
                    *work = None;
                }
            }
        });
        this
    }
}

impl Spawn for ByHand {
    fn spawn(&self, work: Work) {
        let work = Mutex::new(Some(work));
        let queue = Arc::clone(&self.0);
        Arc::new(Entry { work, queue }).wake();
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        self.0.woken.lock().unwrap().1 = true;
        self.0.changed.notify_all();
    }
}
