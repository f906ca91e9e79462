//! A stream whose reads and writes end at the quit.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};

use super::{Caller, Ready, Wanted, is_past, wait_alone};
use crate::error::Quitting;

/// A stream whose reads and writes end when the quitter is told to quit. Returned by
/// [`Quitter::interruptible`](crate::Quitter::interruptible) and
/// [`RoutineQuitter::interruptible`](crate::RoutineQuitter::interruptible), which document it.
pub struct Interruptible<S> {
    caller: Caller,
    stream: S,
    kind: Kind,
    /// How long reads and writes go on after the quit.
    grace: Duration,
    /// Whether the stream was checked since the quit.
    has_looked: bool,
}

/// How a read or write is kept from blocking although the stream itself may block.
enum Kind {
    /// Each call can be told not to block.
    Socket,
    /// The terminal, opened a second time in non-blocking mode, for writing: a terminal that is ready for one
    /// byte blocks a write of two.
    Terminal(File),
    /// A pipe that is ready for writing takes a little without blocking.
    Other,
}

/// POSIX promises that a pipe takes this much at once if it takes anything.
const TAKEN_AT_ONCE: usize = 512;

/// Does not block and, where the call can say so, does not raise SIGPIPE, which Rust programs ignore unless
/// they ask for it.
#[cfg(not(target_vendor = "apple"))]
const NOW: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
#[cfg(target_vendor = "apple")]
const NOW: SendFlags = SendFlags::DONTWAIT;

impl Kind {
    fn of(fd: BorrowedFd<'_>) -> Self {
        use std::io::IsTerminal;

        if sockopt::socket_type(fd).is_ok() {
            return Self::Socket;
        }
        let again = format!("/proc/self/fd/{}", fd.as_raw_fd());
        if is_master(&again) {
            return Self::Other;
        }
        let reopen = || {
            let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
            OpenOptions::new()
                .write(true)
                .custom_flags(flags)
                .open(again)
        };
        let terminal = fd.is_terminal().then(reopen).and_then(Result::ok);
        terminal.map_or(Self::Other, Self::Terminal)
    }
}

/// Whether this is the master side of a pseudoterminal: opening that again makes a new terminal. Unlike the
/// other side, it takes as much as a pipe, if it takes anything.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_master(path: &str) -> bool {
    use std::os::unix::fs::MetadataExt;

    let ptmx = libc::makedev(5, 2);
    std::fs::metadata(path).is_ok_and(|file| file.rdev() == ptmx)
}

/// On other systems the master side has no device number of its own, and hardly ever a path in `/proc`.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_master(_: &str) -> bool {
    false
}

impl<S: AsFd> Interruptible<S> {
    pub(super) fn new(caller: Caller, stream: S) -> Self {
        Self {
            kind: Kind::of(stream.as_fd()),
            caller,
            stream,
            grace: Duration::ZERO,
            has_looked: false,
        }
    }

    /// Lets reads and writes go on for at most `grace` after the quit, so that a message in progress can be
    /// completed. The default is zero.
    ///
    /// Unless `grace` is zero, the first read or write after the quit takes what is there, however late it
    /// comes: a thread that was not scheduled in time still reads a message that has arrived.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::io::{BufRead, BufReader, Write};
    /// use std::os::unix::net::UnixStream;
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// let (mut client, server) = UnixStream::pair()?;
    /// let stream = root.interruptible(server).finish_within(Duration::from_secs(5));
    /// client.write_all(b"the last line\n")?;
    /// root.send_quit();
    ///
    /// let mut line = String::new();
    /// BufReader::new(stream).read_line(&mut line)?;
    /// assert_eq!(line, "the last line\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn finish_within(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Returns a reference to the stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Returns a mutable reference to the stream. Reading from it directly can block, as usual.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Returns the stream. The wrapper has no buffer, so nothing is lost.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// The time by which a read or write that begins now must end, by the socket's own timeouts, which apply
    /// only to calls that block.
    fn limit(&self, wanted: Wanted) -> io::Result<Option<Instant>> {
        let Kind::Socket = self.kind else {
            return Ok(None);
        };
        let timeout = sockopt::socket_timeout(&self.stream, wanted.timeout())?;
        Ok(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// Waits until the stream is ready, until `limit`, or until the grace period after the quit is over.
    fn ready(&mut self, wanted: Wanted, limit: Option<Instant>) -> io::Result<()> {
        let source = self.stream.as_fd();
        match self.caller.wait(source, wanted, limit)? {
            Ready::Now => return Ok(()),
            // The error that std's streams return.
            Ready::TimedOut => return Err(Errno::AGAIN.into()),
            Ready::Quitting => {}
        }
        let quit = self.caller.node.quit_info();
        let until = quit.and_then(|quit| quit.at.checked_add(self.grace));
        let is_first = !self.grace.is_zero() && !std::mem::replace(&mut self.has_looked, true);
        let goes_on = until.filter(|until| is_first || *until > Instant::now());
        let earlier = |until: Instant| limit.map_or(until, |limit| limit.min(until));
        match goes_on.map(|until| wait_alone(source, wanted, earlier(until))) {
            Some(Ok(true)) => Ok(()),
            Some(Err(error)) => Err(error),
            Some(Ok(false)) if goes_on > limit && is_past(limit) => Err(Errno::AGAIN.into()),
            Some(Ok(false)) | None => Err(io::Error::other(Quitting)),
        }
    }

    fn read_now(&self, buf: &mut [u8]) -> rustix::io::Result<usize> {
        match self.kind {
            Kind::Socket => recv(&self.stream, buf, RecvFlags::DONTWAIT).map(|(read, _)| read),
            Kind::Terminal(_) | Kind::Other => rustix::io::read(&self.stream, buf),
        }
    }

    fn write_now(&self, buf: &[u8]) -> rustix::io::Result<usize> {
        match &self.kind {
            Kind::Socket => send(&self.stream, buf, NOW),
            Kind::Terminal(file) => rustix::io::write(file, buf),
            Kind::Other => rustix::io::write(&self.stream, &buf[..buf.len().min(TAKEN_AT_ONCE)]),
        }
    }
}

/// Whether another thread was faster, or a signal came.
fn is_to_be_tried_again(error: Errno) -> bool {
    matches!(error, Errno::AGAIN | Errno::INTR)
}

impl<S: AsFd> Read for Interruptible<S> {
    // Not inlined, so that stacks show its name in optimized programs, too.
    #[inline(never)]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let limit = self.limit(Wanted::Readable)?;
        loop {
            self.ready(Wanted::Readable, limit)?;
            match self.read_now(buf) {
                Err(error) if is_to_be_tried_again(error) => {}
                result => return Ok(result?),
            }
        }
    }
}

impl<S: AsFd> Write for Interruptible<S> {
    #[inline(never)]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let limit = self.limit(Wanted::Writable)?;
        loop {
            self.ready(Wanted::Writable, limit)?;
            match self.write_now(buf) {
                Err(error) if is_to_be_tried_again(error) => {}
                result => return Ok(result?),
            }
        }
    }

    /// Nothing is buffered here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: AsFd> AsFd for Interruptible<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl<S: fmt::Debug> fmt::Debug for Interruptible<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interruptible")
            .field("stream", &self.stream)
            .field("finish_within", &self.grace)
            .finish_non_exhaustive()
    }
}
