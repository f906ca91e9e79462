//! Tasks on tokio, and waits that they await with a timeout.

pub(crate) mod blocking;
pub(crate) mod run;
mod task;
mod wait;
