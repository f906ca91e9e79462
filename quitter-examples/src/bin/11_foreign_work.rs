//! Work on threads that somebody else started: rayon's pool.
//!
//! Shows a guard, which turns work that quitter did not start into a routine: it is waited for, named
//! in reports, and can ask whether it has to quit.
//!
//! Start it with `cargo run -p quitter-examples --bin foreign_work -- 1000`. It renders a thousand
//! frames on all processors and ends with exit code 0. Press Ctrl-C before that: frames that are
//! being rendered are finished, no more are begun, and the program says how many are left.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use quitter::{MainQuitter, QuitSource, Quitting, RoutineQuitter};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

#[quitter::main(timeout = "2s", sources = [QuitSource::all_done()])]
fn main(main: &MainQuitter) -> Result<ExitCode, Box<dyn Error>> {
    let Ok(frames) = env::args().nth(1).unwrap_or("1000".to_owned()).parse() else {
        eprintln!("usage: foreign_work [FRAMES]");
        return Ok(ExitCode::from(2));
    };
    // The guard moves with the work to whichever thread does it. The routine ends when the work does.
    let guard = main.guard("render")?;
    rayon::spawn(move || guard.run(|q| render(q, frames)));
    Ok(ExitCode::SUCCESS)
}

/// The guard passes `q`, as every routine gets it; threads can share it. An error here is reported.
fn render(q: &RoutineQuitter, frames: u32) -> io::Result<()> {
    let rendered = AtomicU32::new(0);
    let _stopped: io::Result<()> = (0..frames).into_par_iter().try_for_each(|frame| {
        if q.has_to_quit() {
            return Err(Quitting.into()); // rayon begins no more frames then.
        }
        q.set_status(format!("frame {frame}"));
        thread::sleep(Duration::from_millis(20)); // Stands in for the rendering.
        let number = rendered.fetch_add(1, Ordering::Relaxed) + 1;
        if number == 1 {
            // Unlike `println!`, this does not panic on one of rayon's threads when the reader is gone.
            writeln!(io::stdout(), "the first frame is rendered")?;
        }
        Ok(())
    });
    let rendered = rendered.into_inner();
    match frames - rendered {
        0 => writeln!(io::stdout(), "all frames are rendered"),
        left => writeln!(
            io::stdout(),
            "{rendered} frames are rendered, {left} are left"
        ),
    }
}
