//! The example `tcp_server_threads` with std and ctrlc: an echo server, a thread for each connection.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Server {
    is_quitting: AtomicBool,
    open: Mutex<HashMap<u64, TcpStream>>,
    closed: Condvar,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let port = env::args().nth(1).unwrap_or("7000".to_owned()).parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let address = listener.local_addr()?;
    let (quit, quits) = mpsc::channel();
    ctrlc::set_handler(move || quit.send(()).unwrap_or(()))?;
    println!("listening on {address}");
    let server = Arc::new(Server::default());
    let acceptor = Arc::clone(&server);
    let acceptor = thread::spawn(move || acceptor.accept(&listener));
    quits.recv()?;
    server.is_quitting.store(true, Ordering::SeqCst);
    drop(TcpStream::connect(address)); // Wakes `accept`, which takes no timeout.
    if acceptor.join().is_err() {
        return Ok(ExitCode::FAILURE);
    }
    let open = server.open.lock().unwrap();
    for stream in open.values() {
        let _ = stream.shutdown(Shutdown::Read); // Data that has arrived can still be read.
    }
    let closed = &server.closed;
    let (open, _) = closed
        .wait_timeout_while(open, TIMEOUT, |open| !open.is_empty())
        .unwrap();
    if open.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{} connections did not end in time", open.len());
    Ok(ExitCode::FAILURE)
}

impl Server {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for (id, stream) in (0..).zip(listener.incoming()) {
            if self.is_quitting.load(Ordering::SeqCst) {
                break;
            }
            let served = stream.and_then(|stream| self.serve(id, stream));
            if let Err(error) = served {
                eprintln!("cannot accept: {error}");
            }
        }
    }

    fn serve(self: &Arc<Self>, id: u64, stream: TcpStream) -> io::Result<()> {
        self.open.lock().unwrap().insert(id, stream.try_clone()?);
        let open = Open(Arc::clone(self), id);
        thread::Builder::new().spawn(move || {
            let _open = open;
            if let Err(error) = echo(&stream) {
                eprintln!("connection {id} failed: {error}");
            }
        })?;
        Ok(())
    }
}

/// An entry in the list of open connections, until the connection's thread ends or panics.
struct Open(Arc<Server>, u64);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.lock().unwrap().remove(&self.1);
        self.0.closed.notify_all();
    }
}

fn echo(stream: &TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), BufWriter::new(stream));
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        writer.write_all(&line)?;
        line.clear();
        if !reader.buffer().contains(&b'\n') {
            writer.flush()?; // Lines that have arrived together are answered together.
        }
    }
    Ok(())
}
