//! Starts threads.
//!
//! The closures are boxed: each closure type that std starts a thread with adds three kilobytes of code to a
//! program.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use crate::sync::lock_std;
use crate::system;

pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Starts one of quitter's own threads.
pub(crate) fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    spawn(Builder::new().name(name.to_owned()), Box::new(run))
}

/// Starts a thread that runs code of the program, and passes it a value. If the system refuses the thread,
/// returns the value.
pub(crate) fn start_with<T: Send + 'static>(
    name: &str,
    value: T,
    run: impl FnOnce(T) + Send + 'static,
) -> Result<(), (T, io::Error)> {
    // Std drops the closure of a refused thread, but not this value.
    let value = Arc::new(Mutex::new(Some(value)));
    let take = |value: &Mutex<Option<T>>| lock_std(value).take();
    let theirs = Arc::clone(&value);
    let run = move || system::accepting_signals(|| _ = take(&theirs).map(run));
    match start(name, run) {
        Ok(_detached) => Ok(()),
        Err(refused) => take(&value).map_or(Ok(()), |value| Err((value, refused))),
    }
}

pub(crate) fn spawn(thread: Builder, run: Job) -> io::Result<JoinHandle<()>> {
    thread.spawn(run)
}
