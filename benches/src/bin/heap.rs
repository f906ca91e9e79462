//! Prints the bytes of the heap that each live child takes: `heap heap IMPLEMENTATION N`.
//!
//! It is a program of its own because its counting allocator would distort times.

use peak_alloc::PeakAlloc;
use quitter_benches::scenarios::heap::HEAP;
use quitter_benches::workload::run_named;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() {
    let in_use = || ALLOCATOR.current_usage();
    run_named(HEAP, |heap, n| vec![("bytes", heap(n, in_use))]);
}
