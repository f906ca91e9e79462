//! The polls of a routine that is a task. Reports with stacks ask what it awaits; without the feature
//! `stacks` nobody asks, as where there are no stacks.

#[cfg(not(feature = "stacks"))]
#[path = "../stacks/tasks_elsewhere.rs"]
mod tasks;

#[cfg(feature = "stacks")]
pub(super) use crate::stacks::tasks::Polls;
#[cfg(not(feature = "stacks"))]
pub(super) use tasks::Polls;
