use std::io::{BufRead, BufReader, stdin};
use std::net::TcpListener;

use quitter::Quitter;

fn main() {
    let root = Quitter::root("main");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _ = root.wait_readable(&listener);
    root.add_routine(move |q| {
        for stream in q.incoming(&listener) {
            stream?.set_nodelay(true)?;
        }
        for line in BufReader::new(q.interruptible(stdin())).lines() {
            println!("{}", line?);
        }
        Ok::<(), std::io::Error>(())
    })
    .unwrap();
}
