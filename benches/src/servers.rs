//! TCP servers with a thread for each connection, which send back each line: the example
//! `tcp_server_threads` without quitter.

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

/// How much time lines that are on their way have, as in the example.
const GRACE: Duration = Duration::from_millis(5);

/// At the signal, the streams are shut down for reading and then for writing, the listener gets a last
/// connection, and all threads are joined.
pub fn by_hand(_: usize) -> ExitCode {
    let mut signals = Signals::new([SIGINT]).expect("a handler");
    let server = Server::start();
    let _signal = signals.forever().next();
    server.end();
    ExitCode::SUCCESS
}

/// The floor: no handler.
pub fn killed(_: usize) -> ExitCode {
    let _server = Server::start();
    loop {
        thread::park();
    }
}

struct Server {
    address: SocketAddr,
    is_quitting: Arc<AtomicBool>,
    accepts: JoinHandle<Vec<JoinHandle<()>>>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let is_quitting = Arc::new(AtomicBool::new(false));
        let streams = Arc::new(Mutex::new(Vec::new()));
        let accepts = {
            let (is_quitting, streams) = (Arc::clone(&is_quitting), Arc::clone(&streams));
            thread::spawn(move || accept(&listener, &is_quitting, &streams))
        };
        writeln!(io::stdout(), "listening on {address}").expect("the parent reads");
        Self {
            address,
            is_quitting,
            accepts,
            streams,
        }
    }

    fn end(self) {
        self.is_quitting.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        let connections = self.accepts.join().expect("no panic");
        for (how, then) in [(Shutdown::Read, GRACE), (Shutdown::Both, Duration::ZERO)] {
            for stream in &*self.streams.lock().unwrap() {
                let _ = stream.shutdown(how);
            }
            thread::sleep(then);
        }
        for connection in connections {
            connection.join().expect("no panic");
        }
    }
}

fn accept(
    listener: &TcpListener,
    is_quitting: &AtomicBool,
    streams: &Mutex<Vec<TcpStream>>,
) -> Vec<JoinHandle<()>> {
    let mut connections = Vec::new();
    for stream in listener.incoming() {
        if is_quitting.load(Ordering::Acquire) {
            break;
        }
        let stream = stream.expect("a connection");
        let theirs = stream.try_clone().expect("a descriptor");
        streams.lock().unwrap().push(stream);
        connections.push(thread::spawn(move || drop(echo(&theirs))));
    }
    connections
}

fn echo(stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = BufWriter::new(stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        writer.write_all(&line)?;
        line.clear();
        if !reader.buffer().contains(&b'\n') {
            writer.flush()?;
        }
    }
    Ok(())
}
