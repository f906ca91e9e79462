//! Tasks on tokio, and waits that they await with a timeout.

pub(crate) mod blocking;
mod task;
mod wait;
