//! The example `progress` with std and ctrlc: a command-line tool with honest exit codes.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use indicatif::ProgressBar;

const DISK_HOLDS: u64 = 1000;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let Some(files) = env::args().nth(1).and_then(|number| number.parse().ok()) else {
        eprintln!("usage: progress FILES");
        return Ok(ExitCode::from(2));
    };
    if files > DISK_HOLDS {
        return Err(format!("the disk is full after {DISK_HOLDS} files").into());
    }
    let (quit, quits) = mpsc::channel();
    ctrlc::set_handler(move || quit.send(()).unwrap_or(()))?;
    println!("copying {files} files");
    let bar = ProgressBar::new(files);
    for copied in 0..files {
        // Stands in for the copying. Returns at once when the program is told to quit.
        if quits.recv_timeout(Duration::from_millis(20)) != Err(RecvTimeoutError::Timeout) {
            bar.finish_and_clear();
            println!("stopped after {copied} of {files} files");
            return Ok(ExitCode::from(130));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!("all {files} files are copied");
    Ok(ExitCode::SUCCESS)
}
