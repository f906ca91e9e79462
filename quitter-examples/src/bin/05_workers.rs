//! A pool of workers that ends by itself when the jobs are done.
//!
//! Shows `select!` on a queue and on the quit, the quit source `all_done`, routines with names of
//! their own, and a routine that waits for others.
//!
//! Start it with `cargo run -p quitter-examples --bin workers`, or with a number of workers and a
//! number of jobs: `cargo run -p quitter-examples --bin workers -- 4 100`. It ends when all jobs
//! are done. Press Ctrl-C before that: each worker finishes the job at hand, and the program says
//! how many jobs were left. Either way the exit code is 0.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, select, unbounded};
use quitter::{MainQuitter, QuitSource, Quitter, RoutineQuitter};

#[quitter::main(timeout = "2s", sources = [QuitSource::all_done()])]
fn main(main: &MainQuitter) -> Result<ExitCode, Box<dyn Error>> {
    let mut numbers = env::args().skip(1).map(|text| text.parse::<u32>());
    let workers = numbers.next().unwrap_or(Ok(4));
    let jobs = numbers.next().unwrap_or(Ok(20));
    let (Ok(workers), Ok(jobs)) = (workers, jobs) else {
        eprintln!("usage: workers [WORKERS [JOBS]]");
        return Ok(ExitCode::from(2));
    };

    let (sender, queue) = unbounded();
    for job in 1..=jobs {
        sender.send(job)?;
    }
    let pool = main.child("pool")?;
    for number in 1..=workers {
        let queue = queue.clone();
        let worker = pool.routine(format!("worker {number}"));
        worker.add(move |q| work(q, &queue))?;
    }
    main.routine("foreman")
        .add(move |_| supervise(&pool, &queue))?;
    // The only sender is dropped here, so the queue closes once it is empty.
    Ok(ExitCode::SUCCESS)
}

/// Does jobs until there are no more, or until told to quit.
fn work(q: &RoutineQuitter, queue: &Receiver<u32>) -> io::Result<()> {
    // `select!` picks at random when both are ready, so the loop checks for the quit itself, too.
    while !q.has_to_quit() {
        select! {
            recv(queue) -> job => match job {
                Ok(job) => do_job(q, job)?,
                Err(_closed) => break,
            },
            recv(q.quit_chan()) -> _ => break,
        }
    }
    Ok(())
}

/// Finishes the job even at the quit: std's `sleep` stands in for work that nothing cuts short.
fn do_job(q: &RoutineQuitter, job: u32) -> io::Result<()> {
    q.set_status(format!("job {job}"));
    thread::sleep(Duration::from_millis(200));
    writeln!(io::stdout(), "{} has done job {job}", q.name())
}

/// Waits until all workers have returned, and prints how many jobs are left.
fn supervise(pool: &Quitter, queue: &Receiver<u32>) -> io::Result<()> {
    let _ = pool.wait_done(Duration::MAX); // The report names a worker that hangs.
    match queue.len() {
        0 => writeln!(io::stdout(), "all jobs are done")?,
        1 => writeln!(io::stdout(), "1 job was left")?,
        left => writeln!(io::stdout(), "{left} jobs were left")?,
    }
    Ok(())
}
