//! tokio-graceful-shutdown. Its children are tasks, which live only inside its top level.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio_graceful_shutdown::{NestedSubsystem, SubsystemBuilder, SubsystemHandle, Toplevel};

use crate::workload::Figures;

/// Longer than any measurement.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Runs a top level to its end, on a single-threaded runtime, which is fastest because nothing is handed from
/// thread to thread.
fn run(top: impl FnOnce() -> Toplevel) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let ended = async { top().handle_shutdown_requests(PATIENCE).await };
    runtime.block_on(ended).expect("all returned");
}

/// Starts a child that returns at once and waits for it, over and over.
pub fn made_and_dropped(iters: u64) -> Duration {
    let (elapsed, result) = mpsc::channel();
    let top = async move |s: &mut SubsystemHandle| {
        let from = Instant::now();
        for _ in 0..iters {
            let body = async |_: &mut SubsystemHandle| Ok::<(), io::Error>(());
            let child = s.start(SubsystemBuilder::new("child", body));
            child.join().await.expect("returned");
        }
        let _ = elapsed.send(from.elapsed());
        s.request_shutdown();
    };
    run(|| Toplevel::new(top));
    result.recv().expect("measured")
}

/// The bytes of the heap for each child that waits for the quit.
pub fn heap_per_child(n: usize, in_use: fn() -> usize) -> f64 {
    let (bytes, result) = mpsc::channel();
    let top = async move |s: &mut SubsystemHandle| {
        let mut children = Vec::with_capacity(n);
        let before = in_use();
        start_waiting(s, n, &mut children).await;
        let _ = bytes.send((in_use() - before) as f64 / n as f64);
        s.request_shutdown();
    };
    run(|| Toplevel::new(top));
    result.recv().expect("measured")
}

/// Measures the time from the quit until all children, which wait for it, have ended.
pub fn quit_to_done(n: usize) -> Figures {
    let (told, result) = mpsc::channel();
    let top = async move |s: &mut SubsystemHandle| {
        start_waiting(s, n, &mut Vec::with_capacity(n)).await;
        let _ = told.send(Instant::now());
        s.request_shutdown();
    };
    run(|| Toplevel::new(top));
    let told: Instant = result.recv().expect("measured");
    vec![("done", told.elapsed().as_nanos() as f64)]
}

/// Starts children, and returns when each waits for the quit.
async fn start_waiting(s: &mut SubsystemHandle, n: usize, children: &mut Vec<NestedSubsystem>) {
    let waiting = Arc::new(AtomicUsize::new(0));
    for _ in 0..n {
        let waiting = Arc::clone(&waiting);
        let body = async move |s: &mut SubsystemHandle| {
            waiting.fetch_add(1, Ordering::Relaxed);
            s.on_shutdown_requested().await;
            Ok::<(), io::Error>(())
        };
        children.push(s.start(SubsystemBuilder::new("child", body)));
    }
    while waiting.load(Ordering::Relaxed) < n {
        tokio::task::yield_now().await;
    }
}
