//! Blocking I/O that ends when its quitter is told to quit.
//!
//! Each call polls two descriptors: the source, and one that the quitter makes readable at the quit
//! (`descriptor.rs`). So any number of threads that block on one quitter cost one descriptor, and the modes
//! of the user's descriptors stay as they are.

pub(crate) mod descriptor;
mod incoming;
mod interruptible;
mod methods;
#[cfg(any(target_vendor = "apple", test))]
mod select;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::Timeout;

pub use self::incoming::{Incoming, Listener};
pub use self::interruptible::Interruptible;
use crate::routine::record::{Place, Record};
use crate::tree::Node;

/// Why a wait for a source has ended. Returned by
/// [`Quitter::wait_readable`](crate::Quitter::wait_readable) and its siblings.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::net::UdpSocket;
/// use std::time::Duration;
/// use quitter::{Quitter, Ready};
///
/// let root = Quitter::root("main");
/// let socket = UdpSocket::bind("127.0.0.1:0")?;
/// let soon = Duration::from_millis(10);
/// assert_eq!(root.wait_readable_timeout(&socket, soon)?, Ready::TimedOut);
/// root.send_quit();
/// assert_eq!(root.wait_readable(&socket)?, Ready::Quitting);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "only after `Now` does the source have something"]
pub enum Ready {
    /// The source can be read from or written to. That includes its end and its errors, which the
    /// next read or write returns.
    Now,
    /// The timeout has elapsed.
    TimedOut,
    /// The quitter has been told to quit. This takes precedence over `Now`.
    Quitting,
}

#[derive(Clone, Copy)]
enum Wanted {
    Readable,
    Writable,
}

impl Wanted {
    fn flags(self) -> PollFlags {
        match self {
            Self::Readable => PollFlags::IN,
            Self::Writable => PollFlags::OUT,
        }
    }

    /// The socket timeout that applies.
    fn timeout(self) -> Timeout {
        match self {
            Self::Readable => Timeout::Recv,
            Self::Writable => Timeout::Send,
        }
    }
}

/// The quitter whose quit ends a call, and the routine that makes the call, if any.
struct Caller {
    node: Arc<Node>,
    routine: Option<(Arc<Record>, Place)>,
}

impl Caller {
    /// Waits until the source is ready, the quitter quits, or `until` has come.
    fn wait(
        &self,
        source: BorrowedFd<'_>,
        wanted: Wanted,
        until: Option<Instant>,
    ) -> io::Result<Ready> {
        match &self.routine {
            Some((record, place)) => {
                record.record_blocking_call(place, || self.wait_unrecorded(source, wanted, until))
            }
            None => self.wait_unrecorded(source, wanted, until),
        }
    }

    fn wait_unrecorded(
        &self,
        source: BorrowedFd<'_>,
        wanted: Wanted,
        until: Option<Instant>,
    ) -> io::Result<Ready> {
        // Checked first: a quitter that is quitting needs no descriptor, and there may be none left.
        if self.node.is_quitting() {
            return Ok(Ready::Quitting);
        }
        let quit = self.node.quit_descriptor()?;
        loop {
            let is_ready = poll_until(source, wanted, Some(quit.as_fd()), until);
            // Checked again, since a quit takes precedence over a ready source.
            if self.node.is_quitting() {
                return Ok(Ready::Quitting);
            }
            if is_ready? {
                return Ok(Ready::Now);
            }
            if is_past(until) {
                return Ok(Ready::TimedOut);
            }
        }
    }
}

/// Waits until the source is ready or `until` has come, even if the quitter is quitting. Returns whether the
/// source is ready.
fn wait_alone(source: BorrowedFd<'_>, wanted: Wanted, until: Instant) -> io::Result<bool> {
    loop {
        if poll_until(source, wanted, None, Some(until))? {
            return Ok(true);
        }
        if is_past(Some(until)) {
            return Ok(false);
        }
    }
}

/// Whether there is something to accept or to read right now.
fn is_readable(source: BorrowedFd<'_>) -> io::Result<bool> {
    poll_until(source, Wanted::Readable, None, Some(Instant::now()))
}

/// Waits until the source is ready, `quit` is readable, or `until` has come, and returns whether the source
/// is ready. May return early.
fn poll_until(
    source: BorrowedFd<'_>,
    wanted: Wanted,
    quit: Option<BorrowedFd<'_>>,
    until: Option<Instant>,
) -> io::Result<bool> {
    /// Some systems refuse longer timeouts.
    const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
    let left = until.map(|until| until.saturating_duration_since(Instant::now()).min(LONGEST));
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    let mut both = [
        PollFd::from_borrowed_fd(source, wanted.flags()),
        PollFd::from_borrowed_fd(quit.unwrap_or(source), PollFlags::IN),
    ];
    let fds = match quit {
        Some(_) => &mut both[..],
        None => &mut both[..1],
    };
    match poll(fds, left.as_ref()) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let events = both[0].revents();
    if !events.contains(PollFlags::NVAL) {
        return Ok(!events.is_empty());
    }
    // A terminal, which Apple's `poll` refuses.
    #[cfg(target_vendor = "apple")]
    return select::wait(source, wanted, quit, left.as_ref());
    #[cfg(not(target_vendor = "apple"))]
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "the source cannot be polled",
    ))
}

fn is_past(until: Option<Instant>) -> bool {
    until.is_some_and(|until| until <= Instant::now())
}

fn wait_for(
    caller: &Caller,
    source: &impl AsFd,
    wanted: Wanted,
    timeout: Option<Duration>,
) -> io::Result<Ready> {
    let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    caller.wait(source.as_fd(), wanted, until)
}
