//! Starts threads.
//!
//! What a thread is to run is boxed: for each type of closure that std starts a thread with, a program has
//! three kilobytes of code.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Something to be run by a thread.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Starts a thread of quitter's own.
pub(crate) fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    spawn(Builder::new().name(name.to_owned()), Box::new(run))
}

/// Starts this thread.
pub(crate) fn spawn(thread: Builder, run: Job) -> io::Result<JoinHandle<()>> {
    thread.spawn(run)
}
