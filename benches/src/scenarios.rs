//! The large workloads. The program `scenario` runs each once in a process of its own.

mod build;
mod busy;
mod chain;
mod children;
mod failures;
mod fork;
mod interrupt;
mod output;
mod processes;
mod quit;
mod reads;
mod server;
mod slow_poll;
mod snapshot;
mod threads;

pub mod heap;

pub use build::PARTS_NAME;

use async_shutdown::ShutdownManager;
use quitter::Quitter;
use tokio_util::sync::CancellationToken;

use crate::crew::{Counted, FlagAndEvent, Joined, ParkingLot, StdCondvar, TokioUtil};
use crate::flags::Channel;
use crate::made::{Allocations, Children};
use crate::subsystems;
use crate::tasks;
use crate::workload::{Figures, Workload};

/// Runs a workload once, at a size.
pub type Scenario = fn(n: usize) -> Figures;

/// Every large workload except the heap's.
pub const SCENARIOS: &[Workload<Scenario>] = &[
    Workload {
        name: "children",
        implementations: &[
            ("quitter", children::run::<Children<Quitter>>),
            ("allocation", children::run::<Allocations>),
            ("tokio-util", children::run::<Children<CancellationToken>>),
        ],
    },
    Workload {
        name: "quit-flat",
        implementations: &[
            ("quitter", quit::flat::<Quitter>),
            ("own flags", quit::own_flags),
            ("tokio-util", quit::flat::<CancellationToken>),
        ],
    },
    Workload {
        name: "quit-tens",
        implementations: &[
            ("quitter", quit::tens::<Quitter>),
            ("own flags", quit::own_flags),
            ("tokio-util", quit::tens::<CancellationToken>),
        ],
    },
    Workload {
        name: "slow-poll",
        implementations: &[
            ("quitter", slow_poll::run::<Quitter>),
            ("nothing quits", slow_poll::run_quiet),
            ("tokio-util", slow_poll::run::<CancellationToken>),
        ],
    },
    Workload {
        name: "chain",
        implementations: &[
            ("quitter", chain::run::<Quitter>),
            ("tokio-util", chain::run::<CancellationToken>),
        ],
    },
    Workload {
        name: "threads",
        implementations: &[
            ("quitter", threads::run::<Quitter>),
            ("Condvar + WaitGroup", threads::run::<Counted<StdCondvar>>),
            ("Condvar + join", threads::run::<Joined<StdCondvar>>),
            ("thread::scope", threads::scope),
            ("parking_lot", threads::run::<Counted<ParkingLot>>),
            ("tokio-util", threads::run::<TokioUtil>),
            ("crossbeam channel", threads::run::<Counted<Channel>>),
            ("event-listener", threads::run::<Counted<FlagAndEvent>>),
            (
                "async-shutdown",
                threads::run::<Counted<ShutdownManager<()>>>,
            ),
        ],
    },
    Workload {
        name: "reads",
        implementations: &[
            ("quitter", reads::interruptible),
            ("wait_quit", reads::wait_quit),
        ],
    },
    Workload {
        name: "processes",
        implementations: &[
            ("quitter", processes::quitter),
            ("by hand", processes::by_hand),
        ],
    },
    Workload {
        name: "output",
        implementations: &[
            ("quitter", |n| output::captured("captures", n)),
            ("a thread each", |n| {
                output::captured("captures on threads", n)
            }),
        ],
    },
    Workload {
        name: "server",
        implementations: &[
            ("quitter", server::example),
            ("by hand", |n| server::program("server by hand", n)),
            ("killed", |n| server::program("server killed", n)),
        ],
    },
    Workload {
        name: "fork",
        implementations: &[
            ("quitter", fork::routines),
            ("thread::scope", fork::scope),
            ("WaitGroup", fork::wait_group),
            ("spawn + join", fork::join),
        ],
    },
    Workload {
        name: "failures",
        implementations: &[
            ("quitter", failures::all_fail),
            ("all return", failures::all_return),
        ],
    },
    Workload {
        name: "busy",
        implementations: &[
            ("quitter", busy::quitter),
            ("TaskTracker", busy::task_tracker),
        ],
    },
    Workload {
        name: "snapshot",
        implementations: &[
            ("quitter", snapshot::run),
            ("nobody looks", snapshot::run_quiet),
        ],
    },
    Workload {
        name: "forced-end",
        implementations: &[
            ("quitter", |n| interrupt::forced_end("hammered", n)),
            ("idle", |n| interrupt::forced_end("held", n)),
        ],
    },
    Workload {
        name: "process",
        implementations: &[
            ("quitter", |n| interrupt::program("quitter", n)),
            ("killed", |n| interrupt::program("killed", n)),
            ("ctrlc", |n| interrupt::program("ctrlc", n)),
            ("ctrlc + WaitGroup", |n| {
                interrupt::program("ctrlc + WaitGroup", n)
            }),
            ("ctrlc + join", |n| interrupt::program("ctrlc + join", n)),
            ("signal-hook", |n| interrupt::program("signal-hook", n)),
            ("tokio-util", |n| interrupt::program("tokio-util", n)),
        ],
    },
    Workload {
        name: "heartbeat",
        implementations: &[("quitter", |_| interrupt::heartbeat())],
    },
    Workload {
        name: "build",
        implementations: &[
            ("quitter", |_| build::clean(&build::QUITTER)),
            ("ctrlc + crossbeam-channel", |_| {
                build::clean(&build::BY_HAND)
            }),
            (build::PARTS_NAME, |_| build::clean(&build::PARTS)),
            ("tokio-util", |_| build::clean(&build::TOKIO_UTIL)),
            ("tokio-graceful-shutdown", |_| {
                build::clean(&build::SUBSYSTEMS)
            }),
        ],
    },
    Workload {
        name: "tasks",
        implementations: &[
            ("quitter", tasks::quitter),
            ("Notify", tasks::notify),
            ("tokio-util", tasks::tokio_util),
            ("tokio-graceful-shutdown", subsystems::quit_to_done),
        ],
    },
];
