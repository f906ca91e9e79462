//! The heap usage of a live child, and of a waiting task. The program `heap` runs this with its counting
//! allocator, with which nothing is timed.

use quitter::Quitter;
use tokio_util::sync::CancellationToken;

use crate::made::{Allocations, Children, Makes};
use crate::subsystems;
use crate::tasks;
use crate::workload::Workload;

/// Returns the bytes that each of `n` children takes. `in_use` returns the bytes in use.
pub type Heap = fn(n: usize, in_use: fn() -> usize) -> f64;

/// Every workload of the heap.
pub const HEAP: &[Workload<Heap>] = &[
    Workload {
        name: "heap",
        implementations: &[
            ("quitter", per_item::<Children<Quitter>>),
            ("allocation", per_item::<Allocations>),
            ("tokio-util", per_item::<Children<CancellationToken>>),
            ("tokio-graceful-shutdown", subsystems::heap_per_child),
        ],
    },
    Workload {
        name: "heap-task",
        implementations: &[
            ("quitter", tasks::heap_of_quitter),
            ("bare task", tasks::heap_of_bare),
            ("tokio-util", tasks::heap_of_tokio_util),
        ],
    },
];

fn per_item<M: Makes>(n: usize, in_use: fn() -> usize) -> f64 {
    let maker = M::new();
    let mut items = Vec::with_capacity(n);
    let before = in_use();
    items.extend((0..n).map(|_| maker.make()));
    (in_use() - before) as f64 / n as f64
}
