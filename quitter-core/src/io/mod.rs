//! Blocking I/O that ends when its quitter is told to quit.
//!
//! Each call polls two descriptors: the source, and one that its quitter makes readable at the quit
//! (`descriptor.rs`). So any number of threads that block at one quitter cost one descriptor, and no
//! mode of the user's descriptors is changed.

pub(crate) mod descriptor;
mod incoming;
mod interruptible;
mod methods;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

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
    /// The time is up.
    TimedOut,
    /// The quitter has been told to quit. This goes before `Now`.
    Quitting,
}

/// The two things that can be waited for.
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
}

/// The quitter that a call blocks at, and the routine that calls, if one does.
#[derive(Clone)]
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
                record.seen_during(place, || self.wait_unseen(source, wanted, until))
            }
            None => self.wait_unseen(source, wanted, until),
        }
    }

    fn wait_unseen(
        &self,
        source: BorrowedFd<'_>,
        wanted: Wanted,
        until: Option<Instant>,
    ) -> io::Result<Ready> {
        // Asked first: a quitter that quits needs no descriptor, and none may be left.
        if self.node.is_quitting() {
            return Ok(Ready::Quitting);
        }
        let quit = self.node.quit_descriptor()?;
        loop {
            let mut fds = [
                PollFd::from_borrowed_fd(source, wanted.flags()),
                PollFd::new(quit, PollFlags::IN),
            ];
            poll_until(&mut fds, until)?;
            // Asked again, since a quit goes before whatever the source has.
            if self.node.is_quitting() {
                return Ok(Ready::Quitting);
            }
            if is_ready(&fds[0])? {
                return Ok(Ready::Now);
            }
            if is_past(until) {
                return Ok(Ready::TimedOut);
            }
        }
    }
}

/// Waits until the source is ready or `until` has come, whatever the quitter says. Returns whether
/// the source is ready.
fn wait_alone(source: BorrowedFd<'_>, wanted: Wanted, until: Instant) -> io::Result<bool> {
    loop {
        let mut fds = [PollFd::from_borrowed_fd(source, wanted.flags())];
        poll_until(&mut fds, Some(until))?;
        if is_ready(&fds[0])? {
            return Ok(true);
        }
        if is_past(Some(until)) {
            return Ok(false);
        }
    }
}

/// Whether there is something to accept or to read right now.
fn is_readable(source: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(source, PollFlags::IN)];
    poll_until(&mut fds, Some(Instant::now()))?;
    is_ready(&fds[0])
}

fn is_ready(fd: &PollFd<'_>) -> io::Result<bool> {
    let events = fd.revents();
    if events.contains(PollFlags::NVAL) {
        // Closed, or a terminal on macOS, whose poll refuses these.
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the source cannot be polled",
        ));
    }
    Ok(!events.is_empty())
}

/// May return early.
fn poll_until(fds: &mut [PollFd<'_>], until: Option<Instant>) -> io::Result<()> {
    /// Some systems refuse long times.
    const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
    let left = until.map(|until| until.saturating_duration_since(Instant::now()).min(LONGEST));
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(fds, left.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
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
