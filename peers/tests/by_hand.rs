//! The examples by hand do the same as the examples, until Ctrl-C ends them with the same exit code.

#![cfg(unix)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

struct Program {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    fn start(path: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(path);
        let command = command.args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Reads up to the first line that begins with `begin`, and returns the rest of that line.
    fn wait_for(&mut self, begin: &str) -> String {
        let mut lines = self.stdout.by_ref().lines().map(Result::unwrap);
        let line = lines.find_map(|line| Some(line.strip_prefix(begin)?.to_owned()));
        line.unwrap_or_else(|| panic!("ended before it wrote {begin:?}"))
    }

    fn press_ctrl_c(&self) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(pid, Signal::SIGINT).unwrap();
    }

    /// Waits for the end. Returns the exit code and the rest of the output.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

#[test]
fn the_tcp_server_sends_back_what_it_gets_and_closes_connections() -> io::Result<()> {
    let mut server = Program::start(env!("CARGO_BIN_EXE_tcp_server_by_hand"), &["0"]);
    let address = server.wait_for("listening on ");
    let mut client = BufReader::new(TcpStream::connect(&address)?);
    let _idle = TcpStream::connect(&address)?;
    client.get_mut().write_all(b"hello\n")?;
    let mut line = String::new();
    client.read_line(&mut line)?;
    assert_eq!(line, "hello\n");
    server.press_ctrl_c();
    assert_eq!(client.read_line(&mut line)?, 0);
    assert_eq!(server.end().0, Some(0));
    Ok(())
}

#[test]
fn the_pool_ends_by_itself_or_leaves_the_jobs_that_have_not_begun() {
    let pool = Program::start(env!("CARGO_BIN_EXE_workers_by_hand"), &["2", "4"]);
    let (code, said) = pool.end();
    assert_eq!(code, Some(0));
    assert!(said.ends_with("all jobs are done\n"), "{said}");
    let mut pool = Program::start(env!("CARGO_BIN_EXE_workers_by_hand"), &["2", "1000"]);
    pool.wait_for("worker 1 has done job");
    pool.press_ctrl_c();
    let (code, said) = pool.end();
    assert_eq!(code, Some(0));
    assert!(said.ends_with(" jobs were left\n"), "{said}");
}

#[test]
fn the_exit_codes_of_the_tool_tell_the_truth() {
    let path = env!("CARGO_BIN_EXE_progress_by_hand");
    assert_eq!(Program::start(path, &["1"]).end().0, Some(0));
    assert_eq!(Program::start(path, &["1001"]).end().0, Some(1));
    assert_eq!(Program::start(path, &[]).end().0, Some(2));
    let mut tool = Program::start(path, &["1000"]);
    tool.wait_for("copying");
    tool.press_ctrl_c();
    assert_eq!(tool.end().0, Some(130));
}

#[test]
fn the_program_with_a_library_publishes_the_last_count() {
    let mut program = Program::start(env!("CARGO_BIN_EXE_library_by_hand"), &[]);
    let first: u32 = program
        .wait_for("")
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    program.press_ctrl_c();
    let (code, said) = program.end();
    let last: u32 = said.split(' ').next().unwrap().parse().unwrap();
    assert!(last >= first && said.lines().count() == 1, "{said}");
    assert_eq!(code, Some(0));
}

#[test]
fn the_http_server_answers_requests_in_flight() -> io::Result<()> {
    let mut server = Program::start(env!("CARGO_BIN_EXE_axum_server_by_hand"), &["0"]);
    let address = server.wait_for("listening on http://");
    let ask = |page: &str| {
        let mut stream = TcpStream::connect(&address)?;
        write!(
            stream,
            "GET {page} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        )?;
        Ok::<_, io::Error>(stream)
    };
    let answer = |mut stream: TcpStream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    assert!(answer(ask("/ready")?)?.starts_with("HTTP/1.1 200"));
    let mut events = BufReader::new(ask("/events")?);
    let mut line = String::new();
    while !line.starts_with("data: tick") {
        line.clear();
        events.read_line(&mut line)?;
    }
    let slow = ask("/slow")?;
    server.press_ctrl_c();
    let mut rest = String::new();
    events.read_to_string(&mut rest)?;
    assert!(rest.contains("data: goodbye"), "{rest}");
    // The server still accepts connections, so that a load balancer sees this.
    assert!(answer(ask("/ready")?)?.starts_with("HTTP/1.1 503"));
    assert!(answer(slow)?.ends_with("slow\n"));
    assert_eq!(server.end().0, Some(0));
    Ok(())
}
