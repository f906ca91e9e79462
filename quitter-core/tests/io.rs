//! Blocking I/O ends when its quitter is told to quit, and changes nothing else.
#![cfg(all(unix, feature = "io"))]

#[macro_use]
mod common;

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader, Read, Write, pipe};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
#[cfg(target_os = "linux")]
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::in_time;
#[cfg(target_os = "linux")]
use common::take_all_descriptors;
use common::waits::{Waiter, eventually};
use nix::fcntl::{FcntlArg, fcntl};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::signal::Signal;
use nix::sys::termios::{FlowArg, tcflow};
use quitter_core::{Quitter, Quitting, Ready, RoutineQuitter, Timeouts};

const PATIENCE: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(600);

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Waits until every live routine has made a call that blocks.
fn until_all_block(quitter: &Quitter) {
    let blocks = |list: &Timeouts| {
        let mut routines = list.routines();
        routines.all(|routine| routine.last_seen.is_some_and(|seen| seen.ago.is_some()))
    };
    let until = Instant::now() + PATIENCE;
    while !quitter
        .wait_done(Duration::ZERO)
        .is_err_and(|list| blocks(&list))
    {
        assert!(Instant::now() < until, "they never block");
        thread::yield_now();
    }
}

/// Quits, and asserts that everything returns without a failure.
fn ends_cleanly(root: &Quitter) {
    root.quit_and_wait(PATIENCE).unwrap();
    assert!(root.failures().is_empty(), "{:?}", root.failures());
}

fn is_quitting(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Quitting>())
}

#[test]
fn a_read_of_anything_that_blocks_ends_at_the_quit_and_is_no_failure() {
    let root = Quitter::root("main");
    let (unix, _unix_peer) = UnixStream::pair().unwrap();
    let (pipe, _pipe_writer) = pipe().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();

    fn read(source: impl AsFd + Send + 'static) -> impl FnOnce(&RoutineQuitter) -> Outcome + Send {
        move |q| {
            for line in BufReader::new(q.interruptible(source)).lines() {
                println!("{}", line?);
            }
            Err("the source has ended".into())
        }
    }
    root.routine("unix").add(read(unix)).unwrap();
    root.routine("pipe").add(read(pipe)).unwrap();
    root.routine("tcp").add(read(tcp)).unwrap();
    root.routine("udp").add(read(udp)).unwrap();
    root.routine("terminal").add(read(slave)).unwrap();
    until_all_block(&root);
    ends_cleanly(&root);
    drop(master);
}

#[test]
fn a_write_that_nobody_reads_ends_at_the_quit() {
    let root = Quitter::root("main");
    let (unix, _unix_peer) = UnixStream::pair().unwrap();
    let (_pipe_reader, pipe) = pipe().unwrap();
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    tcflow(&slave, FlowArg::TCOOFF).unwrap();

    fn write(sink: impl AsFd + Send + 'static) -> impl FnOnce(&RoutineQuitter) -> Outcome + Send {
        move |q| {
            let mut sink = q.interruptible(sink);
            loop {
                // More than fits into the buffer of a socket.
                sink.write_all(&[b'x'; 1_000_000])?;
            }
        }
    }
    root.routine("unix").add(write(unix)).unwrap();
    root.routine("pipe").add(write(pipe)).unwrap();
    root.routine("terminal").add(write(slave)).unwrap();
    // This one takes a little, and then is full.
    let full = openpty(None, None).unwrap();
    root.routine("full terminal")
        .add(write(full.slave))
        .unwrap();
    let other = openpty(None, None).unwrap();
    root.routine("emulator").add(write(other.master)).unwrap();
    until_all_block(&root);
    ends_cleanly(&root);
    drop((master, full.master, other.slave));
}

/// Terminal emulators and `expect` write to the master. Opening such a descriptor a second time opens another
/// terminal.
#[test]
fn what_is_written_to_the_master_of_a_terminal_reaches_that_terminal() {
    let root = Quitter::root("main");
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    root.interruptible(&master).write_all(b"typed\n").unwrap();
    let slave = fs::File::from(slave);
    let soon = root.wait_readable_timeout(&slave, Duration::from_secs(10));
    assert_eq!(soon.unwrap(), Ready::Now);
    let mut line = String::new();
    BufReader::new(slave).read_line(&mut line).unwrap();
    assert_eq!(line, "typed\n");
}

#[test]
fn a_quit_reaches_readers_below_and_leaves_those_beside_alone() {
    let root = Quitter::root("main");
    let child = root.child("child").unwrap();
    let below = child.child("below").unwrap();
    let (source, _peer) = UnixStream::pair().unwrap();
    let (source_beside, mut peer_beside) = UnixStream::pair().unwrap();
    let read = |q: &RoutineQuitter, source: UnixStream| {
        let mut text = String::new();
        q.interruptible(source).read_to_string(&mut text)?;
        match &text[..] {
            "text" => Ok::<(), io::Error>(()),
            other => panic!("{other}"),
        }
    };
    below.add_routine(move |q| read(q, source)).unwrap();
    let beside = root.add_routine(move |q| read(q, source_beside)).unwrap();
    until_all_block(&root);
    ends_cleanly(&child);
    assert!(!beside.is_finished());
    peer_beside.write_all(b"text").unwrap();
    drop(peer_beside);
    beside.wait(PATIENCE).unwrap();
    assert!(root.failures().is_empty(), "{:?}", root.failures());
}

/// How many event file descriptors this process has open.
#[cfg(target_os = "linux")]
fn eventfds() -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    targets
        .filter(|target| target.to_string_lossy().contains("eventfd"))
        .count()
}

#[cfg(target_os = "linux")]
in_own_process!(
    a_crowd_that_blocks_at_one_quitter_costs_one_descriptor,
    own_process_a_crowd_blocks,
    {
        let root = Quitter::root("main");
        let before = eventfds();
        let peers: Vec<UnixStream> = (0..200)
            .map(|_| {
                let (source, peer) = UnixStream::pair().unwrap();
                let small = root.routine("reader").stack_size(64 * 1024);
                let read = move |q: &RoutineQuitter| {
                    io::copy(&mut q.interruptible(source), &mut io::sink()).map(drop)
                };
                small.add(read).unwrap();
                peer
            })
            .collect();
        until_all_block(&root);
        assert_eq!(eventfds() - before, 1);
        ends_cleanly(&root);
        drop(peers);
        drop(root);
        // A thread that has just ended may still hold the quitter for a moment.
        eventually(|| eventfds() == before);
    }
);

#[cfg(target_os = "linux")]
in_own_process!(
    without_a_descriptor_left_a_wait_fails_but_after_the_quit_it_needs_none,
    own_process_no_descriptor_left,
    {
        let root = Quitter::root("main");
        let (source, _peer) = UnixStream::pair().unwrap();
        let files = take_all_descriptors();
        let refused = root.wait_readable(&source).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(nix::libc::EMFILE));
        root.send_quit();
        assert_eq!(root.wait_readable(&source).unwrap(), Ready::Quitting);
        drop(files);
    }
);

#[test]
fn what_came_before_the_quit_can_be_finished_within_the_time_for_that() {
    let root = Quitter::root("main");
    let (mut client, server) = UnixStream::pair().unwrap();
    let stream = root.interruptible(server).finish_within(LONG);
    let mut lines = BufReader::new(stream).lines();
    client.write_all(b"first\nbegun ").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    root.send_quit();
    let (wrote, written) = mpsc::channel();
    let client = thread::spawn(move || {
        client.write_all(b"and finished\n").unwrap();
        wrote.send(()).unwrap();
        client
    });
    assert_eq!(lines.next().unwrap().unwrap(), "begun and finished");
    written.recv().unwrap();
    drop(client.join().unwrap());
    assert!(lines.next().is_none(), "the end of the stream is its end");
}

#[test]
fn when_the_time_to_finish_is_over_a_peer_that_says_nothing_holds_nothing_up() {
    let root = Quitter::root("main");
    let (_client, server) = UnixStream::pair().unwrap();
    let mut stream = root
        .interruptible(server)
        .finish_within(Duration::from_millis(50));
    root.send_quit();
    let told = Instant::now();
    let error = stream.read(&mut [0]).unwrap_err();
    assert!(is_quitting(&error), "{error:?}");
    assert!(told.elapsed() >= Duration::from_millis(40));
    assert!(is_quitting(&stream.write(b"late").unwrap_err()));
}

#[test]
fn the_timeouts_of_a_socket_hold_before_the_quit_and_after_it() {
    in_time(|| {
        const SHORT: Duration = Duration::from_millis(20);
        let root = Quitter::root("root");
        let (client, server) = UnixStream::pair().unwrap();
        let mut stream = root.interruptible(&server).finish_within(LONG);
        let mut buf = [0; 1];
        for _ in 0..2 {
            server.set_read_timeout(Some(SHORT)).unwrap();
            let late = stream.read(&mut buf).unwrap_err();
            assert_eq!(late.kind(), io::ErrorKind::WouldBlock);
            server.set_read_timeout(None).unwrap();
            server.set_write_timeout(Some(SHORT)).unwrap();
            let late = loop {
                if let Err(late) = stream.write(&[0; 64 * 1024]) {
                    break late;
                }
            };
            assert_eq!(late.kind(), io::ErrorKind::WouldBlock);
            root.send_quit();
        }
        // The quit takes precedence over a later timeout.
        server.set_read_timeout(Some(LONG)).unwrap();
        let mut stream = root.interruptible(&server).finish_within(SHORT);
        let quits = stream.read(&mut buf).unwrap_err();
        assert!(is_quitting(&quits), "{quits}");
        drop(client);
    });
}

#[test]
fn the_connections_of_a_listener_end_at_the_quit_however_many_threads_accept() {
    let root = Quitter::root("main");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, connections) = mpsc::channel();
    for _ in 0..8 {
        let listener = listener.try_clone().unwrap();
        let accepted = accepted.clone();
        let accept = move |q: &RoutineQuitter| {
            for stream in q.incoming(&listener) {
                accepted.send(stream?.peer_addr()?).unwrap();
            }
            Ok::<(), io::Error>(())
        };
        root.routine("acceptor").add(accept).unwrap();
    }
    until_all_block(&root);
    let clients: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let expected: BTreeSet<_> = clients
        .iter()
        .map(|client| client.local_addr().unwrap())
        .collect();
    let seen: BTreeSet<_> = (0..100)
        .map(|_| connections.recv_timeout(PATIENCE).unwrap())
        .collect();
    assert_eq!(seen, expected);
    ends_cleanly(&root);
    assert!(connections.try_recv().is_err());
}

#[test]
fn unix_listeners_and_those_that_do_not_block_are_accepted_from_too() {
    let root = Quitter::root("main");
    let path = std::env::temp_dir().join(format!("quitter-io-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let client = UnixStream::connect(&path).unwrap();
    let mut incoming = root.incoming(&listener);
    drop(incoming.next().unwrap().unwrap());
    root.send_quit();
    assert!(incoming.next().is_none());
    fs::remove_file(&path).unwrap();
    drop(client);
}

#[test]
fn the_connections_of_a_listener_that_fails_for_ever_are_not_tried_without_a_pause() {
    let root = Quitter::root("main");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let same = TcpStream::from(OwnedFd::from(listener.try_clone().unwrap()));
    if same.shutdown(Shutdown::Both).is_err() {
        return; // Not every system can shut down a listener.
    }
    let from = Instant::now();
    let failed = root.incoming(&listener).take(3);
    assert!(failed.filter(Result::is_err).count() == 3);
    assert!(from.elapsed() >= Duration::from_millis(100));
    let told = root.clone();
    let mut incoming = root.incoming(&listener);
    assert!(incoming.next().unwrap().is_err());
    told.send_quit();
    assert!(incoming.next().is_none());
}

#[test]
fn the_modes_of_a_descriptor_are_left_as_they_are() {
    let root = Quitter::root("main");
    let (mut client, server) = UnixStream::pair().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let flags = |fd: &dyn AsFd| fcntl(fd.as_fd(), FcntlArg::F_GETFL).unwrap();
    let before = (flags(&server), flags(&listener));
    let mut stream = root.interruptible(&server);
    client.write_all(b"ping").unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    stream.write_all(b"pong").unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    drop(root.incoming(&listener).next().unwrap().unwrap());
    assert_eq!((flags(&server), flags(&listener)), before);
}

#[test]
fn an_end_and_a_lost_peer_are_what_they_are_without_quitter() {
    let root = Quitter::root("main");
    let (reader, writer) = pipe().unwrap();
    drop(writer);
    let mut reader = root.interruptible(reader);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);

    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let error = root.interruptible(writer).write(b"x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);

    let (mut client, server) = UnixStream::pair().unwrap();
    client.write_all(b"last words").unwrap();
    drop(client);
    let mut stream = root.interruptible(server);
    let mut words = String::new();
    stream.read_to_string(&mut words).unwrap();
    assert_eq!(words, "last words");
    let error = stream.write(b"x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn nothing_that_a_stream_has_received_is_lost_when_it_is_taken_back() {
    let root = Quitter::root("main");
    let (mut client, server) = UnixStream::pair().unwrap();
    client.write_all(b"one, two").unwrap();
    let mut stream = root.interruptible(server);
    let mut first = [0; 3];
    stream.read_exact(&mut first).unwrap();
    root.send_quit();
    assert!(is_quitting(&stream.read(&mut [0]).unwrap_err()));
    let mut server = stream.into_inner();
    drop(client);
    let mut rest = String::new();
    server.read_to_string(&mut rest).unwrap();
    assert_eq!((&first, &rest[..]), (b"one", ", two"));
}

#[test]
fn two_readers_of_one_socket_both_end_at_the_quit() {
    let root = Quitter::root("main");
    let (source, mut peer) = UnixStream::pair().unwrap();
    for _ in 0..2 {
        let source = source.try_clone().unwrap();
        let read = move |q: &RoutineQuitter| {
            io::copy(&mut q.interruptible(source), &mut io::sink()).map(drop)
        };
        root.routine("reader").add(read).unwrap();
    }
    until_all_block(&root);
    // Each byte wakes both threads, but there is something to read for only one.
    for _ in 0..1000 {
        peer.write_all(b"x").unwrap();
    }
    ends_cleanly(&root);
}

#[test]
fn a_wait_tells_whether_it_is_ready_late_or_told_to_quit() {
    let root = Quitter::root("main");
    let (source, mut peer) = UnixStream::pair().unwrap();
    let soon = Duration::from_millis(20);
    let from = Instant::now();
    let timed_out = root.wait_readable_timeout(&source, soon).unwrap();
    assert_eq!(timed_out, Ready::TimedOut);
    assert!(from.elapsed() >= soon);
    let look = |quitter: &Quitter| {
        quitter
            .wait_readable_timeout(&source, Duration::ZERO)
            .unwrap()
    };
    assert_eq!(look(&root), Ready::TimedOut);
    peer.write_all(b"x").unwrap();
    assert_eq!(look(&root), Ready::Now);
    assert_eq!(
        root.wait_readable_timeout(&source, Duration::MAX).unwrap(),
        Ready::Now
    );
    assert_eq!(root.wait_writable(&source).unwrap(), Ready::Now);
    assert_eq!(
        root.wait_writable_timeout(&source, soon).unwrap(),
        Ready::Now
    );
    root.send_quit();
    assert_eq!(look(&root), Ready::Quitting);
    assert_eq!(root.wait_writable(&source).unwrap(), Ready::Quitting);
    let late = root.wait_readable_timeout(&source, LONG).unwrap();
    assert_eq!(late, Ready::Quitting);
}

#[test]
fn a_signal_that_the_program_handles_does_not_end_a_wait() {
    let handled = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(libc::SIGUSR2, Arc::clone(&handled)).unwrap();
    let root = Quitter::root("main");
    let (source, mut peer) = UnixStream::pair().unwrap();
    let (tell, told) = mpsc::channel();
    let wait = move |q: &RoutineQuitter| {
        tell.send((Waiter::this_thread(), pthread_self())).unwrap();
        assert_eq!(q.wait_readable(&source)?, Ready::Now);
        Ok::<(), io::Error>(())
    };
    let waits = root.routine("waits").add(wait).unwrap();
    let (waiter, thread) = told.recv().unwrap();
    waiter.until_asleep();
    pthread_kill(thread, Signal::SIGUSR2).unwrap();
    eventually(|| handled.load(Ordering::Relaxed));
    waiter.until_asleep();
    assert!(!waits.is_finished());
    peer.write_all(b"x").unwrap();
    waits.wait(PATIENCE).unwrap();
    ends_cleanly(&root);
}

#[test]
#[cfg(target_os = "linux")]
fn a_descriptor_that_cannot_be_waited_for_is_an_error() {
    let root = Quitter::root("main");
    let only_a_path = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open("/")
        .unwrap();
    let refused = root.wait_readable(&only_a_path).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_report_names_the_line_at_which_a_reader_was_made_and_since_when_it_blocks() {
    let root = Quitter::root("main");
    let (source, _writer): (PipeReader, _) = pipe().unwrap();
    let above = line!();
    root.routine("reader")
        .add(|q| {
            let mut reader = q.interruptible(source);
            reader.read(&mut [0]).map(drop)
        })
        .unwrap();
    until_all_block(&root);
    let list = root.wait_done(Duration::ZERO).unwrap_err();
    let seen = list.routines().next().unwrap().last_seen.unwrap();
    assert_eq!((seen.file(), seen.line()), (file!(), above + 3));
    assert!(seen.ago.is_some());
    ends_cleanly(&root);
}

#[test]
fn what_has_arrived_is_read_once_by_a_thread_that_comes_too_late() {
    let root = Quitter::root("main");
    let (mut peer, stream) = UnixStream::pair().unwrap();
    peer.write_all(b"one").unwrap();
    let short = Duration::from_millis(1);
    let (mut with_time, mut without) = (
        root.interruptible(&stream).finish_within(short),
        root.interruptible(&stream),
    );
    root.send_quit();
    thread::sleep(20 * short);
    assert!(is_quitting(&without.read(&mut [0; 8]).unwrap_err()));
    assert_eq!(with_time.read(&mut [0; 8]).unwrap(), 3);
    peer.write_all(b"two").unwrap();
    assert!(is_quitting(&with_time.read(&mut [0; 8]).unwrap_err()));
}

#[test]
fn quits_that_race_with_the_first_reads_reach_every_reader() {
    for _ in 0..300 {
        let root = Quitter::root("main");
        let (source, _peer) = UnixStream::pair().unwrap();
        let other = source.try_clone().unwrap();
        let read = |source: UnixStream| {
            move |q: &RoutineQuitter| {
                io::copy(&mut q.interruptible(source), &mut io::sink()).map(drop)
            }
        };
        root.add_routine(read(source)).unwrap();
        root.add_routine(read(other)).unwrap();
        ends_cleanly(&root);
    }
}
