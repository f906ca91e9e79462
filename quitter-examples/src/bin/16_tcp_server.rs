//! A TCP server on tokio: a loop that accepts, and a task for each connection.
//!
//! Shows an async `main`, and tasks as routines: named in reports, told to quit, waited for. Each
//! connection is a quitter of its own with two tasks, and when the client leaves, the task that reads
//! tells the other one to quit. Futures that must not outlast the quit are awaited under
//! `cancel_on_quit`; a client that resets its connection does not end the server.
//!
//! Start it with `cargo run -p quitter-examples --bin tcp_server -- 7002`, and talk to it from
//! other terminals with `nc 127.0.0.1 7002`: it sends back what you type. Press Ctrl-C: it says goodbye
//! to each client, and ends with exit code 0.

use std::env;
use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use quitter::{MainQuitter, OnFailure, Quitter, Quitting, RoutineQuitter};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// How many lines a client may be ahead of what it has read.
const AHEAD: usize = 16;

#[quitter::main(timeout = "2s")]
async fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    let port = env::args().nth(1).unwrap_or("7002".to_owned()).parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on {}", listener.local_addr()?);
    main.routine("accept").add_task(|q| accept(q, listener))?;
    Ok(())
}

async fn accept(q: RoutineQuitter, listener: TcpListener) -> Result<(), Quitting> {
    let connections = q.child("connections")?;
    connections.on_failure(OnFailure::Report); // Reported at once, and the server goes on.
    loop {
        match q.cancel_on_quit(listener.accept()).await? {
            Ok((stream, peer)) => {
                // Refused when the program quits at this moment: the client is disconnected.
                let _refused = serve(connections.child(peer.to_string())?, stream);
            }
            Err(error) => {
                eprintln!("cannot accept: {error}");
                // Too many open files, say: do not spin.
                let pause = tokio::time::sleep(Duration::from_millis(100));
                q.cancel_on_quit(pause).await?;
            }
        }
    }
}

/// Starts the two tasks of a connection.
fn serve(connection: Quitter, stream: TcpStream) -> Result<(), quitter::AddRoutineError> {
    let (reads, writes) = stream.into_split();
    let (lines, to_write) = mpsc::channel(AHEAD);
    let writer = connection.routine("writer");
    writer.add_task(|q| write(q, writes, to_write))?;
    let of_reader = connection.clone();
    connection.routine("reader").add_task(|q| async move {
        let read = read(q, reads, lines).await;
        if read.is_ok() {
            of_reader.send_quit(); // The writer says goodbye then.
        }
        read
    })?;
    Ok(())
}

async fn read(
    q: RoutineQuitter,
    reads: OwnedReadHalf,
    lines: mpsc::Sender<String>,
) -> io::Result<()> {
    let mut reads = BufReader::new(reads);
    let mut line = String::new();
    // A line that is half read at the quit is lost, which is all right here.
    while let Ok(read) = q.cancel_on_quit(reads.read_line(&mut line)).await {
        if read? == 0 {
            break;
        }
        q.set_status(format!("{} bytes are on their way back", line.len()));
        if lines.send(std::mem::take(&mut line)).await.is_err() {
            break; // The writer has failed, and its own failure says why.
        }
        q.set_status("reading");
    }
    Ok(())
}

async fn write(
    q: RoutineQuitter,
    mut writes: OwnedWriteHalf,
    mut lines: mpsc::Receiver<String>,
) -> io::Result<()> {
    // Every received line is sent back, even after the quit: this task ends when the reader has.
    while let Some(line) = lines.recv().await {
        writes.write_all(line.as_bytes()).await?;
    }
    if q.has_to_quit() {
        writes.write_all(b"goodbye\n").await?;
    }
    Ok(())
}
