//! A prompt that reads lines: a body of `main` that is itself the foreground loop.
//!
//! Shows `end = "with_body"`, a `select!` over input and quit, and a quit that says its reason.
//!
//! Start it with `cargo run -p quitter-examples --bin repl`. Type numbers with spaces between them
//! and press Enter: it prints their sum. Type `exit`, or press Ctrl-D, or Ctrl-C: the program ends
//! at once with exit code 0, and says which of them it was.

use std::io::{self, Write};
use std::num::ParseIntError;
use std::thread;

use crossbeam_channel::{Receiver, bounded, select};
use quitter::MainQuitter;

#[quitter::main(timeout = "2s", end = "with_body")]
fn main(main: &MainQuitter) -> io::Result<()> {
    let lines = lines_of_stdin();
    loop {
        write!(io::stdout(), "> ")?;
        io::stdout().flush()?;
        let line = select! {
            recv(lines) -> line => line,
            recv(main.quit_chan()) -> _ => return Ok(()),
        };
        let Ok(line) = line else { return Ok(()) }; // The end of the input.
        let line = line?;
        if line.trim() == "exit" {
            main.request_quit("'exit' was typed");
            return Ok(());
        }
        match sum(&line) {
            Ok(sum) => writeln!(io::stdout(), "{sum}")?,
            Err(error) => writeln!(io::stdout(), "{error}")?,
        }
    }
}

fn sum(line: &str) -> Result<i64, ParseIntError> {
    line.split_whitespace().map(str::parse::<i64>).sum()
}

/// Nothing can wake a thread that reads a terminal. So this one is not a routine: nobody waits for
/// it, and it ends with the process.
fn lines_of_stdin() -> Receiver<io::Result<String>> {
    let (sender, lines) = bounded(0);
    thread::spawn(move || {
        let _ = io::stdin().lines().try_for_each(|line| sender.send(line));
    });
    lines
}
