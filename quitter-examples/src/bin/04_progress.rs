//! A command-line tool with a progress bar, whose exit code tells the truth.
//!
//! Shows a body that is the foreground work (`end = "with_body"`), an end that tells the shell of
//! Ctrl-C (`signal_exit_code = "raise"`), and every way in which such a tool ends.
//!
//! Start it with the number of files to pretend to copy:
//!
//! ```sh
//! cargo run -p quitter-examples --bin progress -- 100 && echo "all copied"
//! ```
//!
//! | what you do | exit code |
//! | --- | --- |
//! | wait until the bar is full | 0 |
//! | press Ctrl-C | none: SIGINT ends it, so neither `&&` nor a loop goes on; the shell shows 130 |
//! | ask for more than 1000 files: the disk is full | 1 |
//! | forget the number | 2 |

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::ProgressBar;
use quitter::MainQuitter;

const DISK_HOLDS: u64 = 1000;

#[quitter::main(timeout = "2s", end = "with_body", signal_exit_code = "raise")]
fn main(main: &MainQuitter) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Some(files) = env::args().nth(1).and_then(|number| number.parse().ok()) else {
        eprintln!("usage: progress FILES");
        return Ok(ExitCode::from(2));
    };
    if files > DISK_HOLDS {
        return Err(format!("the disk is full after {DISK_HOLDS} files").into());
    }
    // Unlike `println!`, this does not panic when the reader is gone.
    writeln!(io::stdout(), "files to copy: {files}")?;
    let bar = ProgressBar::new(files);
    for copied in 0..files {
        // Stands in for the copying. Returns at once when the program is told to quit.
        if main.sleep(Duration::from_millis(20)).is_err() {
            bar.finish_and_clear(); // So that the output below starts on a line of its own.
            writeln!(io::stdout(), "stopped, files copied: {copied} of {files}")?;
            return Ok(ExitCode::SUCCESS); // After a signal, that signal ends the program instead.
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    writeln!(io::stdout(), "files copied: {files}")?;
    Ok(ExitCode::SUCCESS)
}
