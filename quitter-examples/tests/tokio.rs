//! The programs on tokio, with real sockets and real signals. `servers.rs` has `beside_tokio`.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tests/common/mod.rs"]
mod common;

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "shared/client.rs"]
mod client;

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use client::{Client, server, until_all_is_read};
use common::{Ended, PATIENCE, Process, broken_pipe};

// ── tcp_server ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn each_connection_gets_its_lines_back_and_a_goodbye_at_the_quit() {
    let (server, address) = server(env!("CARGO_BIN_EXE_tcp_server"));
    let mut clients = [(); 8].map(|()| Client::connect(&address));
    for (i, client) in clients.iter_mut().enumerate() {
        client.send(&format!("from {i}\n"));
    }
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.line(), format!("from {i}\n"));
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

#[test]
fn clients_that_leave_or_reset_their_connection_do_not_end_the_server() {
    let (mut server, address) = server(env!("CARGO_BIN_EXE_tcp_server"));
    drop(Client::connect(&address));
    let mut rude = Client::connect(&address);
    rude.send("never read\n");
    // The echo has not been read, so the system resets the connection.
    assert_eq!(rude.0.get_ref().peek(&mut [0]).unwrap(), 1);
    drop(rude);
    server.wait_for("failed: Connection reset");
    let mut client = Client::connect(&address);
    client.send("still there\n");
    assert_eq!(client.line(), "still there\n");
    server.send(SIGTERM);
    let ended = server.end().with_code(0);
    assert_eq!(ended.count("routine 'reader' of main/connections/"), 1);
    assert_eq!(ended.count(" failed: "), 1, "{}", ended.stderr);
    ended.saying(&["SIGTERM"]);
}

/// Runs a program, several times if need be, until it prints these texts in this order. On a busy machine, there
/// may be no time for all of a report, which has to read the program's debug information.
#[track_caller]
fn says_in_the_end(run: impl Fn() -> Ended, texts: &[&str]) {
    const TRIES: usize = 5;
    for _ in 1..TRIES {
        let ended = run().with_code(1);
        if ended.says(texts) {
            return;
        }
    }
    run().with_code(1).saying(texts);
}

// ── mixed ───────────────────────────────────────────────────────────────────────────────────────

fn mixed(args: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixed"));
    // With one worker, as on a machine with one processor, a task that blocks it holds up all others.
    let command = command.args(args).env("TOKIO_WORKER_THREADS", "2");
    let mut program = Process::start(command);
    program.wait_for("measuring");
    program.send(SIGINT);
    program.end()
}

#[test]
fn threads_and_tasks_end_together() {
    mixed(&[])
        .with_code(0)
        .saying(&["Quit: all routines returned"]);
}

#[test]
fn one_report_names_the_thread_and_the_tasks_that_hang() {
    let cases: [(&[&str], &[&str]); 4] = [
        (
            &["--stuck", "thread"],
            &["Failed to quit: 1 routine had not", "writer"],
        ),
        (
            &["--stuck", "task"],
            &["Failed to quit: 1 routine had not", "main/sensors", "south"],
        ),
        (
            &["--stuck", "worker"],
            &[
                "Failed to quit: 1 routine had not",
                "compactor",
                "compacting",
            ],
        ),
        (
            &["--stuck"],
            &[
                "Failed to quit: 3 routines had not",
                "south",
                "writer",
                "compactor",
            ],
        ),
    ];
    thread::scope(|scope| {
        for (args, says) in cases {
            scope.spawn(move || {
                let from = Instant::now();
                mixed(args).with_code(1).saying(says);
                assert!(from.elapsed() < PATIENCE);
            });
        }
    });
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#[test]
fn one_report_shows_a_threads_calls_a_tasks_await_and_the_worker_that_a_task_blocks() {
    says_in_the_end(
        || {
            let from = Instant::now();
            let ended = mixed(&["--stuck"]);
            // The quit timeout is a second, and stacks may take another one.
            let took = from.elapsed();
            assert!(took < Duration::from_secs(4), "{took:?}");
            ended
        },
        &[
            "    south",
            "      tokio::sync::oneshot::Receiver\n",
            "      mixed::calibrate  quitter-examples/src/bin/17_mixed.rs:",
            "      mixed::measure    quitter-examples/src/bin/17_mixed.rs:",
            "    writer",
            "      std::thread::park\n",
            "      mixed::write  ",
            "    compactor",
            "holds up thread ",
            " 'tokio-rt-worker'",
            "      std::thread::park\n",
            "      mixed::compact  ",
        ],
    );
}

// ── axum_server ─────────────────────────────────────────────────────────────────────────────────

#[test]
fn requests_in_flight_are_answered_streams_told_and_readiness_turns() {
    let (mut server, address) = server(env!("CARGO_BIN_EXE_axum_server"));
    let mut page = Client::connect(&address);
    page.get("/");
    assert!(page.answer() == ("HTTP/1.1 200 OK\r\n".into(), "hello\n".into()));
    let mut ready = Client::connect(&address);
    ready.get("/ready");
    assert_eq!(ready.answer().0, "HTTP/1.1 200 OK\r\n");
    let mut events = Client::connect(&address);
    events.get("/events");
    while !events.line().contains("tick") {}
    let mut slow = Client::connect(&address);
    slow.get("/slow");
    until_all_is_read(&slow);

    server.send(SIGTERM);
    server.wait_for("SIGTERM");
    // A load balancer asks again, on a new connection.
    let mut asks = Client::connect(&address);
    asks.get("/ready");
    assert!(asks.answer().0.contains("503"));
    let rest = std::iter::from_fn(|| Some(events.line()).filter(|line| !line.is_empty()));
    assert!(rest.collect::<String>().contains("goodbye"));
    assert_eq!(slow.answer().1, "slow\n");
    server
        .end()
        .with_code(0)
        .saying(&["Quit: all routines returned"]);
}

#[test]
fn a_request_that_hangs_is_named_with_the_line_that_it_awaits() {
    let run = || {
        let (server, address) = server(env!("CARGO_BIN_EXE_axum_server"));
        let mut hangs = Client::connect(&address);
        hangs.get("/hang");
        until_all_is_read(&hangs);
        server.send(SIGTERM);
        server.end().with_code(1)
    };
    says_in_the_end(run, &["main/requests", "GET /hang", "server"]);
    if cfg!(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )) {
        says_in_the_end(
            run,
            &[
                "    GET /hang",
                "      tokio::sync::oneshot::Receiver\n",
                "      axum_server::hang ",
                "quitter-examples/src/bin/18_axum_server.rs:",
            ],
        );
    }
}

#[test]
fn what_keeps_it_from_listening_is_the_only_thing_it_says() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (port, error) in [
        (port.as_str(), "Address already in use"),
        ("x", "InvalidDigit"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_axum_server"));
        let ended = Process::start(command.arg(port)).end().with_code(1);
        assert!(ended.stderr.starts_with("Error: "), "{}", ended.stderr);
        assert!(ended.stderr.contains(error), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn under_load_no_request_fails_during_the_quit() {
    /// A little less than the time for which the server goes on serving.
    const SERVES_ON: Duration = Duration::from_millis(400);
    let (server, address) = server(env!("CARGO_BIN_EXE_axum_server"));
    let before = std::env::var("QUITTER_AXUM_REQUESTS").map_or(500, |count| count.parse().unwrap());
    let (answered, quit_at) = (AtomicUsize::new(0), OnceLock::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // Goes on until the server refuses connections; a refused connection is not a failed request.
                while let Ok(stream) = TcpStream::connect(&address) {
                    let connected = Instant::now();
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    let mut client = Client(BufReader::new(stream));
                    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
                    let sent = client.0.get_mut().write_all(request);
                    let answer = sent.map(|()| client.line()).unwrap_or_default();
                    // The system has accepted the connection, but the server no longer does.
                    let late = |quit_at: &Instant| connected > *quit_at + SERVES_ON;
                    if answer.is_empty() && quit_at.get().is_some_and(late) {
                        break;
                    }
                    assert_eq!(answer, "HTTP/1.1 200 OK\r\n");
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while answered.load(Ordering::SeqCst) < before {
            thread::sleep(Duration::from_millis(1));
        }
        quit_at.set(Instant::now()).unwrap();
        server.send(SIGTERM);
    });
    server.end().with_code(0);
    let answered = answered.into_inner();
    assert!(answered > before);
    println!("{answered} requests were answered, and none failed");
}

// ── tokio_util_bridge ───────────────────────────────────────────────────────────────────────────

#[test]
fn a_quit_cancels_the_token_and_waits_for_the_tracked_tasks() {
    let mut program =
        Process::start(Command::new(env!("CARGO_BIN_EXE_tokio_util_bridge")).arg("1000000"));
    program.wait_for("3");
    program.send(SIGINT);
    let ended = program.end().with_code(0);
    assert!(ended.stdout.ends_with("cancelled\n"), "{}", ended.stdout);
    ended.saying(&["Quit: all routines returned"]);
}

#[test]
fn a_token_that_is_cancelled_by_its_own_code_ends_the_program() {
    let program = Process::start(Command::new(env!("CARGO_BIN_EXE_tokio_util_bridge")).arg("3"));
    let ended = program.end().with_code(0);
    ended.saying(&["the library has ended", "Quit: all routines returned"]);
}

#[test]
fn a_panic_in_the_tracked_task_ends_the_program_as_a_failure() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tokio_util_bridge"));
    // The program's first `println!` panics.
    let program = Process::start_into(program.arg("1000000"), broken_pipe(), Stdio::piped());
    let said = ["'library' of main, which failed", "panicked"];
    program.end().with_code(1).saying(&said);
}
