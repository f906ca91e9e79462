//! Many children, each with a routine, and all routines fail when they are told to quit.

use std::time::{Duration, Instant};

use quitter::{Quitter, RoutineQuitter};

use crate::asleep;
use crate::workload::Figures;

/// Every routine returns an error.
pub fn all_fail(n: usize) -> Figures {
    quit_to_done(n, Err("the connection was reset"))
}

/// Every routine just returns.
pub fn all_return(n: usize) -> Figures {
    quit_to_done(n, Ok(()))
}

fn quit_to_done(n: usize, outcome: Result<(), &'static str>) -> Figures {
    let root = Quitter::root("root");
    for _ in 0..n {
        let child = root.child("child").expect("not quitting");
        let routine = move |q: &RoutineQuitter| {
            q.wait_quit();
            outcome
        };
        child.add_routine(routine).expect("a thread");
    }
    asleep::wait_for_others();
    let from = Instant::now();
    root.send_quit();
    root.wait_done(Duration::MAX).expect("no limit");
    vec![("done", from.elapsed().as_nanos() as f64)]
}
