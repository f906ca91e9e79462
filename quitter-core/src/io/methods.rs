//! The methods of quitters that do I/O.

use std::io;
use std::os::fd::AsFd;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::{Caller, Incoming, Interruptible, Listener, Ready, Wanted, wait_for};
use crate::quitter::Quitter;
use crate::routine::quitter::RoutineQuitter;

/// Blocking I/O that ends when told, with the feature `io`.
// The waits are not inlined, so that stacks have their names in optimized programs, too.
impl Quitter {
    /// Blocks until `source` can be read from, or until this quitter is told to quit. For what reads
    /// by itself: a library with a descriptor, a terminal's events. Unix only.
    ///
    /// A source at its end, or with an error, can be read from: the read says so. If the quitter
    /// quits, the answer is [`Ready::Quitting`], also where the source has something. The mode of the
    /// descriptor is left as it is: if several threads read from one source that blocks, a read after
    /// this may block all the same. A library that reads ahead, as crossterm does, may hold events
    /// although its source is empty: take these first.
    ///
    /// # Errors
    ///
    /// Those of `poll`; and [`InvalidInput`](std::io::ErrorKind::InvalidInput) for what cannot be
    /// polled. The first call at a quitter takes one descriptor, which may be refused.
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

    /// As [`wait_readable`](Self::wait_readable), for at most `timeout`. Zero is one look;
    /// [`Duration::MAX`] waits for ever. Unix only.
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
    /// [`wait_readable`](Self::wait_readable). A write of more than the source has room for blocks
    /// all the same, unless the descriptor does not block. Unix only.
    ///
    /// # Errors
    ///
    /// Those of [`wait_readable`](Self::wait_readable).
    #[inline(never)]
    pub fn wait_writable(&self, source: &impl AsFd) -> io::Result<Ready> {
        wait_for(&self.caller(), source, Wanted::Writable, None)
    }

    /// As [`wait_writable`](Self::wait_writable), for at most `timeout`. Zero is one look;
    /// [`Duration::MAX`] waits for ever. Unix only.
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

    /// The connections of a listener, as they come in, until this quitter is told to quit. Unix only.
    ///
    /// Connections that have come by the quit but were not accepted are refused by the system when
    /// the listener is dropped. Several threads may accept from one listener. The mode of the
    /// listener is left as it is; one that does not block will do, too. If *another process* accepts
    /// from the same listener, use one that does not block: else it may take the connection first, and
    /// the call to the system blocks this iteration, and every other one of the program, until the next
    /// comes.
    ///
    /// Errors are items, and the iteration goes on after them, 50 ms later: a loop that ignores them
    /// does not spin. A lack of descriptors is one.
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
    ///         // No error ends the server: it is this client's, or it passes.
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

    /// Wraps a stream so that its reads and writes end when this quitter is told to quit: a socket,
    /// a pipe, a terminal, standard input. Unix only.
    ///
    /// From the quit on they fail with an error that is [`Quitting`](crate::Quitting), which
    /// [`BufReader`](std::io::BufReader), `lines`, a parser and the like pass on: a routine that returns
    /// it has quit, not failed. It is not of the kind [`Interrupted`](std::io::ErrorKind::Interrupted),
    /// on which std would try again for ever.
    /// [`finish_within`](crate::Interruptible::finish_within) lets a message be finished.
    ///
    /// A `BufReader` still yields what it holds at the quit, and fails only when it has to read more. To
    /// stop at once, ask [`has_to_quit`](Self::has_to_quit) in the loop.
    ///
    /// The timeouts of a socket, as [`TcpStream::set_read_timeout`](std::net::TcpStream::set_read_timeout)
    /// sets them, hold as ever: a read or write that takes longer fails with
    /// [`WouldBlock`](std::io::ErrorKind::WouldBlock).
    ///
    /// Reads and writes go to the descriptor itself. Text that [`Stdin`](std::io::Stdin) has buffered
    /// by then is not seen: read standard input through this alone. For `&TcpStream` or a clone the
    /// same is true as for the stream: the descriptor's mode is left as it is. Two threads that read
    /// one *pipe* or terminal may still take each other's data, and then block; two that read one
    /// socket do not.
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

/// Blocking I/O that ends when told, with the feature `io`.
impl RoutineQuitter {
    /// As [`Quitter::wait_readable`](crate::Quitter::wait_readable).
    ///
    /// # Errors
    ///
    /// Those of [`Quitter::wait_readable`](crate::Quitter::wait_readable).
    #[track_caller]
    #[inline(never)]
    pub fn wait_readable(&self, source: &impl AsFd) -> io::Result<Ready> {
        wait_for(&self.caller(), source, Wanted::Readable, None)
    }

    /// As [`Quitter::wait_readable_timeout`](crate::Quitter::wait_readable_timeout).
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

    /// As [`Quitter::wait_writable`](crate::Quitter::wait_writable).
    ///
    /// # Errors
    ///
    /// Those of [`Quitter::wait_readable`](crate::Quitter::wait_readable).
    #[track_caller]
    #[inline(never)]
    pub fn wait_writable(&self, source: &impl AsFd) -> io::Result<Ready> {
        wait_for(&self.caller(), source, Wanted::Writable, None)
    }

    /// As [`Quitter::wait_writable_timeout`](crate::Quitter::wait_writable_timeout).
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

    /// As [`Quitter::incoming`](crate::Quitter::incoming).
    #[track_caller]
    pub fn incoming<'a, L: Listener>(&self, listener: &'a L) -> Incoming<'a, L> {
        Incoming::new(self.caller(), listener)
    }

    /// As [`Quitter::interruptible`](crate::Quitter::interruptible).
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
