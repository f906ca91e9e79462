//! A prompt that reads lines: a body of `main` that is itself the foreground loop.
//!
//! Shows `end = "with_body"`, a read of standard input that ends at the quit (feature `io`, Unix), and
//! a quit that gives its reason.
//!
//! Start it with `cargo run -p quitter-examples --bin repl`. Type numbers with spaces between them
//! and press Enter: it prints their sum. Type `exit`, or press Ctrl-D, or Ctrl-C: the program ends
//! at once with exit code 0, and says which of these ended it.

#![cfg_attr(
    test,
    allow(dead_code, reason = "the test harness has a main of its own")
)]

#[cfg(unix)]
mod repl {
    use std::error::Error;
    use std::io::{self, BufRead, BufReader, Write};

    use quitter::MainQuitter;

    #[quitter::main(timeout = "2s", end = "with_body")]
    pub fn main(main: &MainQuitter) -> io::Result<()> {
        let mut lines = BufReader::new(main.interruptible(io::stdin())).lines();
        let reason = loop {
            write!(io::stdout(), "> ")?;
            io::stdout().flush()?;
            // At the quit the error is `Quitting`: the body has not failed.
            let Some(line) = lines.next().transpose()? else {
                writeln!(io::stdout())?; // Ends the line of the prompt.
                break "the end of the input";
            };
            if line.trim() == "exit" {
                break "'exit' was typed";
            }
            match sum(&line) {
                Ok(sum) => writeln!(io::stdout(), "{sum}")?,
                Err(error) => writeln!(io::stdout(), "{error}")?,
            }
        };
        main.request_quit(reason);
        Ok(())
    }

    fn sum(line: &str) -> Result<i64, Box<dyn Error>> {
        let mut sum = 0_i64;
        for number in line.split_whitespace() {
            let number = number.parse()?;
            sum = sum.checked_add(number).ok_or("the sum is out of range")?;
        }
        Ok(sum)
    }
}

#[cfg(unix)]
use repl::main;

#[cfg(not(unix))]
fn main() {
    eprintln!("this example needs Unix");
}
