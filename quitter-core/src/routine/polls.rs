//! The polls of a task. Reports with stacks use them to find out what the task awaits; without the feature
//! `stacks`, and on systems without stacks, they do nothing.

#[cfg(not(feature = "stacks"))]
#[path = "../stacks/tasks_elsewhere.rs"]
mod tasks;

#[cfg(feature = "stacks")]
pub(super) use crate::stacks::tasks::Polls;
#[cfg(not(feature = "stacks"))]
pub(super) use tasks::Polls;
