//! A TCP server on threads: a loop that accepts, and a routine for each connection.
//!
//! Shows blocking I/O that ends at the quit (feature `io`, Unix), connections that are named in
//! reports, and failures that a server survives: `OnFailure::Report`.
//!
//! Start it with `cargo run -p quitter-examples --bin tcp_server_threads -- 7000`, and talk to it
//! from other terminals with `nc 127.0.0.1 7000`: it sends back each line. If a client resets its
//! connection, a line on stderr says so. Press Ctrl-C: lines that have arrived are answered, connections are
//! closed, and the program ends at once with exit code 0.

#![cfg_attr(
    test,
    allow(dead_code, reason = "the test harness has a main of its own")
)]

#[cfg(unix)]
mod server {
    use std::env;
    use std::error::Error;
    use std::io::{self, BufRead, BufReader, BufWriter, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::process::ExitCode;
    use std::time::Duration;

    use quitter::{AddRoutineError, MainQuitter, OnFailure, RoutineQuitter};

    #[quitter::main(timeout = "2s")]
    pub fn main(main: &MainQuitter) -> Result<ExitCode, Box<dyn Error>> {
        let Ok(port) = env::args().nth(1).unwrap_or("7000".to_owned()).parse() else {
            eprintln!("usage: tcp_server_threads [PORT]");
            return Ok(ExitCode::from(2));
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        println!("listening on {}", listener.local_addr()?);
        main.routine("accept").add(move |q| accept(q, &listener))?;
        Ok(ExitCode::SUCCESS)
    }

    fn accept(q: &RoutineQuitter, listener: &TcpListener) -> Result<(), AddRoutineError> {
        let connections = q.child("connections")?;
        connections.on_failure(OnFailure::Report); // Reported at once, and the server goes on.
        for stream in q.incoming(listener) {
            let Ok(stream) = stream.inspect_err(|error| eprintln!("cannot accept: {error}")) else {
                continue;
            };
            let peer = stream
                .peer_addr()
                .map_or("?".to_owned(), |peer| peer.to_string());
            match connections.routine(peer).add(move |q| echo(q, &stream)) {
                Err(AddRoutineError::Quitting) => break,
                Err(error) => eprintln!("{error}"), // Too many threads: this client is turned away.
                Ok(_) => {}
            }
        }
        Ok(())
    }

    fn echo(q: &RoutineQuitter, stream: &TcpStream) -> io::Result<()> {
        let at_the_quit = Duration::from_millis(5); // For data that is on its way.
        let mut reader = BufReader::new(q.interruptible(stream).finish_within(at_the_quit));
        let mut writer = BufWriter::new(q.interruptible(stream).finish_within(at_the_quit));
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            writer.write_all(&line)?;
            line.clear();
            if !reader.buffer().contains(&b'\n') {
                writer.flush()?; // Lines that have arrived together are answered together.
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
use server::main;

#[cfg(not(unix))]
fn main() {
    eprintln!("this example needs Unix");
}
