//! Reports that it is set up through the socket that the second argument names, and writes nothing to stdout
//! or stderr by itself after that. The first argument selects the part that hangs.

use std::cell::RefCell;
use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::sync::mpsc;
use std::thread;

use quitter::{MainQuitter, QuitSource};

#[cfg(unix)]
fn tell(text: &str) -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(2).ok_or("there is a socket")?;
    std::os::unix::net::UnixStream::connect(path)?.write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(not(unix))]
fn tell(_: &str) -> Result<(), Box<dyn Error>> {
    Err("only on Unix".into())
}

fn hang() -> ! {
    loop {
        thread::park();
    }
}

struct Stuck;

impl Drop for Stuck {
    fn drop(&mut self) {
        hang();
    }
}

#[quitter::main(timeout = "1s", sources = [QuitSource::os_signal()])]
fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    thread_local!(static STUCK: RefCell<Option<Stuck>> = const { RefCell::new(None) });
    main.routine("obeys").add(|q| q.wait_quit())?;
    match env::args().nth(1).as_deref() {
        Some("nothing") => {}
        Some("routine") => drop(main.routine("deaf").add(|_| hang())?),
        Some("body") => {
            tell("ready\n")?;
            hang();
        }
        Some("destructor") => STUCK.set(Some(Stuck)),
        // std buffers this, and writes it when the process ends.
        Some("partial-line") => drop(write!(io::stdout(), "half a line")),
        Some("locks") => {
            let (locked, is_locked) = mpsc::channel();
            main.routine("holds").add(move |_| {
                let _locks = (io::stdout().lock(), io::stderr().lock());
                let _ = locked.send(());
                hang()
            })?;
            is_locked.recv()?;
        }
        // std's panic hook writes to stderr.
        Some("panic") => drop(main.routine("panics").add(|_| panic!("unheard"))?),
        other => return Err(format!("no case {other:?}").into()),
    }
    tell("ready\n")
}
