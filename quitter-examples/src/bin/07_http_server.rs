//! An HTTP service on threads that answers every client, even when it is told to quit.
//!
//! Start it with an address, a port, and how many seconds an answer takes, all optional:
//!
//! ```sh
//! cargo run -p quitter-examples --bin http_server -- 127.0.0.1 8080 5
//! ```
//!
//! Send it requests from other terminals:
//!
//! ```sh
//! curl -i http://127.0.0.1:8080/healthz  # "ok", at once
//! curl -i http://127.0.0.1:8080/         # "Hello!", after 5 s
//! curl http://127.0.0.1:8080/tree        # what lives in the program right now
//! ```
//!
//! While the second request waits, the third one is answered with the program's tree. Here it is without
//! the places where each routine was spawned and last seen:
//!
//! ```text
//! main
//! ├─ http server            running 9.1 s, blocked in futex (a lock or condition), …
//! ├─ http server unblocker  running 9.1 s, blocked in futex (a lock or condition), …
//! └─ requests
//!    ├─ request  running 2.3 s, blocked in futex (a lock or condition, with a time limit), …,
//!    │           status "GET /"
//!    └─ request  running 0.0 s, …, status "GET /tree"
//! ```
//!
//! In a service, keep such an endpoint where only its operators reach it.
//!
//! Press Ctrl-C while the second request waits: it gets "Server shutting down!" at once, and the program
//! ends with exit code 0. If you start a second server on the same port, its other quit source ends it,
//! with exit code 1 and this line:
//!
//! ```text
//! Received quit from 'HTTP server error': cannot listen on 127.0.0.1:8080: Address already in use (os error 98)
//! ```
//!
//! Send a request that does not finish, because its client never sends the announced body:
//!
//! ```sh
//! (printf 'POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n'; sleep 60) | nc 127.0.0.1 8080
//! ```
//!
//! Press Ctrl-C. The request is named after 1 s, which is the server's own budget, and in the report
//! after 3 s, which is the quit timeout. The exit code is 1.
//!
//! tiny_http reads the sockets on threads of its own, which end with the process. It keeps one for
//! each open connection; in a burst, connections may wait until others close. If the system has no file
//! descriptor left for a connection, tiny_http's thread that accepts panics, and the program runs on without
//! taking connections.

use std::borrow::Cow;
use std::env;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use quitter::{MainQuitter, OnFailure, QuitSource, Quitter, Quitting, RoutineQuitter};
use tiny_http::{Request, Response, Server};

/// How long the server may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// While the server stops, this long without a request means that no more will come.
const QUIET: Duration = Duration::from_millis(200);

/// An HTTP status and the text of the body.
type Answer = (u16, Cow<'static, str>);

const SHUTTING_DOWN: Answer = (503, Cow::Borrowed("Server shutting down!"));

#[quitter::main(timeout = "3s")]
fn main(main: &MainQuitter) -> Result<ExitCode, Box<dyn Error>> {
    let (address, delay) = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\nusage: http_server [ADDRESS [PORT [SECONDS]]]");
            return Ok(ExitCode::from(2));
        }
    };
    let (failed, server_error) = bounded(1);
    main.add_source(QuitSource::channel("HTTP server error", server_error).as_failure());
    let tree = Quitter::clone(main);
    main.routine("http server").add(move |q| {
        // After the quit, an error is a consequence of it: mostly `Quitting`.
        if let Err(error) = serve(q, &tree, address, delay)
            && !q.has_to_quit()
        {
            let _ = failed.send(error);
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn arguments() -> Result<(SocketAddr, Duration), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
    let ip = args.next().map_or(Ok(localhost), |ip| ip.parse())?;
    let port = args.next().map_or(Ok(8080), |port| port.parse())?;
    let seconds = args.next().map_or(Ok(5), |seconds| seconds.parse())?;
    match args.next() {
        Some(more) => Err(format!("unexpected argument '{more}'").into()),
        None => Ok((SocketAddr::new(ip, port), Duration::from_secs(seconds))),
    }
}

/// Serves until told to quit, or until the server fails.
fn serve(
    q: &RoutineQuitter,
    tree: &Quitter,
    address: SocketAddr,
    delay: Duration,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let server = Server::http(address)
        .map(Arc::new)
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let requests = q.child("requests")?;
    requests.on_failure(OnFailure::Report); // One bad request is not a failure of the service.
    let unblocked = Arc::clone(&server);
    q.routine("http server unblocker").add(move |q| {
        q.wait_quit();
        unblocked.unblock();
    })?;
    println!("Listening on http://{}", server.server_addr());

    loop {
        match server.recv() {
            Ok(request) => start(&requests, tree, request, delay),
            Err(_) if q.has_to_quit() => break, // Unblocked.
            Err(error) => return Err(error.into()),
        }
    }

    // Waiting requests are being answered. Requests already on their way still come in for a while.
    let until = Instant::now() + STOP_WITHIN;
    while Instant::now() < until
        && let Ok(Some(request)) = server.recv_timeout(QUIET)
    {
        start(&requests, tree, request, delay);
    }
    let left = until.saturating_duration_since(Instant::now());
    if let Err(timeouts) = requests.quit_and_wait(left) {
        eprintln!("HTTP server stopped, but {timeouts}");
    }
    Ok(())
}

/// Answers a request in a routine of its own.
fn start(requests: &Quitter, tree: &Quitter, request: Request, delay: Duration) {
    // A refused routine drops its captures, so the request is handed over only once the routine runs.
    let (hand_over, handed_over) = bounded(1);
    let tree = tree.clone();
    let routine = requests.routine("request").add(move |q| {
        if let Ok(request) = handed_over.recv() {
            let answer = answer(q, &tree, &request, delay);
            respond(request, answer);
        }
    });
    match routine {
        Ok(_) => drop(hand_over.send(request)),
        Err(error) if error.is_quitting() => respond(request, SHUTTING_DOWN),
        Err(_) => respond(request, (503, "Server overloaded!".into())), // The system refused a thread.
    }
}

fn answer(q: &RoutineQuitter, tree: &Quitter, request: &Request, delay: Duration) -> Answer {
    q.set_status(format!("{} {}", request.method(), request.url()));
    match request.url() {
        "/" => match q.sleep(delay) {
            Ok(()) => (200, "Hello!".into()),
            Err(Quitting) => SHUTTING_DOWN,
        },
        "/healthz" => (200, "ok".into()),
        "/tree" => (200, tree.snapshot().to_string().into()),
        _ => (404, "Not found".into()),
    }
}

fn respond(request: Request, (status, text): Answer) {
    let response = Response::from_string(text).with_status_code(status);
    let _ = request.respond(response); // A client that is gone misses nothing.
}
