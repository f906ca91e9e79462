//! The connections of a listener, until the quit.

use std::fmt;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{Caller, Ready, Wanted, is_readable};
use crate::sync::lock_std;

/// A listener whose connections [`incoming`](crate::Quitter::incoming) accepts: std's TCP and Unix
/// listeners.
pub trait Listener: AsFd + sealed::Accept {}

impl Listener for TcpListener {}
impl Listener for UnixListener {}

mod sealed {
    use std::io;

    pub trait Accept {
        type Stream;
        fn accept_one(&self) -> io::Result<Self::Stream>;
    }
}

impl sealed::Accept for TcpListener {
    type Stream = TcpStream;

    fn accept_one(&self) -> io::Result<TcpStream> {
        self.accept().map(|(stream, _)| stream)
    }
}

impl sealed::Accept for UnixListener {
    type Stream = UnixStream;

    fn accept_one(&self) -> io::Result<UnixStream> {
        self.accept().map(|(stream, _)| stream)
    }
}

/// An iterator over connections as they come in, until the quit. Returned by
/// [`Quitter::incoming`](crate::Quitter::incoming) and
/// [`RoutineQuitter::incoming`](crate::RoutineQuitter::incoming).
#[must_use = "nothing is accepted until it is iterated"]
pub struct Incoming<'a, L> {
    caller: Caller,
    listener: &'a L,
    /// The last attempt failed.
    has_failed: bool,
}

impl<'a, L: Listener> Incoming<'a, L> {
    pub(super) fn new(caller: Caller, listener: &'a L) -> Self {
        Self {
            caller,
            listener,
            has_failed: false,
        }
    }
}

impl<L: Listener> Iterator for Incoming<'_, L> {
    type Item = io::Result<L::Stream>;

    // Not inlined, so that stacks show its name in optimized programs, too.
    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        /// Without a free descriptor, the connection stays in the queue, and accepting it again at once would
        /// fail again. A listener that was shut down always fails.
        const AFTER_FAILURE: Duration = Duration::from_millis(50);
        if std::mem::take(&mut self.has_failed) {
            let until = Instant::now().checked_add(AFTER_FAILURE);
            self.caller.node.wait_quit(until);
        }
        loop {
            let source = self.listener.as_fd();
            let accepted = match self.caller.wait(source, Wanted::Readable, None) {
                Ok(Ready::Quitting) => return None,
                Ok(Ready::Now) => accept(self.listener),
                Ok(Ready::TimedOut) => Ok(None),
                Err(error) => Err(error),
            };
            if let Some(item) = accepted.transpose() {
                self.has_failed = item.is_err();
                return Some(item);
            }
        }
    }
}

/// Accepts a connection, if there still is one.
fn accept<L: Listener>(listener: &L) -> io::Result<Option<L::Stream>> {
    /// Several threads may accept from one listener. If it is a blocking one, a thread that comes too late
    /// would hang until the next connection, past every quit.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = lock_std(&ONE_AT_A_TIME);
    if !is_readable(listener.as_fd())? {
        return Ok(None);
    }
    match listener.accept_one() {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            // Another process may have been faster, or the peer is gone again.
            io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionAborted => Ok(None),
            _ => Err(error),
        },
    }
}

impl<L: fmt::Debug> fmt::Debug for Incoming<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("listener", self.listener)
            .finish_non_exhaustive()
    }
}
