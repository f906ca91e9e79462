//! Work on threads that somebody else started: rayon's pool.
//!
//! Shows a guard, which makes a routine of work that quitter did not start: it is waited for, named
//! in reports, and can ask whether it has to quit.
//!
//! Start it with `cargo run -p quitter-examples --bin foreign_work -- 1000`. It renders a thousand
//! frames on all processors and ends with exit code 0. Press Ctrl-C before that: frames that are
//! being rendered are finished, no more are begun, and the program says how many are left.

use std::env;
use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use quitter::{MainQuitter, QuitSource, Quitting, RoutineQuitter};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

#[quitter::main(timeout = "2s", sources = [QuitSource::all_done()])]
fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    let frames = env::args().nth(1).unwrap_or("1000".to_owned()).parse()?;
    // The guard goes with the work, whichever thread does it. The routine ends when it is dropped.
    let guard = main.guard("render")?;
    rayon::spawn(move || {
        let rendered = render(&guard, frames);
        match frames - rendered {
            0 => println!("all frames are rendered"),
            left => println!("{rendered} frames are rendered, {left} are left"),
        }
    });
    Ok(())
}

/// A guard is to its owner what a routine's quitter is to a routine, and can be shared.
fn render(q: &RoutineQuitter, frames: u32) -> u32 {
    let rendered = AtomicU32::new(0);
    let _stopped = (0..frames).into_par_iter().try_for_each(|frame| {
        if q.has_to_quit() {
            return Err(Quitting); // rayon begins no more frames then.
        }
        q.set_status(format!("frame {frame}"));
        thread::sleep(Duration::from_millis(20)); // Stands for the rendering.
        let number = rendered.fetch_add(1, Ordering::Relaxed) + 1;
        if number == 1 {
            println!("the first frame is rendered");
        }
        Ok(())
    });
    rendered.into_inner()
}
