//! `http_server`: its answers, and how it ends.
#![cfg(unix)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a test waits for an event at most.
const PATIENCE: Duration = Duration::from_secs(10);

const QUIT_TIMEOUT: Duration = Duration::from_secs(3);

/// A delay that no test waits out.
const AN_HOUR: &str = "3600";

/// The program as a process of its own.
struct Program(Child);

impl Program {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_http_server"));
        let command = command.args(args).stdin(Stdio::null());
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Starts a server on a free port. An answer takes `seconds`.
    fn serving(seconds: &str) -> (Self, SocketAddr) {
        let mut program = Self::start(&["127.0.0.1", "0", seconds]);
        let mut stdout = BufReader::new(program.0.stdout.take().unwrap());
        let (read, line) = mpsc::channel();
        thread::spawn(move || {
            let mut text = String::new();
            let _ = stdout.read_line(&mut text);
            let _ = read.send(text);
        });
        let line = line.recv_timeout(PATIENCE).unwrap();
        let address = line.trim_end().strip_prefix("Listening on http://");
        (program, address.unwrap().parse().unwrap())
    }

    fn terminate(&self) {
        let pid = Pid::from_raw(self.0.id().try_into().unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
    }

    /// Waits until the program ends. Returns the exit code and stderr.
    #[track_caller]
    fn end(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            match self.0.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < until, "did not end in time"),
            }
            thread::sleep(Duration::from_millis(2));
        };
        let mut said = String::new();
        let mut stderr = self.0.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        (status.code(), said)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection that is kept alive for several requests.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, head: &str) {
        let request = format!("{head}\r\nHost: localhost\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
    }

    /// Reads the next answer: its status and text.
    fn answer(&mut self) -> io::Result<(u16, String)> {
        let missing = || io::Error::other("the connection was closed within an answer");
        let mut status = None;
        let mut length = None;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            match line.trim_end().split_once(' ') {
                Some(("HTTP/1.1", rest)) => status = rest[..3].parse().ok(),
                Some(("Content-Length:", bytes)) => length = bytes.parse().ok(),
                None if line == "\r\n" => break,
                None => return Err(missing()),
                _ => {}
            }
        }
        let mut text = vec![0; length.ok_or_else(missing)?];
        self.0.read_exact(&mut text)?;
        let text = String::from_utf8(text).map_err(io::Error::other)?;
        Ok((status.ok_or_else(missing)?, text))
    }

    #[track_caller]
    fn get(&mut self, path: &str) -> (u16, String) {
        self.send(&format!("GET {path} HTTP/1.1"));
        self.answer().unwrap()
    }
}

fn shutting_down() -> (u16, String) {
    (503, "Server shutting down!".to_owned())
}

#[track_caller]
fn assert_says(said: &str, text: &str) {
    // Joins the lines that were wrapped.
    let whole = said.replace("\n      ", " ");
    assert!(whole.contains(text), "no '{text}' in: {said}");
}

#[test]
fn a_request_is_answered_after_the_delay_and_the_health_at_once() {
    let (program, address) = Program::serving("1");
    let [mut client, mut other] = [(); 2].map(|()| Client::connect(address));
    let asked_at = Instant::now();
    client.send("GET / HTTP/1.1");
    assert_eq!(other.get("/healthz"), (200, "ok".to_owned()));
    assert_eq!(other.get("/nowhere").0, 404);
    assert_eq!(client.answer().unwrap(), (200, "Hello!".to_owned()));
    assert!(asked_at.elapsed() >= Duration::from_secs(1));

    program.terminate();
    let (code, said) = program.end();
    assert_eq!(code, Some(0), "{said}");
    assert_says(&said, "Quit: all routines returned");
}

#[test]
fn the_tree_shows_the_request_that_waits() {
    let (program, address) = Program::serving(AN_HOUR);
    let [mut client, mut other] = [(); 2].map(|()| Client::connect(address));
    client.send("GET / HTTP/1.1");
    let until = Instant::now() + PATIENCE;
    let tree = loop {
        let (status, tree) = other.get("/tree");
        assert_eq!(status, 200);
        if tree.contains("status \"GET /\"") {
            break tree;
        }
        assert!(Instant::now() < until, "{tree}");
    };
    assert!(tree.starts_with("main\n├─ http server  "), "{tree}");
    // More spaces follow if the request for the previous tree is still listed, which widens the column.
    assert_says(&tree, "\n└─ requests\n   ├─ request  ");
    assert_says(&tree, "status \"GET /tree\"");
    program.terminate();
    assert_eq!(client.answer().unwrap(), shutting_down());
    program.end();
}

#[test]
fn every_request_is_answered_when_the_program_is_told_to_quit() {
    let (program, address) = Program::serving(AN_HOUR);
    let mut clients: Vec<_> = (0..300)
        .map(|_| {
            // One after the other, because tiny_http makes the connections of a burst wait for each other.
            let mut client = Client::connect(address);
            assert_eq!(client.get("/healthz").0, 200);
            client
        })
        .collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1");
    }
    // The server has read some of the requests, and has answered none.
    let told_at = Instant::now();
    program.terminate();
    for (i, client) in clients.iter_mut().enumerate() {
        let answer = client.answer();
        let answer = answer.unwrap_or_else(|error| panic!("request {i}: {error}"));
        assert_eq!(answer, shutting_down(), "request {i}");
    }

    let (code, said) = program.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(told_at.elapsed() < QUIT_TIMEOUT, "{said}");
    assert_says(
        &said,
        "Received quit from 'OS interrupt/termination signal'",
    );
    assert_says(&said, "Quit: all routines returned");
}

#[test]
fn a_request_that_does_not_finish_is_named_and_holds_nothing_up() {
    let (program, address) = Program::serving(AN_HOUR);
    let mut client = Client::connect(address);
    client.send("POST /healthz HTTP/1.1\r\nContent-Length: 5000");
    // The request is answered, but its routine waits for the rest of it.
    assert_eq!(client.answer().unwrap().0, 200);

    program.terminate();
    let (code, said) = program.end();
    assert_eq!(code, Some(1), "{said}");
    assert_says(&said, "HTTP server stopped, but 1 routine had not returned");
    assert_says(
        &said,
        "Failed to quit: 1 routine had not returned after 3 s",
    );
    assert_says(&said, "main/requests");
    assert_says(&said, "status \"POST /healthz\"");
}

#[test]
fn a_port_that_is_taken_ends_the_program_with_the_cause() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = TcpListener::bind(address).unwrap_err();

    let (code, said) = Program::start(&["127.0.0.1", &address.port().to_string()]).end();
    assert_eq!(code, Some(1), "{said}");
    assert_says(&said, "Received quit from 'HTTP server error'");
    assert_says(&said, &error.to_string());
}

#[test]
fn bad_arguments_are_answered_with_the_usage() {
    let bad: [&[&str]; 4] = [
        &["--help"],
        &["127.0.0.1", "70000"],
        &["127.0.0.1", "0", "soon"],
        &["127.0.0.1", "0", "5", "more"],
    ];
    for args in bad {
        let (code, said) = Program::start(args).end();
        assert_eq!(code, Some(2), "{said}");
        assert_says(&said, "usage: http_server [ADDRESS [PORT [SECONDS]]]");
    }
}
