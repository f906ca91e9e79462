//! The workloads that take nanoseconds: one operation, over and over, on one thread or on two.
//!
//! An implementation may prepare something, anew for each measurement. The preparation is not timed.

use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use async_shutdown::ShutdownManager;
use crossbeam_utils::sync::WaitGroup;
use quitter::Quitter;
use tokio_graceful::Shutdown;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connections::{self, Selects};
use crate::flags::{Channel, Flag, Routine, Tree, WalksUp};
use crate::made::{Allocations, Children, Guards, Makes, OneCounter, OwnCounters};
use crate::subsystems;
use crate::tasks::{self, Quits};
use crate::workload::Workload;

/// Does the operation `iters` times, and returns how long that took.
pub type Op = fn(iters: u64) -> Duration;

/// Every workload that takes nanoseconds.
pub const OPS: &[Workload<Op>] = &[
    Workload {
        name: "poll",
        implementations: &[
            ("quitter", poll::<Quitter>),
            ("AtomicBool", poll::<Arc<AtomicBool>>),
            ("tokio-util", poll::<CancellationToken>),
            ("async-shutdown", poll::<ShutdownManager<()>>),
            ("Mutex", poll::<Arc<Mutex<bool>>>),
            ("crossbeam channel", poll::<Channel>),
        ],
    },
    Workload {
        name: "poll-routine",
        implementations: &[
            ("quitter", poll::<Routine>),
            ("AtomicBool", poll::<Arc<AtomicBool>>),
        ],
    },
    Workload {
        name: "poll-2-threads",
        implementations: &[
            ("quitter", poll_by_two::<Quitter>),
            ("AtomicBool", poll_by_two::<Arc<AtomicBool>>),
            ("tokio-util", poll_by_two::<CancellationToken>),
            ("async-shutdown", poll_by_two::<ShutdownManager<()>>),
            ("Mutex", poll_by_two::<Arc<Mutex<bool>>>),
            ("crossbeam channel", poll_by_two::<Channel>),
        ],
    },
    Workload {
        name: "poll-depth-100",
        implementations: &[
            ("quitter", poll_deep::<Quitter>),
            ("AtomicBool", poll::<Arc<AtomicBool>>),
            ("tokio-util", poll_deep::<CancellationToken>),
            ("walking up", poll_deep::<Arc<WalksUp>>),
        ],
    },
    Workload {
        name: "child",
        implementations: &[
            ("quitter", make::<Children<Quitter>>),
            ("allocation", make::<Allocations>),
            ("tokio-util", make::<Children<CancellationToken>>),
            ("tokio-graceful-shutdown", subsystems::made_and_dropped),
        ],
    },
    Workload {
        name: "child-2-threads",
        implementations: &[
            ("quitter", make_by_two::<Children<Quitter>>),
            ("allocation", make_by_two::<Allocations>),
            ("tokio-util", make_by_two::<Children<CancellationToken>>),
        ],
    },
    Workload {
        name: "connection",
        implementations: &[
            ("quitter", connect::<Quitter>),
            ("tokio-util", connect::<CancellationToken>),
        ],
    },
    Workload {
        name: "connection-2-threads",
        implementations: &[
            ("quitter", connect_by_two::<Quitter>),
            ("tokio-util", connect_by_two::<CancellationToken>),
        ],
    },
    Workload {
        name: "connection-select",
        implementations: &[
            ("quitter", select::<Quitter>),
            ("tokio-util", select::<CancellationToken>),
        ],
    },
    Workload {
        name: "connection-select-2-threads",
        implementations: &[
            ("quitter", select_by_two::<Quitter>),
            ("tokio-util", select_by_two::<CancellationToken>),
        ],
    },
    Workload {
        name: "connection-await",
        implementations: &[
            ("quitter", wait::<Quitter>),
            ("tokio-util", wait::<CancellationToken>),
        ],
    },
    Workload {
        name: "connection-await-2-threads",
        implementations: &[
            ("quitter", wait_by_two::<Quitter>),
            ("tokio-util", wait_by_two::<CancellationToken>),
        ],
    },
    Workload {
        name: "guard",
        implementations: &[
            ("quitter", make::<Guards>),
            ("counter", make::<OneCounter>),
            ("TaskTracker", make::<TaskTracker>),
            ("WaitGroup", make::<WaitGroup>),
            ("async-shutdown", make::<ShutdownManager<()>>),
            ("tokio-graceful", make::<Shutdown>),
        ],
    },
    Workload {
        name: "guard-2-threads",
        implementations: &[
            ("quitter", make_by_two::<Guards>),
            ("own counters", make_by_two::<OwnCounters>),
            ("TaskTracker", make_by_two::<TaskTracker>),
            ("WaitGroup", make_by_two::<WaitGroup>),
            ("async-shutdown", make_by_two::<ShutdownManager<()>>),
            ("tokio-graceful", make_by_two::<Shutdown>),
        ],
    },
    Workload {
        name: "quitting",
        implementations: &[
            ("quitter", quitting::<Quitter>),
            ("tokio-util", quitting::<CancellationToken>),
        ],
    },
    Workload {
        name: "quitting-2-threads",
        implementations: &[
            ("quitter", quitting_by_two::<Quitter>),
            ("tokio-util", quitting_by_two::<CancellationToken>),
        ],
    },
    Workload {
        name: "task",
        implementations: &[
            ("quitter", tasks::routine),
            ("bare spawn", tasks::spawned),
            ("TaskTracker", tasks::tracked),
            ("TaskTracker and child token", tasks::tracked_with_token),
            ("tokio-graceful-shutdown", subsystems::made_and_dropped),
        ],
    },
];

fn poll<T: Flag>(iters: u64) -> Duration {
    poll_this(&T::new(), iters)
}

fn poll_by_two<T: Flag>(iters: u64) -> Duration {
    let flag = T::new();
    by_two(iters, || _ = black_box(flag.is_told()))
}

/// Polls a node with a hundred nodes above it. The handles of all are held.
fn poll_deep<T: Tree>(iters: u64) -> Duration {
    let mut chain = vec![T::new()];
    for depth in 0..100 {
        chain.push(chain[depth].child());
    }
    poll_this(&chain[100], iters)
}

fn poll_this<T: Flag>(flag: &T, iters: u64) -> Duration {
    by_one(iters, || _ = black_box(flag.is_told()))
}

fn make<M: Makes>(iters: u64) -> Duration {
    let maker = M::new();
    by_one(iters, || drop(black_box(maker.make())))
}

fn make_by_two<M: Makes>(iters: u64) -> Duration {
    let maker = M::new();
    by_two(iters, || drop(black_box(maker.make())))
}

fn connect<T: Tree>(iters: u64) -> Duration {
    let server = T::new();
    by_one(iters, || connections::polled(&server))
}

fn connect_by_two<T: Tree>(iters: u64) -> Duration {
    let server = T::new();
    by_two(iters, || connections::polled(&server))
}

fn select<T: Selects>(iters: u64) -> Duration {
    let server = T::new();
    by_one(iters, || connections::selected(&server))
}

fn select_by_two<T: Selects>(iters: u64) -> Duration {
    let server = T::new();
    by_two(iters, || connections::selected(&server))
}

fn wait<T: Selects>(iters: u64) -> Duration {
    let server = T::new();
    by_one(iters, || connections::awaited(&server))
}

fn wait_by_two<T: Selects>(iters: u64) -> Duration {
    let server = T::new();
    by_two(iters, || connections::awaited(&server))
}

fn quitting<T: Quits>(iters: u64) -> Duration {
    let flag = T::new();
    by_one(iters, || flag.poll_once())
}

fn quitting_by_two<T: Quits>(iters: u64) -> Duration {
    let flag = T::new();
    by_two(iters, || flag.poll_once())
}

fn by_one(iters: u64, op: impl Fn()) -> Duration {
    let (from, until) = repeat(iters, op);
    until - from
}

/// Two threads do the operation `iters` times each. Returns the time from the start of the first thread
/// to the end of the last.
fn by_two(iters: u64, op: impl Fn() + Sync) -> Duration {
    let start = Barrier::new(2);
    let run = || {
        start.wait();
        repeat(iters, &op)
    };
    let (one, other) = thread::scope(|scope| {
        let other = scope.spawn(run);
        (run(), other.join().expect("it does not panic"))
    });
    one.1.max(other.1) - one.0.min(other.0)
}

/// Does sixteen operations per iteration of the loop. The loop itself takes one or two cycles per
/// iteration, depending on its place in memory, and a poll takes no more than that.
fn repeat(iters: u64, op: impl Fn()) -> (Instant, Instant) {
    let from = Instant::now();
    for _ in 0..iters / 16 {
        for _ in 0..16 {
            op();
        }
    }
    for _ in 0..iters % 16 {
        op();
    }
    (from, Instant::now())
}
