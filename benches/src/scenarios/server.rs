//! A TCP server with clients of all kinds, and a SIGINT.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::process::Command;

use super::interrupt::{Started, sibling};
use crate::workload::{Figures, median};

/// Measures the example.
pub fn example(clients: usize) -> Figures {
    gone(|| Command::new(sibling("tcp_server_threads")), clients)
}

/// Measures one of the programs.
pub fn program(implementation: &str, clients: usize) -> Figures {
    let command = || {
        let mut command = Command::new(sibling("program"));
        command.arg(implementation);
        command
    };
    gone(command, clients)
}

/// Of ten clients, seven are idle, two are in the middle of a line, and one sends as much as it can and never
/// reads.
fn gone(command: impl Fn() -> Command, clients: usize) -> Figures {
    const OFTEN: usize = 3;
    let run = |kinds: [usize; 3]| {
        let mut command = command();
        let (started, line) = Started::new(command.arg("0"));
        let (_, address) = line.split_once("listening on ").expect("an address");
        let connect = |_| TcpStream::connect(address).expect("a connection");
        let [idle, halves, floods] = kinds;
        let _idle: Vec<_> = (0..idle).map(connect).collect();
        let mut halves: Vec<_> = (0..halves).map(connect).collect();
        for half in &mut halves {
            half.write_all(b"half a line").expect("the server reads");
        }
        let mut floods: Vec<_> = (0..floods).map(connect).collect();
        started.wait_until_asleep();
        floods.iter_mut().for_each(flood);
        started.interrupt()
    };
    let tenth = clients / 10;
    let often = |kinds| median(&(0..OFTEN).map(|_| run(kinds)).collect::<Vec<_>>());
    vec![
        ("gone", often([clients - 3 * tenth, 2 * tenth, tenth])),
        (
            "gone without floods",
            often([clients - 2 * tenth, 2 * tenth, 0]),
        ),
    ]
}

/// Writes until the system takes no more.
fn flood(stream: &mut TcpStream) {
    let lines = b"flood\n".repeat(10_000);
    stream.set_nonblocking(true).expect("a socket");
    loop {
        match stream.write(&lines) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}
