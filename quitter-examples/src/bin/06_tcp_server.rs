//! A TCP server on threads: a loop that accepts, and a routine for each connection.
//!
//! Shows how to wake threads that block in the operating system, that connections are named in
//! reports, and failures that a server survives: `OnFailure::Report`.
//!
//! Start it with `cargo run -p quitter-examples --bin tcp_server -- 7000`, and talk to it from other
//! terminals with `nc 127.0.0.1 7000`: it sends back what you type. A client that resets its
//! connection gets a line on stderr. Press Ctrl-C: connections are closed, and the program ends at
//! once with exit code 0.

use std::env;
use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use quitter::{MainQuitter, OnFailure, Quitting, RoutineQuitter};

/// How often a connection without traffic asks whether it has to quit.
const PATIENCE: Duration = Duration::from_millis(100);

#[quitter::main(timeout = "2s")]
fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    let port = env::args().nth(1).unwrap_or("7000".to_owned()).parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let address = listener.local_addr()?;
    println!("listening on {address}");
    // `accept` blocks until somebody connects. At the quit, that is this routine. It is started
    // first: a quit may come before the second one.
    main.routine("unblock accept").add(move |q| {
        q.wait_quit();
        drop(TcpStream::connect(address));
    })?;
    main.routine("accept").add(move |q| accept(q, &listener))?;
    Ok(())
}

fn accept(q: &RoutineQuitter, listener: &TcpListener) -> Result<(), Quitting> {
    let connections = q.child("connections")?;
    connections.on_failure(OnFailure::Report); // Said at once, and the server goes on.
    while !q.has_to_quit() {
        let accepted = listener.accept().and_then(|(stream, peer)| {
            let connection = connections.routine(peer.to_string());
            connection
                .add(move |q| echo(q, &stream))
                .map_err(io::Error::other)
        });
        if let Err(error) = accepted
            && !q.has_to_quit()
        {
            eprintln!("cannot accept: {error}");
            q.sleep(PATIENCE)?; // Too many open files, say: do not spin.
        }
    }
    Ok(())
}

fn echo(q: &RoutineQuitter, mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 4096];
    while !q.has_to_quit() {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => stream.write_all(&buffer[..read])?,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
