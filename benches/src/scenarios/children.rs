//! Children that are all made, held, and then all dropped in the order in which they were made.

use std::time::Instant;

use crate::made::Makes;
use crate::workload::Figures;

/// Measures making and dropping, for each child.
pub fn run<M: Makes>(n: usize) -> Figures {
    let maker = M::new();
    let mut items = Vec::with_capacity(n);
    let from = Instant::now();
    items.extend((0..n).map(|_| maker.make()));
    let made = from.elapsed().as_nanos() as f64;
    let from = Instant::now();
    drop(items);
    let dropped = from.elapsed().as_nanos() as f64;
    let n = n as f64;
    vec![
        ("made", made / n),
        ("dropped", dropped / n),
        ("both", (made + dropped) / n),
    ]
}
