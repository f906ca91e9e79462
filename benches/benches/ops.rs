//! Runs every workload that takes nanoseconds under criterion: `cargo bench`.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use quitter_benches::ops::OPS;

fn all(criterion: &mut Criterion) {
    for workload in OPS {
        let mut group = criterion.benchmark_group(workload.name);
        for (implementation, op) in workload.implementations {
            group.bench_function(*implementation, |bencher| bencher.iter_custom(op));
        }
        group.finish();
    }
}

/// Short, because the table takes many rounds: changes from second to second on a busy machine show
/// between the rounds, not within one.
fn short() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(200))
        .nresamples(1000)
        .without_plots()
}

criterion_group! {
    name = ops;
    config = short();
    targets = all
}
criterion_main!(ops);
