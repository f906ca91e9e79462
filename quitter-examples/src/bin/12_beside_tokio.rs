//! A tokio runtime on one thread of a program that quitter shuts down.
//!
//! Shows tasks as routines beside threads, and how to keep a runtime from waiting forever when it is
//! dropped. `tcp_server` is a program that is entirely on tokio.
//!
//! Start it with `cargo run -p quitter-examples --bin beside_tokio -- 7001`, and talk to it with
//! `nc 127.0.0.1 7001`: it greets you, and keeps the connection until you leave. Press Ctrl-C: it
//! says goodbye to each client, and ends with exit code 0.

use std::env;
use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use quitter::{MainQuitter, Quitting, RoutineQuitter};
use tokio::io::{AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;

#[quitter::main(timeout = "2s")]
fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    let port = env::args().nth(1).unwrap_or("7001".to_owned()).parse()?;
    main.routine("tokio").add(move |q| {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let result = runtime.block_on(serve(q, port));
        // Without this, the drop of the runtime waits for each `spawn_blocking`, however long it takes.
        runtime.shutdown_timeout(Duration::from_millis(100));
        result
    })?;
    Ok(())
}

async fn serve(q: &RoutineQuitter, port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on {}", listener.local_addr()?);
    let connections = q.child("connections").map_err(io::Error::other)?;
    while let Ok(accepted) = q.cancel_on_quit(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                let connection = connections.routine(peer.to_string());
                // Refused once the program quits; the client is disconnected then.
                let _refused = connection.add_task(|q| greet(q, stream));
            }
            Err(error) => {
                eprintln!("cannot accept: {error}");
                // Too many open files, say: do not spin.
                let pause = tokio::time::sleep(Duration::from_millis(100));
                let _ = q.cancel_on_quit(pause).await;
            }
        }
    }
    connections.done().await;
    Ok(())
}

async fn greet(q: RoutineQuitter, mut stream: TcpStream) {
    q.set_status("connected");
    let _ = stream.write_all(b"hello\n").await; // A client that is gone misses nothing.
    // Discards the client's input until the client leaves.
    let (mut reads, mut writes) = stream.split();
    if let Err(Quitting) = q.cancel_on_quit(copy(&mut reads, &mut sink())).await {
        let _ = writes.write_all(b"goodbye\n").await;
    }
}
