//! `tcp_server_threads` and `beside_tokio`, with real sockets and real signals.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "shared/client.rs"]
mod client;

use std::process::Command;

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use client::{Client, server};
use common::after_shell;
#[cfg(target_os = "linux")]
use common::waits::eventually;

#[test]
fn each_connection_gets_its_own_bytes_back_and_is_closed_at_the_quit() {
    let (server, address) = server(env!("CARGO_BIN_EXE_tcp_server_threads"));
    let mut clients = [(); 8].map(|()| Client::connect(&address));
    for (i, client) in clients.iter_mut().enumerate() {
        client.send(&format!("from {i}\n"));
    }
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.line(), format!("from {i}\n"));
    }
    server.send(SIGINT);
    for client in &mut clients {
        assert_eq!(client.line(), "");
    }
    server
        .end()
        .with_code(0)
        .saying(&["Quit: all routines returned"]);
}

#[test]
fn a_server_without_connections_ends_though_it_blocks_in_accept() {
    let (server, _) = server(env!("CARGO_BIN_EXE_tcp_server_threads"));
    server.send(SIGTERM);
    server
        .end()
        .with_code(0)
        .saying(&["SIGTERM", "Quit: all routines returned"]);
}

#[test]
fn a_client_that_disconnects_does_not_end_the_server() {
    let (server, address) = server(env!("CARGO_BIN_EXE_tcp_server_threads"));
    drop(Client::connect(&address));
    let mut client = Client::connect(&address);
    client.send("still there\n");
    assert_eq!(client.line(), "still there\n");
    server.send(SIGINT);
    server.end().with_code(0);
}

#[test]
fn a_client_that_resets_its_connection_is_reported_and_does_not_end_the_server() {
    let (mut server, address) = server(env!("CARGO_BIN_EXE_tcp_server_threads"));
    let mut rude = Client::connect(&address);
    rude.send("never read\n");
    // The echo has not been read, so the system resets the connection.
    assert_eq!(rude.0.get_ref().peek(&mut [0]).unwrap(), 1);
    drop(rude);
    server.wait_for("of main/connections failed: Connection reset");
    server.send(SIGINT);
    server.end().with_code(0);
}

/// Some clients are idle, some are in the middle of a line, some have closed their sending side, and some send
/// and never read. Lines that the server's system received before the signal are answered, whether or not the
/// server has read them. The test prints how long the end takes.
#[test]
#[cfg(target_os = "linux")]
fn five_hundred_clients_of_all_kinds_do_not_hold_up_the_end_and_lines_are_answered() {
    use std::io::Write;
    use std::net::Shutdown;
    use std::time::Instant;

    let (server, address) = server(env!("CARGO_BIN_EXE_tcp_server_threads"));
    let mut clients: Vec<_> = (0..500).map(|_| Client::connect(&address)).collect();
    let (answered, rest) = clients.split_at_mut(200);
    let (half, rest) = rest.split_at_mut(100);
    let (flooding, rest) = rest.split_at_mut(50);
    let (closed, rest) = rest.split_at_mut(25);
    let (on_their_way, _idle) = rest.split_at_mut(75);
    for client in half {
        client.send("half a line");
    }
    for client in closed {
        client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    }
    let flood = format!("{}\n", "flood ".repeat(100)).repeat(100);
    for client in flooding {
        let stream = client.0.get_mut();
        stream.set_nonblocking(true).unwrap();
        while stream.write(flood.as_bytes()).is_ok() {}
    }
    for client in &mut *answered {
        client.send("line\n");
    }
    for client in &mut *answered {
        assert_eq!(client.line(), "line\n");
    }
    for client in &mut *on_their_way {
        client.send("first\n");
        assert_eq!(client.line(), "first\n");
    }
    for client in &mut *on_their_way {
        client.send("late\nlater\nhalf a line");
    }
    eventually(|| client::all_has_arrived(on_their_way));
    let from = Instant::now();
    server.send(SIGTERM);
    let ended = server.end().with_code(0);
    let took = from.elapsed();
    ended.saying(&["Quit: all routines returned"]);
    for client in on_their_way {
        assert_eq!([(); 3].map(|()| client.line()), ["late\n", "later\n", ""]);
    }
    println!("ended {took:?} after SIGTERM");
}

#[test]
fn tokios_tasks_say_goodbye_at_the_quit() {
    let (server, address) = server(env!("CARGO_BIN_EXE_beside_tokio"));
    let mut clients = [(); 4].map(|()| Client::connect(&address));
    for client in &mut clients {
        assert_eq!(client.line(), "hello\n");
    }
    server.send(SIGINT);
    for client in &mut clients {
        assert_eq!(client.line(), "goodbye\n");
        assert_eq!(client.line(), "");
    }
    server
        .end()
        .with_code(0)
        .saying(&["Quit: all routines returned"]);
}

/// There are more clients, one after the other, than the program may have open files.
#[test]
fn clients_that_have_left_cost_beside_tokio_nothing() {
    let command = Command::new(env!("CARGO_BIN_EXE_beside_tokio"));
    let (server, address) = client::start(&mut after_shell("ulimit -n 40", &command));
    for _ in 0..60 {
        assert_eq!(Client::connect(&address).line(), "hello\n");
    }
    server.send(SIGINT);
    server.end().with_code(0);
}
