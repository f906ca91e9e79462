//! A tokio runtime inside a program that quitter ends.
//!
//! Shows how a quit reaches tasks, that guards name the tasks that do not return, and that a runtime
//! must not be allowed to wait for ever when it is dropped.
//!
//! Start it with `cargo run -p quitter-examples --bin beside_tokio -- 7001`, and talk to it with
//! `nc 127.0.0.1 7001`: it greets you, and keeps the connection. Press Ctrl-C: it says goodbye to
//! each client, and ends with exit code 0.

use std::env;
use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use quitter::{MainQuitter, RoutineGuard, RoutineQuitter};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::watch;

#[quitter::main(timeout = "2s")]
fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    let port = env::args().nth(1).unwrap_or("7001".to_owned()).parse()?;
    let (alive, quit) = watch::channel(());
    main.routine("tokio").add(move |q| {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let result = runtime.block_on(serve(q, port, quit));
        // Without this the runtime's drop waits for each `spawn_blocking`, however long it takes.
        runtime.shutdown_timeout(Duration::from_millis(100));
        result
    })?;
    // Tasks cannot wait for a quitter yet, but for the end of a watch channel they can.
    main.routine("tell tokio").add(move |q| {
        q.wait_quit();
        drop(alive);
    })?;
    Ok(())
}

async fn serve(q: &RoutineQuitter, port: u16, mut quit: watch::Receiver<()>) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on {}", listener.local_addr()?);
    let mut tasks = tokio::task::JoinSet::new();
    let connections = q.child("connections").map_err(io::Error::other)?;
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => accepted?,
            Some(_ended) = tasks.join_next() => continue,
            _closed = quit.changed() => break,
        };
        // Refused once the program quits; the client is disconnected then.
        if let Ok(guard) = connections.guard(peer.to_string()) {
            tasks.spawn(greet(guard, stream, quit.clone()));
        }
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

async fn greet(guard: RoutineGuard, mut stream: TcpStream, mut quit: watch::Receiver<()>) {
    guard.set_status("connected");
    let _ = stream.write_all(b"hello\n").await; // A client that is gone misses nothing.
    let _ = quit.changed().await;
    let _ = stream.write_all(b"goodbye\n").await;
}
