//! Starts threads.
//!
//! What a thread is to run is boxed: for each type of closure that std starts a thread with, a program has
//! three kilobytes of code.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Something to be run by a thread.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Starts a thread of quitter's own.
pub(crate) fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    spawn(Builder::new().name(name.to_owned()), Box::new(run))
}

/// Starts a thread of quitter's own, and gives it a value. If the system refuses the thread, the value comes
/// back.
pub(crate) fn start_with<T: Send + 'static>(
    name: &str,
    value: T,
    run: impl FnOnce(T) + Send + 'static,
) -> Result<(), (T, io::Error)> {
    // A refused thread drops its closure, but not this.
    let value = Arc::new(Mutex::new(Some(value)));
    let take = |value: &Mutex<Option<T>>| {
        let mut value = value.lock().unwrap_or_else(PoisonError::into_inner);
        value.take()
    };
    let theirs = Arc::clone(&value);
    let run = move || _ = take(&theirs).map(run);
    match start(name, run) {
        Ok(_detached) => Ok(()),
        Err(refused) => take(&value).map_or(Ok(()), |value| Err((value, refused))),
    }
}

/// Starts this thread.
pub(crate) fn spawn(thread: Builder, run: Job) -> io::Result<JoinHandle<()>> {
    thread.spawn(run)
}
