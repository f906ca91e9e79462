//! What quitter is measured by: the workloads, and who takes part in each.
//!
//! A workload is one generic function over a trait, with one implementation of that trait for ours,
//! the floor and each peer: what differs between the figures is the library, and nothing else.
//! [`ops`] has the workloads of nanoseconds, which criterion repeats; [`scenarios`] those that are
//! large and run once in a process; [`programs`] the programs that are ended from outside. What is
//! compared with what, and the goals, are the rows of the program `table`.

pub mod asleep;
pub mod connections;
pub mod crew;
pub mod flags;
pub mod made;
pub mod muster;
pub mod ops;
pub mod programs;
pub mod scenarios;
pub mod subsystems;
pub mod tasks;
pub mod workload;

/// The name of our implementation of every workload.
pub const OURS: &str = "quitter";
