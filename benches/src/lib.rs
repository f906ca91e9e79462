//! The workloads by which quitter is measured, and their implementations.
//!
//! A workload is one generic function over a trait. quitter, the floor and each peer implement that
//! trait, so the figures differ only by the library. [`ops`] has the workloads that
//! take nanoseconds, which criterion repeats. [`scenarios`] has the large ones, which run once in a
//! process. [`programs`] has the programs that are ended from outside. The rows of the program `table`
//! say what is compared with what, and have the goals.

pub mod asleep;
pub mod captures;
pub mod connections;
pub mod crew;
pub mod flags;
pub mod made;
pub mod muster;
pub mod ops;
pub mod programs;
pub mod scenarios;
pub mod servers;
pub mod subsystems;
pub mod tasks;
pub mod workload;

/// The name of quitter among the implementations of a workload.
pub const OURS: &str = "quitter";
