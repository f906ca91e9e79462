//! A chain in which each node is the child of the one before: made, told to quit, and dropped from both ends.

use std::thread;
use std::time::Instant;

use crate::flags::Tree;
use crate::workload::Figures;

/// The size of the stack, which must not overflow at any depth.
const STACK: usize = 2 << 20;

/// Measures the time for each node.
pub fn run<T: Tree>(n: usize) -> Figures {
    let on_small_stack = thread::Builder::new().stack_size(STACK);
    let measured = on_small_stack.spawn(move || measure::<T>(n));
    measured.expect("a thread").join().expect("no panic")
}

fn measure<T: Tree>(n: usize) -> Figures {
    let per_node = |from: Instant| from.elapsed().as_nanos() as f64 / n as f64;
    let from = Instant::now();
    let chain = made::<T>(n);
    let made_in = per_node(from);
    let from = Instant::now();
    chain[0].tell();
    let quit_in = per_node(from);
    let from = Instant::now();
    chain.into_iter().for_each(drop);
    let root_first = per_node(from);

    let chain = made::<T>(n);
    chain[0].tell();
    let from = Instant::now();
    chain.into_iter().rev().for_each(drop);
    let leaf_first = per_node(from);
    vec![
        ("made", made_in),
        ("quit", quit_in),
        ("root first", root_first),
        ("leaf first", leaf_first),
        (
            "all",
            made_in + quit_in + f64::midpoint(root_first, leaf_first),
        ),
    ]
}

fn made<T: Tree>(n: usize) -> Vec<T> {
    let mut chain = Vec::with_capacity(n);
    chain.push(T::new());
    for depth in 1..n {
        let parent: &T = &chain[depth - 1];
        chain.push(parent.child());
    }
    chain
}
