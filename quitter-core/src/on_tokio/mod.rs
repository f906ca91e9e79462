//! Tasks on tokio, and async waits with a timeout.

pub(crate) mod blocking;
#[cfg(feature = "process")]
mod process;
pub(crate) mod run;
mod task;
mod wait;
