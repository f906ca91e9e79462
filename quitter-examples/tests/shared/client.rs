//! Servers under test, and their clients.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::common::{PATIENCE, Process};

/// Starts a server on a free port, and returns it with its address.
pub(crate) fn server(program: &str) -> (Process, String) {
    start(&mut Command::new(program))
}

/// Like [`server`], with a command that lacks only the port.
pub(crate) fn start(command: &mut Command) -> (Process, String) {
    let mut server = Process::start(command.arg("0"));
    let line = server.wait_for("listening on ");
    let (_, address) = line.trim_end().split_once("listening on ").unwrap();
    (server, address.trim_start_matches("http://").to_owned())
}

pub(crate) struct Client(pub(crate) BufReader<TcpStream>);

impl Client {
    pub(crate) fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn send(&mut self, line: &str) {
        self.0.get_mut().write_all(line.as_bytes()).unwrap();
    }

    #[cfg(target_os = "linux")]
    fn port(&self) -> u16 {
        self.0.get_ref().local_addr().unwrap().port()
    }

    /// Reads the next line. It is empty if the connection is closed.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(_) => line,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => String::new(),
            Err(error) => panic!("{error}"),
        }
    }

    /// Asks for a page on this connection, which is kept alive.
    pub(crate) fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"));
    }

    /// Reads an answer that states its length. Returns the status and the body.
    pub(crate) fn answer(&mut self) -> (String, String) {
        let status = self.line();
        let mut length = 0;
        loop {
            let line = self.line().to_lowercase();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (status, String::from_utf8(body).unwrap())
    }
}

/// Whether the system on the other side has received everything. The program may not have read it yet.
#[cfg(target_os = "linux")]
pub(crate) fn all_has_arrived(clients: &[Client]) -> bool {
    let sides = sides();
    let sending = sides.iter().filter(|side| side.is_sending);
    let sending: std::collections::HashSet<_> = sending.map(|side| side.port).collect();
    !clients
        .iter()
        .any(|client| sending.contains(&client.port()))
}

/// Blocks until the program on the other side has read everything, on systems that tell that.
pub(crate) fn until_all_is_read(client: &Client) {
    #[cfg(target_os = "linux")]
    crate::common::waits::eventually(|| {
        let own = client.port();
        !sides().iter().any(|side| {
            let is_unread = side.peer == own && side.has_unread;
            is_unread || side.port == own && side.is_sending
        })
    });
    #[cfg(not(target_os = "linux"))]
    let _ = client;
}

/// One side of a connection.
#[cfg(target_os = "linux")]
struct Side {
    port: u16,
    peer: u16,
    is_sending: bool,
    has_unread: bool,
}

#[cfg(target_os = "linux")]
fn sides() -> Vec<Side> {
    let connections = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = |address: &str| u16::from_str_radix(address.split_once(':')?.1, 16).ok();
    let side = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, remote, queues) = (fields.next()?, fields.next()?, fields.nth(1)?);
        let (sending, unread) = queues.split_once(':')?;
        Some(Side {
            port: port(local)?,
            peer: port(remote)?,
            is_sending: sending != "00000000",
            has_unread: unread != "00000000",
        })
    };
    connections.lines().filter_map(side).collect()
}
