//! The I/O methods of quitters.

use std::io;
use std::os::fd::AsFd;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::{Caller, Incoming, Interruptible, Listener, Ready, Wanted, wait_for};
use crate::quitter::Quitter;
use crate::routine::quitter::RoutineQuitter;

/// Blocking I/O that ends at the quit, with the feature `io`.
// The waits are not inlined, so that stacks show their names in optimized programs, too.
impl Quitter {
    /// Blocks until `source` can be read from, or until this quitter is told to quit. For code that does its
    /// own reading: a library with a file descriptor, a terminal's events. Unix only.
    ///
    /// A source that is at its end, or has an error, counts as readable: the read reports it. If the quitter
    /// is quitting, the result is [`Ready::Quitting`], even if the source is readable. The mode of the
    /// descriptor is left as it is: if several threads read from one blocking source, a read after this call
    /// may still block. A library that reads ahead, as crossterm does, may hold events although its source is
    /// empty: take these first.
    ///
    /// # Errors
    ///
    /// Those of `poll`, and [`InvalidInput`](std::io::ErrorKind::InvalidInput) for a source that cannot be
    /// polled. The first call on a quitter opens a file descriptor, which may fail.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::net::UdpSocket;
    /// use quitter::{Quitter, Ready};
    ///
    /// let root = Quitter::root("main");
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.send_to(b"ping", socket.local_addr()?)?;
    /// assert_eq!(root.wait_readable(&socket)?, Ready::Now);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline(never)]
    pub fn wait_readable(&self, source: &impl AsFd) -> io::Result<Ready> {
        wait_for(&self.caller(), source, Wanted::Readable, None)
    }

    /// Blocks like [`wait_readable`](Self::wait_readable), for at most `timeout`. A zero timeout checks once;
    /// [`Duration::MAX`] sets no limit. Unix only.
    ///
    /// # Errors
    ///
    /// Those of [`wait_readable`](Self::wait_readable).
    #[inline(never)]
    pub fn wait_readable_timeout(
        &self,
        source: &impl AsFd,
        timeout: Duration,
    ) -> io::Result<Ready> {
        wait_for(&self.caller(), source, Wanted::Readable, Some(timeout))
    }

    /// Blocks until `source` can be written to, or until this quitter is told to quit: see
    /// [`wait_readable`](Self::wait_readable). Writing more than the source has room for still blocks, unless
    /// the descriptor is non-blocking. Unix only.
    ///
    /// # Errors
    ///
    /// Those of [`wait_readable`](Self::wait_readable).
    #[inline(never)]
    pub fn wait_writable(&self, source: &impl AsFd) -> io::Result<Ready> {
        wait_for(&self.caller(), source, Wanted::Writable, None)
    }

    /// Blocks like [`wait_writable`](Self::wait_writable), for at most `timeout`. A zero timeout checks once;
    /// [`Duration::MAX`] sets no limit. Unix only.
    ///
    /// # Errors
    ///
    /// Those of [`wait_readable`](Self::wait_readable).
    #[inline(never)]
    pub fn wait_writable_timeout(
        &self,
        source: &impl AsFd,
        timeout: Duration,
    ) -> io::Result<Ready> {
        wait_for(&self.caller(), source, Wanted::Writable, Some(timeout))
    }

    /// Returns an iterator over a listener's connections, as they come in, until this quitter is told to
    /// quit. Unix only.
    ///
    /// Connections that have arrived by the quit but were not accepted are refused by the system when the
    /// listener is dropped. Several threads may accept from one listener. The mode of the listener is left as
    /// it is; a non-blocking listener works, too. If *another process* accepts from the same listener, use a
    /// non-blocking one: otherwise that process may take the connection first, and the system call then
    /// blocks this iteration, and every other one of the program, until the next connection.
    ///
    /// An error, such as a lack of file descriptors, is an item. The iteration continues after it, 50 ms
    /// later: a loop that ignores errors does not spin.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::io::Write;
    /// use std::net::{TcpListener, TcpStream};
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let address = listener.local_addr()?;
    /// root.add_routine(move |q| {
    ///     for stream in q.incoming(&listener) {
    ///         // No error ends the server: it concerns this client alone, or it passes.
    ///         if let Err(error) = stream.and_then(|mut stream| writeln!(stream, "hello")) {
    ///             eprintln!("{error}");
    ///         }
    ///     }
    /// })
    /// .unwrap();
    ///
    /// let greeting = std::io::read_to_string(TcpStream::connect(address)?)?;
    /// assert_eq!(greeting, "hello\n");
    /// root.quit_and_wait(Duration::from_secs(5)).unwrap();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn incoming<'a, L: Listener>(&self, listener: &'a L) -> Incoming<'a, L> {
        Incoming::new(self.caller(), listener)
    }

    /// Wraps a stream, such as a socket, a pipe, a terminal or standard input, so that its reads and writes
    /// end when this quitter is told to quit. Unix only.
    ///
    /// From the quit on, they fail with an error that is [`Quitting`](crate::Quitting), which
    /// [`BufReader`](std::io::BufReader), `lines`, a parser and the like pass on: a routine that returns it
    /// has quit, not failed. The error is not of the kind [`Interrupted`](std::io::ErrorKind::Interrupted),
    /// on which std would retry without end. [`finish_within`](crate::Interruptible::finish_within) lets a
    /// message be completed.
    ///
    /// A `BufReader` still yields what it holds at the quit, and fails only when it has to read more. To stop
    /// at once, check [`has_to_quit`](Self::has_to_quit) in the loop.
    ///
    /// The timeouts of a socket, as [`TcpStream::set_read_timeout`](std::net::TcpStream::set_read_timeout)
    /// sets them, still apply: a read or write that takes longer fails with
    /// [`WouldBlock`](std::io::ErrorKind::WouldBlock).
    ///
    /// Reads and writes go to the descriptor itself. Text that [`Stdin`](std::io::Stdin) has already buffered
    /// is not seen: read standard input only through this wrapper. A `&TcpStream` or a clone can be wrapped
    /// like the stream itself, since the descriptor's mode is left as it is. Two threads that read from one
    /// *pipe* or terminal may still take each other's data, and then block; two that read from one socket do
    /// not.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::io::{BufRead, BufReader};
    /// use std::os::unix::net::UnixStream;
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// let (_client, server) = UnixStream::pair()?;
    /// let reader = root
    ///     .add_routine(move |q| {
    ///         for line in BufReader::new(q.interruptible(server)).lines() {
    ///             println!("{}", line?);
    ///         }
    ///         Ok::<(), std::io::Error>(())
    ///     })
    ///     .unwrap();
    ///
    /// root.quit_and_wait(Duration::from_secs(5)).unwrap();
    /// assert!(root.failures().is_empty());
    /// # drop(reader);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn interruptible<S: AsFd>(&self, stream: S) -> Interruptible<S> {
        Interruptible::new(self.caller(), stream)
    }

    fn caller(&self) -> Caller {
        Caller {
            node: Arc::clone(self.node()),
            routine: None,
        }
    }
}

/// Blocking I/O that ends at the quit, with the feature `io`.
impl RoutineQuitter {
    /// Blocks like [`Quitter::wait_readable`](crate::Quitter::wait_readable).
    ///
    /// # Errors
    ///
    /// Those of [`Quitter::wait_readable`](crate::Quitter::wait_readable).
    #[track_caller]
    #[inline(never)]
    pub fn wait_readable(&self, source: &impl AsFd) -> io::Result<Ready> {
        wait_for(&self.caller(), source, Wanted::Readable, None)
    }

    /// Blocks like [`Quitter::wait_readable_timeout`](crate::Quitter::wait_readable_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`Quitter::wait_readable`](crate::Quitter::wait_readable).
    #[track_caller]
    #[inline(never)]
    pub fn wait_readable_timeout(
        &self,
        source: &impl AsFd,
        timeout: Duration,
    ) -> io::Result<Ready> {
        wait_for(&self.caller(), source, Wanted::Readable, Some(timeout))
    }

    /// Blocks like [`Quitter::wait_writable`](crate::Quitter::wait_writable).
    ///
    /// # Errors
    ///
    /// Those of [`Quitter::wait_readable`](crate::Quitter::wait_readable).
    #[track_caller]
    #[inline(never)]
    pub fn wait_writable(&self, source: &impl AsFd) -> io::Result<Ready> {
        wait_for(&self.caller(), source, Wanted::Writable, None)
    }

    /// Blocks like [`Quitter::wait_writable_timeout`](crate::Quitter::wait_writable_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`Quitter::wait_readable`](crate::Quitter::wait_readable).
    #[track_caller]
    #[inline(never)]
    pub fn wait_writable_timeout(
        &self,
        source: &impl AsFd,
        timeout: Duration,
    ) -> io::Result<Ready> {
        wait_for(&self.caller(), source, Wanted::Writable, Some(timeout))
    }

    /// Returns an iterator over a listener's connections, like
    /// [`Quitter::incoming`](crate::Quitter::incoming).
    #[track_caller]
    pub fn incoming<'a, L: Listener>(&self, listener: &'a L) -> Incoming<'a, L> {
        Incoming::new(self.caller(), listener)
    }

    /// Wraps a stream, like [`Quitter::interruptible`](crate::Quitter::interruptible).
    #[track_caller]
    pub fn interruptible<S: AsFd>(&self, stream: S) -> Interruptible<S> {
        Interruptible::new(self.caller(), stream)
    }

    #[track_caller]
    fn caller(&self) -> Caller {
        Caller {
            node: Arc::clone(self.node()),
            routine: Some((Arc::clone(self.record()), Location::caller())),
        }
    }
}
