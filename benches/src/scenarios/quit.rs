//! The quit of a root with many idle nodes below it.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::flags::{Flag, Tree};
use crate::workload::Figures;

/// All nodes are children of the root.
pub fn flat<T: Tree>(n: usize) -> Figures {
    let root = T::new();
    let children: Vec<_> = (0..n).map(|_| root.child()).collect();
    measure(|| root.tell(), &children)
}

/// Each node has ten children, and is held by a handle.
pub fn tens<T: Tree>(n: usize) -> Figures {
    let nodes = tree_of_tens::<T>(n);
    measure(|| nodes[0].tell(), &nodes[1..])
}

/// A root, and `n` nodes below it.
pub(super) fn tree_of_tens<T: Tree>(n: usize) -> Vec<T> {
    let mut nodes = Vec::with_capacity(n + 1);
    nodes.push(T::new());
    for child in 0..n {
        let parent: &T = &nodes[child / 10];
        nodes.push(parent.child());
    }
    nodes
}

/// The floor if each node has a flag of its own: a loop that sets the flags.
pub fn own_flags(n: usize) -> Figures {
    let flags: Vec<Arc<AtomicBool>> = (0..n).map(|_| Flag::new()).collect();
    measure(|| flags.iter().for_each(Flag::tell), &flags)
}

fn measure<T: Flag>(tell: impl FnOnce(), all: &[T]) -> Figures {
    let from = Instant::now();
    tell();
    let call = from.elapsed();
    for flag in all {
        while !flag.is_told() {
            hint::spin_loop();
        }
    }
    let seen = from.elapsed();
    vec![
        ("call", call.as_nanos() as f64),
        ("seen", seen.as_nanos() as f64),
    ]
}
